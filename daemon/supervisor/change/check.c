/* SPDX-License-Identifier: MIT */
/*
 * check.c - trying a configuration without serving it
 *
 * A plugin runs code as soon as it is loaded, so each is tried in a
 * throw-away worker, with a deadline. A name has one, too (lookup.c).
 *
 * Runs in:  the supervisor, at a reload; its program under --check.
 * Owns:     the workers, until check_free().
 * Failures: a worker's are mistakes of its listener, in the order of the
 *           listeners; the loop's are returned.
 */
#include "supervisor/change/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "supervisor/listener/process.h"
#include "supervisor/socket/lookup.h"

#define AT_ONCE    8
#define START_USEC UINT64_C(10000000)
#define END_USEC   UINT64_C(5000000) /* from being ready to the end of its process */

struct check {
    struct check_setup setup;
    struct spawn_options spawn;
    sd_event_source *conclusion; /* runs when all have been tried */
    size_t next, running;        /* listeners not yet begun; workers and look-ups that run */
    struct trial *trials;        /* one for each listener */
    int result;
};

struct trial {
    struct check *check;
    struct check_item *item;
    const struct settings *settings;
    struct process *process;
    struct lookup *lookup;
    struct errors errors;
    bool passed;
};

static void begin_next(struct check *check);

static void
note_end(struct trial *trial, const struct process *process)
{
    bool fine = trial->passed && process_ended_well(process);

    if (!fine && !errors_any(&trial->errors))
        errors_add(&trial->errors, trial->settings->file, trial->settings->line,
                   "listeners.%s: the process that checks plugin \"%s\" %s", trial->settings->name,
                   trial->settings->plugin, process_fate(process));
}

static void
on_process(struct process *process, enum process_event event, void *userdata)
{
    struct trial *trial = userdata;

    switch (event) {
    case PROCESS_IS_READY:
        trial->passed = true;
        process_expect_end(process, END_USEC);
        break;
    case PROCESS_HAS_FAILED:
        process_add_mistakes(process, &trial->errors);
        break;
    case PROCESS_IS_GONE:
        note_end(trial, process);
        trial->process = NULL;
        process_free(process);
        trial->check->running--;
        begin_next(trial->check);
        break;
    case PROCESS_HAS_STOPPED:
    case PROCESS_WANTS_STOP:
    case PROCESS_HAS_PULSE:
    case PROCESS_WANTS_ANOTHER:
        break;
    }
}

static void
on_looked_up(const struct resolved *found, const char *problem, void *userdata)
{
    struct trial *trial = userdata;

    if (found != NULL)
        trial->item->found = *found;
    else
        settings_mistake_at(trial->settings, setting_find("address"), &trial->errors, "%s",
                            problem);
    lookup_free(take_pointer(trial->lookup));
    trial->check->running--;
    begin_next(trial->check);
}

static int
begin_lookup(struct trial *trial)
{
    const struct lookup_setup setup = {
        .event = trial->check->setup.event,
        .address = &trial->settings->address,
        .patience_usec = LOOKUP_USEC,
        .done = on_looked_up,
        .userdata = trial,
    };

    return lookup_new(&setup, &trial->lookup);
}

static int
begin_worker(struct trial *trial)
{
    const struct address *address = &trial->settings->address;
    const struct process_setup setup = {
        .event = trial->check->setup.event,
        .settings = trial->settings,
        .options = &trial->check->spawn,
        .socket = {.fd = -1, .address = address->text == NULL ? "" : address->text},
        .start_usec = START_USEC,
        .handler = on_process,
        .userdata = trial,
    };

    return process_new(&setup, &trial->process);
}

static void
take_note(struct check *check, int result)
{
    if (result < 0)
        check->result = result;
    else
        check->running++;
}

static void
begin_next(struct check *check)
{
    while (check->running < AT_ONCE && check->next < check->setup.count) {
        struct check_item *item = &check->setup.items[check->next];
        struct trial *trial = &check->trials[check->next++];
        *trial = (struct trial){.check = check, .item = item, .settings = item->settings};
        if (item->name)
            take_note(check, begin_lookup(trial));
        if (item->plugin && item->settings->plugin_file != NULL) /* that it has none was said */
            take_note(check, begin_worker(trial));
    }
    if (check->running == 0)
        (void)sd_event_source_set_enabled(check->conclusion, SD_EVENT_ONESHOT);
}

static int
on_conclusion(sd_event_source *source, void *userdata)
{
    struct check *check = userdata;
    struct errors errors = {0};

    (void)source;
    for (size_t i = 0; i < check->next; i++)
        errors_move(&errors, &check->trials[i].errors);
    check->setup.done(check->result, &errors, check->setup.userdata);
    errors_done(&errors);
    return 0;
}

int
check_new(const struct check_setup *setup, struct check **ret)
{
    struct check *check = calloc(1, sizeof(*check));

    if (check == NULL)
        return -ENOMEM;
    check->setup = *setup;
    check->spawn = *setup->spawn;
    check->spawn.check = true;
    check->trials = calloc(setup->count + 1, sizeof(*check->trials));
    int r = check->trials == NULL
                ? -ENOMEM
                : sd_event_add_defer(setup->event, &check->conclusion, on_conclusion, check);
    if (r < 0) {
        check_free(check);
        return r;
    }
    (void)sd_event_source_set_enabled(check->conclusion, SD_EVENT_OFF);
    begin_next(check);
    *ret = check;
    return 0;
}

void
check_free(struct check *check)
{
    if (check == NULL)
        return;
    for (size_t i = 0; i < check->next; i++) {
        process_free(check->trials[i].process);
        lookup_free(check->trials[i].lookup);
        errors_done(&check->trials[i].errors);
    }
    free(check->trials);
    (void)sd_event_source_disable_unref(check->conclusion);
    free(check);
}

/* ---- --check ---------------------------------------------------------------------------- */

struct whole {
    sd_event *event;
    struct errors *errors;
    int result;
};

static void
on_whole_done(int error, struct errors *errors, void *userdata)
{
    struct whole *whole = userdata;

    whole->result = error;
    errors_move(whole->errors, errors);
    (void)sd_event_exit(whole->event, 0);
}

int
check_listeners(const struct config *config, bool names, struct errors *errors)
{
    static const struct spawn_options spawn = {.sink = LOG_TO_STDERR};
    struct check_item *items = calloc(config->listener_count + 1, sizeof(*items));
    struct whole whole = {.errors = errors};
    struct check *check = NULL;
    int r = items == NULL ? -ENOMEM : sd_event_new(&whole.event);

    for (size_t i = 0; r >= 0 && i < config->listener_count; i++) {
        const struct settings *settings = config->listeners[i];
        bool name = names && settings->enabled && address_is_name(&settings->address);
        items[i] = (struct check_item){.settings = settings, .plugin = true, .name = name};
    }
    const struct check_setup setup = {
        .event = whole.event,
        .spawn = &spawn,
        .items = items,
        .count = config->listener_count,
        .done = on_whole_done,
        .userdata = &whole,
    };
    if (r >= 0)
        r = check_new(&setup, &check);
    if (r >= 0)
        r = sd_event_loop(whole.event);
    check_free(check);
    (void)sd_event_unref(whole.event);
    free(items);
    return r < 0 ? r : whole.result;
}
