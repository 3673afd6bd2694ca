/* SPDX-License-Identifier: MIT */
/*
 * spawn.h - starting a worker process
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_SPAWN_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/counters.h"
#include "common/log.h"
#include "common/settings.h"
#include "common/ticket_keys.h"

/* What all workers of a daemon are told alike. */
struct spawn_options {
    enum log_sink sink;
    bool access; /* one line per request */
    bool fields; /* of log lines, beside their text */
    bool once;
    bool check;
    /* A worker with control_access has sent one end of a socket, which this takes over. */
    void (*control_asked)(int fd, void *userdata);
    void *userdata;
};

struct spawned {
    pid_t pid;
    int channel; /* the supervisor's end */
    int counters_fd;
    int wishes; /* our end of INHERITED_WISHES; -1: none */
    int log;    /* reads what the worker writes to standard output and standard error */
    struct counters *counters;
    uint32_t slots; /* how many the supervisor made: never what the mapping says */
};

/*
 * Chooses the program that workers execute from now on; the default is the one
 * that belongs to this daemon. Returns 0 or a negative errno.
 */
int spawn_use_program(const char *path);

/*
 * Writes what an error of starting something means, with the remedy if there is
 * one. buffer has at least SPAWN_REASON_SIZE bytes, and is returned.
 */
#define SPAWN_REASON_SIZE 160
const char *spawn_reason(int error, char *buffer);

/* What belongs to the listener, and a worker inherits. */
struct spawn_socket {
    int fd;                             /* it listens; -1: none, for a check */
    const char *address;                /* the real one */
    const struct ticket_keys *tickets;  /* NULL: none */
    const struct source_table *sources; /* NULL: none */
    uint32_t claim;                     /* the worker's first in that table, or NO_CLAIM */
};

/*
 * Starts a worker for the listener. Returns 0 and fills *ret, all of which is
 * the caller's, or a negative errno. If the program cannot be executed,
 * MESSAGE_FAILED comes through the channel.
 */
int spawn_worker(const struct settings *settings, const struct spawn_options *options,
                 const struct spawn_socket *socket, struct spawned *ret);

#endif
