/* SPDX-License-Identifier: MIT */
/*
 * generation.h - the worker processes of a listener that were started together
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_GENERATION_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_GENERATION_H

#include "supervisor/listener/hand_over.h"
#include "supervisor/listener/process.h"
#include "supervisor/socket/socket.h"

struct generation;

/*
 * The events are process.h's. After PROCESS_IS_GONE was told the process is
 * freed; the handler may free the generation then.
 */
typedef void (*generation_handler)(struct generation *generation, struct process *process,
                                   enum process_event event, void *userdata);

struct generation_setup {
    sd_event *event;
    const struct settings *settings; /* it takes a reference */
    const struct spawn_options *spawn;
    unsigned number;
    struct counter_sums *totals; /* what dead workers have counted is added here */
    generation_handler handler;
    void *userdata;
};

/* Notes what the plugin's file is; starts nothing yet. 0 or -ENOMEM. */
int generation_new(const struct generation_setup *setup, struct generation **ret);
/*
 * The same for workers that an earlier process of this daemon started. They
 * are taken over; those that cannot be are let go of. serving: they serve.
 * Their plugin's file counts as changed.
 */
int generation_import(const struct generation_setup *setup,
                      const struct upgrade_generation *inherited, struct generation **ret);
/* What the next process must know to import it; workers that do not serve yet are to end. 0 or
 * -ENOMEM; *ret is released with its listener, by upgrade_listener_done(), in either case. */
int generation_export(const struct generation *generation, struct upgrade_generation *ret);

/* Lets go of what still runs: it drains and ends by itself. NULL is fine. */
void generation_free(struct generation *generation);

/* Starts a worker at each empty place. 0 or a negative errno. */
int generation_start_missing(struct generation *generation, const struct listening_socket *socket);
/* Those that are ready serve now, later ones as soon as they are. */
void generation_serve(struct generation *generation);
void generation_drain(struct generation *generation, bool answer_queue);
void generation_cut(struct generation *generation);
void generation_tell(struct generation *generation, enum message_type type, uint64_t value, int fd);
/* Settings that run the same take the place of its own. */
void generation_adopt_settings(struct generation *generation, const struct settings *settings);

unsigned generation_number(const struct generation *generation);
size_t generation_size(const struct generation *generation); /* workers it should have */
size_t generation_count(const struct generation *generation, enum process_state state);
bool generation_is_empty(const struct generation *generation); /* no process at all */
bool generation_is_ready(const struct generation *generation); /* every worker is */
bool generation_is_serving(const struct generation *generation);
/* None of its workers accepts anything any more. */
bool generation_has_stopped(const struct generation *generation);
/* Whether the plugin's file has become another one since. */
bool generation_plugin_changed(const struct generation *generation);
/* The process at the place, or NULL. */
const struct process *generation_process(const struct generation *generation, size_t place);

#endif
