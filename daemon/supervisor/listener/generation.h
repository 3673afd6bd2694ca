/* SPDX-License-Identifier: MIT */
/*
 * generation.h - the worker processes of a listener that were started together
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_GENERATION_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_GENERATION_H

#include "supervisor/listener/hand_over.h"
#include "supervisor/listener/kept.h"
#include "supervisor/listener/process.h"
#include "supervisor/socket/socket.h"

struct generation;

/*
 * The events are process.h's. The process is freed after the call with
 * PROCESS_IS_GONE; the handler may free the generation in that call.
 */
typedef void (*generation_handler)(struct generation *generation, struct process *process,
                                   enum process_event event, void *userdata);

struct generation_setup {
    sd_event *event;
    const struct settings *settings; /* the generation takes a reference */
    const struct spawn_options *spawn;
    unsigned number;
    struct counter_sums *totals;       /* what dead workers have counted is added here */
    uint64_t *numbers;                 /* the listener's: see generation_note_numbers() */
    const struct ticket_keys *tickets; /* the listener's; NULL: none */
    struct source_table *sources;      /* the listener's; NULL: it has none */
    struct kept *kept;                 /* the generation becomes a holder, too */
    generation_handler handler;
    void *userdata;
};

/* Makes a generation without processes, and notes what the plugin's file is now. Returns 0 and
 * *ret, or -ENOMEM. */
int generation_new(const struct generation_setup *setup, struct generation **ret);
/*
 * Makes a generation of workers that an earlier process of this daemon started.
 * A worker that cannot be taken over is let go of. Their plugin's file counts
 * as changed.
 */
int generation_import(const struct generation_setup *setup,
                      const struct upgrade_generation *inherited, struct generation **ret);
/* Tells what the next process must know to import the generation; it will end workers that do not
 * serve yet. Returns 0 or -ENOMEM; in either case upgrade_listener_done() releases *ret with its
 * listener. */
int generation_export(const struct generation *generation, struct upgrade_generation *ret);

/* Lets go of the workers that still run: they drain and end by themselves. NULL is fine. */
void generation_free(struct generation *generation);

/* Starts a worker at each empty place. 0 or a negative errno. */
int generation_start_missing(struct generation *generation, const struct listening_socket *socket);
/*
 * Notes in the listener's `numbers` how far the living workers have numbered
 * their requests; of workers that end it is noted by itself. Those that start
 * later begin beyond, so a request's number means one request only.
 */
void generation_note_numbers(const struct generation *generation);
/* Lets the ready workers serve now, and later ones as soon as they are ready. */
void generation_serve(struct generation *generation);
void generation_drain(struct generation *generation, bool answer_queue);
void generation_cut(struct generation *generation);
void generation_tell(struct generation *generation, enum message_type type, uint64_t value, int fd);
/* Replaces the generation's settings by others under which its workers would run the same. */
void generation_adopt_settings(struct generation *generation, const struct settings *settings);

/* What the generation's plugin has asked to be kept. */
struct kept *generation_kept(const struct generation *generation);
/* Whether a worker of it has asked for shared memory: of this size, or with 0, of any. */
bool generation_uses_area(const struct generation *generation, uint64_t size);

unsigned generation_number(const struct generation *generation);
size_t generation_size(const struct generation *generation); /* workers it should have */
size_t generation_count(const struct generation *generation, enum process_state state);
bool generation_is_empty(const struct generation *generation); /* no process at all */
bool generation_is_ready(const struct generation *generation); /* every worker is ready */
bool generation_is_serving(const struct generation *generation);
/* Whether no worker of the generation accepts anything any more. */
bool generation_has_stopped(const struct generation *generation);
/* Whether the plugin's file has changed since generation_new(). */
bool generation_plugin_changed(const struct generation *generation);
/* Returns the process at the place, or NULL. */
const struct process *generation_process(const struct generation *generation, size_t place);

#endif
