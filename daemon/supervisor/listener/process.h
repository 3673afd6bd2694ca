/* SPDX-License-Identifier: MIT */
/*
 * process.h - one worker process, as the supervisor sees it
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_PROCESS_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/channel.h"
#include "common/counters.h"
#include "common/settings.h"
#include "supervisor/listener/hand_over.h"
#include "supervisor/listener/spawn.h"

struct process;

enum process_state {
    PROCESS_STARTING, /* loads its plugin; has a deadline */
    PROCESS_READY,    /* waits to be told to serve */
    PROCESS_SERVING,
    PROCESS_DRAINING, /* accepts no more, finishes what runs */
    PROCESS_ENDING,   /* told to end at once, or killed */
    PROCESS_GONE
};

enum process_event {
    PROCESS_IS_READY,
    PROCESS_HAS_FAILED,  /* to start: process_mistakes() say why; PROCESS_IS_GONE follows */
    PROCESS_HAS_STOPPED, /* accepts no more */
    PROCESS_WANTS_STOP,  /* its plugin asks to stop the listener, or --once is done */
    PROCESS_IS_GONE      /* the last event: process_free() it, here or later */
};

/* Called from the event loop. */
typedef void (*process_handler)(struct process *process, enum process_event event, void *userdata);

struct process_setup {
    sd_event *event;
    const struct settings *settings; /* of the listener; the process takes a reference */
    const struct spawn_options *options;
    struct spawn_socket socket;
    uint64_t start_usec; /* to become ready; 0: the usual 30 s */
    process_handler handler;
    void *userdata;
};

/* Starts a worker. 0 and *ret, or a negative errno. */
int process_new(const struct process_setup *setup, struct process **ret);

/*
 * One that an earlier process of this daemon started. Its descriptors are
 * taken over, also on failure. Of setup, event, settings, handler and userdata
 * are used. 0 and *ret, or a negative errno.
 */
int process_import(const struct process_setup *setup, const struct upgrade_worker *worker,
                   struct process **ret);
/* What the next process must know to import it. The descriptors stay ours. */
void process_export(const struct process *process, struct upgrade_worker *ret);

/* Lets go of it. One that still runs finds its channel closed: it drains and ends by itself. */
void process_free(struct process *process);

void process_serve(struct process *process);
/*
 * Stop accepting and end within so many milliseconds; answer_queue: accept
 * what is in the socket's queue first. Ignored if it already drains.
 */
void process_drain(struct process *process, uint64_t milliseconds, bool answer_queue);
/* End at once; killed if it has not after a second. */
void process_cut(struct process *process);
/* It is about to end by itself; killed if it has not within so many microseconds. */
void process_expect_end(struct process *process, uint64_t allowed_usec);
/* Sends another message; fd is attached, -1: none. */
void process_tell(struct process *process, enum message_type type, uint64_t value, int fd);

pid_t process_pid(const struct process *process);
enum process_state process_state(const struct process *process);
bool process_has_stopped(const struct process *process);
const struct counters *process_counters(const struct process *process, uint32_t *ret_slots);

/* Whether it said that it cannot start; then what kind of fault it is, and why. */
bool process_has_failed(const struct process *process);
enum failure process_failure(const struct process *process);
const struct errors *process_mistakes(const struct process *process); /* as it said them */
/* Adds them to errors, each with its own place or, if it has none, its listener's. */
void process_add_mistakes(const struct process *process, struct errors *errors);

/* After PROCESS_IS_GONE: how it ended, as the end of a sentence: "was killed by signal 11
 * (SIGSEGV) while it ran request 412 of 127.0.0.1:51234 (and 3 others)". */
const char *process_fate(const struct process *process);
/* Whether it ended because it was told to, and in order. */
bool process_ended_well(const struct process *process);
/* How long it has served, in microseconds; 0 if it never did. */
uint64_t process_served_usec(const struct process *process);

#endif
