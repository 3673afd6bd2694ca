/* SPDX-License-Identifier: MIT */
/*
 * hand_over.h - what a listener tells the next process of the daemon
 *
 * Each layer exports its own part: the listener, its generations, their
 * workers. change/upgrade_state.h makes bytes of it. Descriptors are told by
 * their numbers.
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_HAND_OVER_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_HAND_OVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/counters.h"
#include "common/settings.h"
#include "common/ticket_keys.h"

struct upgrade_worker {
    pid_t pid;
    int channel, counters; /* descriptors */
    int log;               /* another; -1: it has none */
    int wishes;            /* one above another, see channel.h; 0: none */
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

struct upgrade_tls {
    struct ticket_keys_state tickets; /* no keys: it has none */
    bool known;                       /* a generation has said the rest */
    bool ktls;
    uint64_t ends; /* as in listener_tls.h */
    char *path;    /* owned; NULL: none */
};

#define KEPT_MOST       32 /* descriptors of a listener */
#define KEPT_NAME_SIZE  64
#define KEPT_AREAS_MOST 2

struct upgrade_kept_fd {
    char name[KEPT_NAME_SIZE];
    int fd;
};

struct upgrade_kept_area {
    uint64_t size;
    int fd;
};

/* What its plugin has asked to be kept: kept.h. */
struct upgrade_kept {
    char *plugin_file; /* owned; NULL: nothing is kept */
    struct upgrade_kept_fd fds[KEPT_MOST];
    size_t count;
    struct upgrade_kept_area areas[KEPT_AREAS_MOST];
    size_t area_count;
};

struct upgrade_listener {
    const struct settings *settings;
    bool removed;  /* removed from the configuration; it drains */
    uint32_t goal; /* enum listener_goal */
    uint32_t number;
    uint64_t restarts;
    struct counter_sums totals;
    uint64_t numbers; /* of requests, as in the listener; optional */
    int sources;      /* one above the descriptor of its table of sources; 0: it has none */
    struct upgrade_generation *generations;
    size_t generation_count;
    struct upgrade_tls tls;   /* optional */
    struct upgrade_kept kept; /* optional */
};

/* Releases what belongs to the description; the descriptors in it stay open. */
void upgrade_listener_done(struct upgrade_listener *listener);

#endif
