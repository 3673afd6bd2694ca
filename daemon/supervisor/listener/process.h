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
    PROCESS_HAS_FAILED,    /* to start; process_mistakes() say why, PROCESS_IS_GONE follows */
    PROCESS_HAS_STOPPED,   /* accepts no more */
    PROCESS_WANTS_STOP,    /* its plugin asks to stop the listener, or --once is done */
    PROCESS_WANTS_ANOTHER, /* a handler of it spins: another one shall take its place */
    PROCESS_HAS_PULSE,     /* it has answered; this comes every two seconds while it serves */
    PROCESS_IS_GONE        /* the last event: the handler may call process_free(), or do so later */
};

/* Called from the event loop. */
typedef void (*process_handler)(struct process *process, enum process_event event, void *userdata);

struct process_setup {
    sd_event *event;
    const struct settings *settings; /* of the listener; the process takes a reference */
    const struct spawn_options *options;
    struct spawn_socket socket;   /* its claim is found here */
    struct source_table *sources; /* of the listener; NULL: it has none */
    struct kept *kept;            /* of the generation, which outlives the process; NULL: none */
    uint64_t start_usec;          /* to become ready; 0: the usual 30 s */
    uint64_t numbers;             /* its requests are numbered from the one behind this */
    process_handler handler;
    void *userdata;
};

/* Starts a worker. Returns 0 and *ret, for process_free(), or a negative errno. */
int process_new(const struct process_setup *setup, struct process **ret);

/*
 * Goes on with a worker that an earlier process of this daemon started. It
 * takes the worker's descriptors over, also on failure. It uses only event,
 * settings, options, sources, kept, handler and userdata of setup. Returns 0 and *ret, or a
 * negative errno.
 */
int process_import(const struct process_setup *setup, const struct upgrade_worker *worker,
                   struct process **ret);
/* Tells what the next process must know to import the worker. The descriptors stay the process's
 * own. */
void process_export(struct process *process, struct upgrade_worker *ret);

/* Frees the process. If the worker still runs, it finds its channel closed, drains and ends by
 * itself. */
void process_free(struct process *process);

void process_serve(struct process *process);
/*
 * Tells the worker to stop accepting and to end within so many milliseconds;
 * answer_queue: it accepts what is in the socket's queue first. The order is
 * ignored if the worker already drains.
 */
void process_drain(struct process *process, uint64_t milliseconds, bool answer_queue);
/* Tells the worker to end at once; it is killed if it has not ended after a second. */
void process_cut(struct process *process);
/* Expects that the worker ends by itself; it is killed if it has not ended within so many
 * microseconds. */
void process_expect_end(struct process *process, uint64_t allowed_usec);
/* Sends the worker a message; fd is attached, -1: none. */
void process_tell(struct process *process, enum message_type type, uint64_t value, int fd);

/* Whether one of the files that the worker was made of (ss_server_uses()) has changed since. */
bool process_files_changed(const struct process *process);

/* The size of the shared memory that the worker has asked for; 0: none, as far as we know. */
uint64_t process_area(const struct process *process);

/* What a worker with `tls` says about it before it is ready. */
struct process_tls {
    uint64_t ends; /* when its first certificate does, seconds since 1970 */
    char *path;    /* of that certificate; NULL: it did not say */
    bool ktls;     /* the kernel encrypts */
};

/* Returns what the worker has said, which lives as long as the process; NULL: nothing. */
const struct process_tls *process_tls(const struct process *process);

const struct settings *process_settings(const struct process *process);
pid_t process_pid(const struct process *process);
enum process_state process_state(const struct process *process);
bool process_has_stopped(const struct process *process);
const struct counters *process_counters(const struct process *process, uint32_t *ret_slots);
/* Adds up what the worker has counted, as far as it is plausible (tally.h). */
void process_sums(const struct process *process, struct counter_sums *ret);

/* Returns how many bytes the worker occupies, 0 if it has not told yet, and has it go on telling
 * for the next minutes. */
uint64_t process_memory(const struct process *process);

/* Whether the worker said that it cannot start; then what kind of fault it is, and why. */
bool process_has_failed(const struct process *process);
enum failure process_failure(const struct process *process);
const struct errors *process_mistakes(const struct process *process); /* as the worker said them */
/* Adds the mistakes to errors, each with its own place or, if it has none, its listener's. */
void process_add_mistakes(const struct process *process, struct errors *errors);

/* After PROCESS_IS_GONE: how the worker ended, as the end of a sentence: "was killed by signal 11
 * (SIGSEGV) while it ran request 412 of 127.0.0.1:51234 (and 3 others)". */
const char *process_fate(const struct process *process);
/* Whether the worker ended in order, and because it was told to. */
bool process_ended_well(const struct process *process);
/* Returns how long the worker has served, in microseconds; 0 if it never did. */
uint64_t process_served_usec(const struct process *process);

#endif
