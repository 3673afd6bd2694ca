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
    bool end_when_idle;   /* ends with the last listener: nothing could start a stopped one again */
    char *const *command; /* runs while the listeners serve, NULL at its end; NULL: none */
    int *command_status;  /* of the command: see below; NULL: not of interest */
    config_loader load;   /* for a reload; NULL: the configuration cannot be read again */
    const void *userdata; /* of load */
};

/*
 * Serves until somebody stops the daemon. Returns 0 when it was stopped in
 * order, -EINVAL when a worker found mistakes in the configuration, or another
 * negative errno. Every error is already logged then. After the first reload,
 * config has no listeners any more: others have taken their place.
 * *command_status: 128 and the number of the signal that ended the command, or its exit status; it
 * stays as it is if the command was not run.
 */
int supervisor_run(struct config *config, const struct supervisor_options *options);

#endif
