/* SPDX-License-Identifier: MIT */
/*
 * supervisor.h - the process that owns the sockets and watches the workers
 */
#ifndef SOCKSERVERD_SUPERVISOR_SUPERVISOR_H
#define SOCKSERVERD_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>

#include "common/errors.h"
#include "config/config.h"

struct supervisor_options {
    bool strict;        /* a listener that cannot start ends the daemon */
    bool once;          /* one request per listener */
    bool end_when_idle; /* nothing could start a stopped listener again: end with the last one */
    /*
     * Reads the configuration anew, for a reload: 0, -EINVAL with mistakes in
     * errors, or another negative errno; *ret is for config_done() in every
     * case. NULL: it cannot be read again.
     */
    int (*load)(struct config *ret, struct errors *errors, const void *userdata);
    const void *userdata;
};

/*
 * Blocks what the event loop reads, and ignores SIGPIPE. First thing in
 * main(): before it, a signal meant for the daemon would end it.
 */
void supervisor_block_signals(void);
/* For what runs in this process without the loop. */
void supervisor_unblock_signals(void);

/*
 * Serves until told to stop. Returns 0 when it was stopped in order, -EINVAL
 * when a worker found mistakes in the configuration, or another negative
 * errno. Everything is already logged then.
 */
int supervisor_run(const struct config *config, const struct supervisor_options *options);

#endif
