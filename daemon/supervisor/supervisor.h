/* SPDX-License-Identifier: MIT */
/*
 * supervisor.h - the process that owns the sockets and watches the workers
 */
#ifndef SOCKSERVERD_SUPERVISOR_SUPERVISOR_H
#define SOCKSERVERD_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>

#include "config/config.h"
#include "supervisor/change/change.h"

struct supervisor_options {
    bool strict;          /* a listener that cannot start ends the daemon */
    bool once;            /* one request per listener */
    bool end_when_idle;   /* nothing could start a stopped listener again: end with the last one */
    config_loader load;   /* for a reload; NULL: it cannot be read again */
    const void *userdata; /* of load */
};

/*
 * Serves until told to stop. Returns 0 when it was stopped in order, -EINVAL
 * when a worker found mistakes in the configuration, or another negative
 * errno. Everything is already logged then.
 */
int supervisor_run(const struct config *config, const struct supervisor_options *options);

#endif
