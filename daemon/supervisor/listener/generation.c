/* SPDX-License-Identifier: MIT */
/*
 * generation.c - the worker processes of a listener that were started together
 *
 * There are as many as the mixin asks for (`cpus` for none, else one), with the
 * same settings, on the same socket. A process that dies leaves its place empty
 * until the listener has the place filled.
 *
 * Runs in:  the supervisor.
 * Owns:     its processes and a reference to the settings.
 * Failures: returned, or told to the listener (listener.c), which decides.
 */
#include "supervisor/listener/generation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/patience.h"
#include "supervisor/listener/used_files.h"

struct generation {
    sd_event *event;
    const struct settings *settings;
    struct spawn_options spawn;
    unsigned number;
    struct counter_sums *totals;
    uint64_t *numbers;
    const struct ticket_keys *tickets;
    struct source_table *sources;
    struct kept *kept;
    generation_handler handler;
    void *userdata;

    struct file_stamp plugin; /* its file when the workers were started */
    bool serving;
    struct process **processes;
    size_t size; /* places in processes; NULL where one is missing */
};

/* ---- the plugin's files ---------------------------------------------------------- */

bool
generation_plugin_changed(const struct generation *generation)
{
    struct file_stamp now = file_stamp_look(generation->settings->plugin_file);

    if (!file_stamp_is_same(&now, &generation->plugin))
        return true;
    for (size_t i = 0; i < generation->size; i++)
        if (generation->processes[i] != NULL && process_files_changed(generation->processes[i]))
            return true;
    return false;
}

/* ---- processes --------------------------------------------------------------------- */

static void
add_to_totals(struct counter_sums *totals, const struct process *process)
{
    struct counter_sums sums;

    process_sums(process, &sums);
    counter_sums_add_past(totals, &sums);
}

/* ---- numbers of requests ----------------------------------------------------------------- */

/*
 * Each worker numbers its requests itself. Those of the places of a generation,
 * which number at the same time, lie far apart; at one place a new worker
 * begins with the next full million but leaves room for its predecessor, which
 * may still answer its queue: 1, 2, ... 1000001, 1000002, ...
 */
#define NUMBERS_OF_A_PLACE UINT64_C(1000000000000)
#define NUMBERS_ROUND      UINT64_C(1000000)
#define NUMBERS_ROOM       UINT64_C(100000)

static void
note_numbers(uint64_t *numbers, const struct process *process)
{
    uint32_t slots;
    uint64_t given = counter_get(process_counters(process, &slots)->requests) % NUMBERS_OF_A_PLACE;

    if (given > *numbers)
        *numbers = given;
}

void
generation_note_numbers(const struct generation *generation)
{
    for (size_t i = 0; i < generation->size; i++)
        if (generation->processes[i] != NULL)
            note_numbers(generation->numbers, generation->processes[i]);
}

static uint64_t
first_numbers(const struct generation *generation, size_t place)
{
    uint64_t given = *generation->numbers, first;

    first = (given + NUMBERS_ROOM + NUMBERS_ROUND - 1) / NUMBERS_ROUND * NUMBERS_ROUND;
    if (given == 0 || generation->spawn.once)
        first = 0;
    return place * NUMBERS_OF_A_PLACE + first % NUMBERS_OF_A_PLACE;
}

/* ---- processes, their beginning and end ---------------------------------------------------- */

static void
on_process(struct process *process, enum process_event event, void *userdata)
{
    struct generation *generation = userdata;

    if (event != PROCESS_IS_GONE) {
        generation->handler(generation, process, event, generation->userdata);
        return;
    }
    for (size_t i = 0; i < generation->size; i++)
        if (generation->processes[i] == process)
            generation->processes[i] = NULL;
    add_to_totals(generation->totals, process);
    note_numbers(generation->numbers, process);
    generation->handler(generation, process, event, generation->userdata);
    process_free(process); /* the handler may have freed the generation */
}

int
generation_start_missing(struct generation *generation, const struct listening_socket *socket)
{
    struct process_setup setup = {
        .event = generation->event,
        .settings = generation->settings,
        .options = &generation->spawn,
        .socket = {.fd = socket->fd, .address = socket->address, .tickets = generation->tickets},
        .sources = settings_limit_sources(generation->settings) ? generation->sources : NULL,
        .kept = generation->kept,
        .handler = on_process,
        .userdata = generation,
    };

    for (size_t i = 0; i < generation->size; i++) {
        if (generation->processes[i] != NULL)
            continue;
        setup.numbers = first_numbers(generation, i);
        int r = process_new(&setup, &generation->processes[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

void
generation_serve(struct generation *generation)
{
    generation->serving = true;
    for (size_t i = 0; i < generation->size; i++)
        if (generation->processes[i] != NULL)
            process_serve(generation->processes[i]);
}

void
generation_drain(struct generation *generation, bool answer_queue)
{
    uint64_t milliseconds = (uint64_t)(generation->settings->drain_timeout * 1000);

    for (size_t i = 0; i < generation->size; i++)
        if (generation->processes[i] != NULL)
            process_drain(generation->processes[i], milliseconds, answer_queue);
}

void
generation_cut(struct generation *generation)
{
    for (size_t i = 0; i < generation->size; i++)
        if (generation->processes[i] != NULL)
            process_cut(generation->processes[i]);
}

void
generation_tell(struct generation *generation, enum message_type type, uint64_t value, int fd)
{
    for (size_t i = 0; i < generation->size; i++)
        if (generation->processes[i] != NULL)
            process_tell(generation->processes[i], type, value, fd);
}

/* ---- beginning and end --------------------------------------------------------------- */

int
generation_new(const struct generation_setup *setup, struct generation **ret)
{
    struct generation *generation = calloc(1, sizeof(*generation));
    const struct settings *settings = setup->settings;

    if (generation == NULL)
        return -ENOMEM;
    generation->event = setup->event;
    generation->spawn = *setup->spawn;
    generation->number = setup->number;
    generation->totals = setup->totals;
    generation->numbers = setup->numbers;
    generation->tickets = setup->tickets;
    generation->sources = setup->sources;
    generation->handler = setup->handler;
    generation->userdata = setup->userdata;
    generation->size = mixin_workers(settings);
    generation->processes = calloc(generation->size, sizeof(struct process *));
    if (generation->processes == NULL) {
        free(generation);
        return -ENOMEM;
    }
    generation->settings = settings_ref(settings);
    generation->kept = kept_ref(setup->kept);
    generation->plugin = file_stamp_look(settings->plugin_file);
    *ret = generation;
    return 0;
}

/* ---- upgrade ------------------------------------------------------------------------------ */

static int
make_places(struct generation *generation, size_t size)
{
    struct process **processes =
        reallocarray(generation->processes, size, sizeof(struct process *));

    if (processes == NULL)
        return -ENOMEM;
    for (size_t i = generation->size; i < size; i++)
        processes[i] = NULL;
    generation->processes = processes;
    generation->size = size;
    return 0;
}

int
generation_import(const struct generation_setup *setup, const struct upgrade_generation *inherited,
                  struct generation **ret)
{
    struct generation *generation;
    int r;

    do
        r = generation_new(setup, &generation);
    while (patience_allows(r));
    if (r < 0)
        return r;
    do
        r = inherited->worker_count > generation->size
                ? make_places(generation, inherited->worker_count)
                : 0;
    while (patience_allows(r));
    if (r < 0) {
        generation_free(generation);
        return r;
    }
    const struct process_setup process = {
        .event = generation->event,
        .settings = generation->settings,
        .sources = generation->sources,
        .kept = generation->kept,
        .options = setup->spawn,
        .handler = on_process,
        .userdata = generation,
    };
    for (size_t i = 0; i < inherited->worker_count; i++) {
        r = process_import(&process, &inherited->workers[i], &generation->processes[i]);
        if (r < 0)
            log_listener(generation->settings->name, LOG_ERR, "cannot take over worker %d: %s",
                         (int)inherited->workers[i].pid, strerror(-r));
    }
    generation->plugin = (struct file_stamp){0};
    generation->serving = inherited->present;
    *ret = generation;
    return 0;
}

int
generation_export(const struct generation *generation, struct upgrade_generation *ret)
{
    ret->number = generation->number;
    ret->settings = settings_ref(generation->settings);
    ret->workers = calloc(generation->size, sizeof(*ret->workers));
    if (ret->workers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < generation->size; i++) {
        struct process *process = generation->processes[i];
        if (process != NULL)
            process_export(process, &ret->workers[ret->worker_count++]);
    }
    return 0;
}

void
generation_free(struct generation *generation)
{
    if (generation == NULL)
        return;
    for (size_t i = 0; i < generation->size; i++)
        process_free(generation->processes[i]);
    free(generation->processes);
    kept_unref(generation->kept);
    settings_unref(generation->settings);
    free(generation);
}

void
generation_adopt_settings(struct generation *generation, const struct settings *settings)
{
    (void)settings_ref(settings); /* this comes first: both may be the same settings */
    settings_unref(generation->settings);
    generation->settings = settings;
}

/* ---- what others ask ------------------------------------------------------------------ */

struct kept *
generation_kept(const struct generation *generation)
{
    return generation->kept;
}

bool
generation_uses_area(const struct generation *generation, uint64_t size)
{
    for (size_t i = 0; i < generation->size; i++) {
        uint64_t area =
            generation->processes[i] == NULL ? 0 : process_area(generation->processes[i]);

        if (area != 0 && (size == 0 || area == size))
            return true;
    }
    return false;
}

unsigned
generation_number(const struct generation *generation)
{
    return generation->number;
}

size_t
generation_size(const struct generation *generation)
{
    return generation->size;
}

size_t
generation_count(const struct generation *generation, enum process_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < generation->size; i++)
        count +=
            generation->processes[i] != NULL && process_state(generation->processes[i]) == state;
    return count;
}

bool
generation_is_empty(const struct generation *generation)
{
    for (size_t i = 0; i < generation->size; i++)
        if (generation->processes[i] != NULL)
            return false;
    return true;
}

bool
generation_is_ready(const struct generation *generation)
{
    return generation_count(generation, PROCESS_READY) == generation->size;
}

bool
generation_is_serving(const struct generation *generation)
{
    return generation->serving;
}

bool
generation_has_stopped(const struct generation *generation)
{
    for (size_t i = 0; i < generation->size; i++)
        if (generation->processes[i] != NULL && !process_has_stopped(generation->processes[i]))
            return false;
    return true;
}

const struct process *
generation_process(const struct generation *generation, size_t place)
{
    return place < generation->size ? generation->processes[place] : NULL;
}
