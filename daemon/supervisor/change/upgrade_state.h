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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/counters.h"
#include "common/settings.h"

/* Raised whenever the meaning of anything below changes. What is only added goes to the end, is
 * written only if it says something, and may be missing. */
#define UPGRADE_VERSION 1

struct upgrade_worker {
    pid_t pid;
    int channel, counters; /* descriptors */
    uint32_t slots;
    uint32_t state;    /* enum process_state: SERVING, DRAINING or ENDING */
    uint64_t deadline; /* of that state; CLOCK_MONOTONIC, microseconds; UINT64_MAX: none */
    uint64_t serving_since, pings;
    bool stopped, asked_to_end;
};

struct upgrade_generation {
    uint32_t number;
    bool present; /* false: it drains */
    const struct settings *settings;
    struct upgrade_worker *workers;
    size_t worker_count;
};

struct upgrade_listener {
    const struct settings *settings;
    bool removed;  /* from the configuration; it drains */
    uint32_t goal; /* enum listener_goal */
    uint32_t number;
    uint64_t restarts;
    struct counter_sums totals;
    struct upgrade_generation *generations;
    size_t generation_count;
};

struct upgrade_state {
    struct upgrade_listener *listeners;
    size_t listener_count;
    unsigned
        log_level; /* set while it ran: that plus one; 0: it is the configuration's. Optional */
};

/* To bytes, which are the caller's to free. 0 or a negative errno. */
int upgrade_state_pack(const struct upgrade_state *state, char **ret_bytes, size_t *ret_size);
/*
 * And back. 0 and *ret (for upgrade_state_done()), -EPROTO if they are of
 * another version, -EBADMSG if they are no such bytes, or -ENOMEM. What the
 * numbers refer to is not looked at.
 */
int upgrade_state_unpack(const char *bytes, size_t size, struct upgrade_state *ret);
void upgrade_state_done(struct upgrade_state *state);

#endif
