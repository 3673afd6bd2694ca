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
    int control;           /* one above another, its wishes for the control socket; 0: none */
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
    struct upgrade_tls tls; /* optional */
};

/* Releases what belongs to the description; the descriptors in it stay open. */
void upgrade_listener_done(struct upgrade_listener *listener);

#endif
