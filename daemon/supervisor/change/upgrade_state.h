/* SPDX-License-Identifier: MIT */
/*
 * upgrade_state.h - what one process of the daemon tells the next about itself
 *
 * Listening sockets go by the LISTEN_FDS convention (adopt.h); this is the
 * rest: listeners, their generations and the workers that run. Descriptors
 * are told by their numbers.
 */
#ifndef SOCKSERVERD_SUPERVISOR_CHANGE_UPGRADE_STATE_H
#define SOCKSERVERD_SUPERVISOR_CHANGE_UPGRADE_STATE_H

#include <stddef.h>

#include "supervisor/listener/hand_over.h"

/* Raised whenever the meaning of anything below, or in hand_over.h, changes. What is only
 * added goes to the end, is written only if it says something, and may be missing. */
#define UPGRADE_VERSION 1

struct upgrade_state {
    struct upgrade_listener *listeners;
    size_t listener_count;
    /* That an operator has set, plus one; 0: the configuration's holds. Optional. */
    unsigned log_level;
    /* Descriptors of the control socket, and of its path (O_PATH); 0: there is none. Optional. */
    int control, control_path;
};

/* Packs the state into bytes, which are the caller's to free. Returns 0 or a negative errno. */
int upgrade_state_pack(const struct upgrade_state *state, char **ret_bytes, size_t *ret_size);
/*
 * Unpacks such bytes. Returns 0 and *ret (for upgrade_state_done()), -EPROTO if
 * another version packed them, -EBADMSG if they are no such bytes, or -ENOMEM.
 * It does not look at what the numbers refer to.
 */
int upgrade_state_unpack(const char *bytes, size_t size, struct upgrade_state *ret);
void upgrade_state_done(struct upgrade_state *state);

#endif
