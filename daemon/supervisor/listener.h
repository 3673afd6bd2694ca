/* SPDX-License-Identifier: MIT */
/*
 * listener.h - one entry of the configuration and what becomes of it
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "common/counters.h"
#include "common/errors.h"
#include "common/settings.h"
#include "supervisor/spawn.h"

struct listener;

enum listener_state {
    LISTENER_STOPPED,  /* disabled, or stopped for good */
    LISTENER_STARTING, /* its workers load the plugin */
    LISTENER_SERVING,
    LISTENER_FAILED,  /* could not start; is tried again later */
    LISTENER_BACKING, /* its worker died; a new one starts later, clients wait in the queue */
    LISTENER_DRAINING /* accepts no more */
};

/* What the listeners of a daemon have in common. Must outlive them. */
struct listener_host {
    sd_event *event;
    struct spawn_options spawn;
    bool keep_trying; /* failed listeners are tried again; false: the first failure is final */
    /* Where mistakes found by workers are gathered, for good; NULL: logged, and tried again. */
    struct errors *configuration_errors;
    /* Called when a listener entered another state, from the event loop. */
    void (*changed)(struct listener *listener, void *userdata);
    void *userdata;
};

/* A stopped listener with settings of its own (copied). 0 or -ENOMEM. */
int listener_new(const struct listener_host *host, const struct settings *settings,
                 struct listener **ret);
/* Lets go of what still runs: it drains and ends by itself. */
void listener_free(struct listener *listener);

/* Opens the socket and starts the workers. Failures are logged here. */
void listener_start(struct listener *listener);
/* Stop accepting, finish what runs within drain_timeout, and stay stopped. */
void listener_drain(struct listener *listener);
/* The same, at once. */
void listener_cut(struct listener *listener);
/* An order of enum message_type for all workers; fd -1: none. */
void listener_tell(struct listener *listener, unsigned order, uint64_t value, int fd);

enum listener_state listener_state(const struct listener *listener);
const char *listener_state_name(enum listener_state state);
const struct settings *listener_settings(const struct listener *listener);
/* Whether any of its processes still runs. */
bool listener_has_processes(const struct listener *listener);
/* Whether it has failed because its configuration is wrong. */
bool listener_is_misconfigured(const struct listener *listener);
/* Why it is failed, or ended badly under --once; NULL: it is or did not. */
const char *listener_problem(const struct listener *listener);

#define LISTENER_PIDS 64

struct listener_status {
    const char *name, *state; /* texts are valid until the loop goes on */
    const char *address;      /* the real one; as configured while there is no socket */
    const char *plugin;       /* its file */
    const char *mixin;
    const char *problem; /* the last one; NULL: none */
    uint32_t max_connections;
    unsigned generation;       /* number of the present one; 0: none yet */
    unsigned draining;         /* older generations that still run requests */
    pid_t pids[LISTENER_PIDS]; /* of the present generation */
    size_t pid_count;
    struct counter_sums sums; /* of all its workers, dead ones and older generations included */
    uint64_t restarts;        /* workers that died and were replaced */
    uint64_t since;           /* when it entered its state: CLOCK_MONOTONIC, microseconds */
    int fd;                   /* its listening socket; -1: none */
    bool stream;
};

void listener_status(const struct listener *listener, struct listener_status *ret);

/* One worker that runs, of any generation. slots: ours, not what the mapping says. */
struct listener_worker {
    pid_t pid;
    unsigned generation;
    bool draining;
    const struct counters *counters;
    uint32_t slots;
};

void listener_visit_workers(const struct listener *listener,
                            void (*visit)(const struct listener_worker *worker, void *userdata),
                            void *userdata);

#endif
