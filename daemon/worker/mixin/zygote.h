/* SPDX-License-Identifier: MIT */
/*
 * zygote.h - what the three files of the forking mixin share
 */
#ifndef SOCKSERVERD_WORKER_MIXIN_ZYGOTE_H
#define SOCKSERVERD_WORKER_MIXIN_ZYGOTE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct housekeeping;
struct slot;
struct ss_request;
struct ss_server;

#define STATUS_USELESS 2         /* of a child that could not even wait for a request */
#define FORK_RETRY_NS  100000000 /* so long after a fork failed, or a child was useless */

struct zygote {
    struct ss_server *server;
    struct housekeeping *housekeeping;
    pid_t pid;
    pid_t *children;            /* by slot; 0: none; not there in a child */
    struct ss_request *request; /* every child's: made once, so that a child touches few pages */
    uint32_t limit, spare;
    uint32_t top;     /* no child is in this place or above it */
    uint32_t running; /* children not reaped */
    bool cramped;     /* the last fork failed */
};

/* ---- a child's life: child.c ------------------------------------------------------ */

/* Before any is forked: children have their handler for SIGTERM from birth. */
void children_prepare(struct ss_server *server);

/* What a child does, from fork() to its end. */
_Noreturn void child_main(struct zygote *zygote, struct slot *slot);

/* ---- and its end: reap.c ----------------------------------------------------------- */

/* Reaps those that have ended, if SIGCHLD said so. */
void children_reap(struct zygote *zygote);

/* Ends the programs that children have become and whose time is up. */
void children_end_programs(const struct zygote *zygote);

/* Kills children whose handlers do not end although request_timeout is over. */
void children_kill_overtime(const struct zygote *zygote);

/* The drain's time is up: kills all that are left, and reaps them. */
void children_end(struct zygote *zygote);

#endif
