/* SPDX-License-Identifier: MIT */
/*
 * check.c - trying a configuration without serving it
 *
 * A plugin runs code as soon as it is loaded, so each is tried in a
 * throw-away worker, with a deadline.
 *
 * Runs in:  the supervisor's program under --check.
 * Owns:     its own event loop and the workers, within a call.
 * Failures: a worker's are mistakes of its listener, in the order of the
 *           listeners; the loop's are returned.
 */
#include "supervisor/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "common/log.h"
#include "supervisor/process.h"

#define AT_ONCE    8
#define START_USEC UINT64_C(10000000)

struct check {
    sd_event *event;
    const struct config *config;
    size_t next, running; /* listeners not yet begun; workers that run */
    struct trial *trials; /* one for each listener */
    int result;
};

struct trial {
    struct check *check;
    const struct settings *settings;
    struct process *process;
    struct errors errors;
    bool passed;
};

static const struct spawn_options check_options = {.sink = LOG_TO_STDERR, .check = true};

static void begin_next(struct check *check);

/* Mistakes in the file come with their places; others get the listener's. */
static void
note_failure(struct trial *trial, const struct process *process)
{
    const char *text;
    bool placed = process_failure(process, &text) == FAILURE_CONFIGURATION;

    while (*text != '\0') {
        int size = (int)strcspn(text, "\n");
        if (size > 0 && placed)
            errors_add(&trial->errors, NULL, 0, "%.*s", size, text);
        else if (size > 0)
            errors_add(&trial->errors, trial->settings->file, trial->settings->line,
                       "listeners.%s: %.*s", trial->settings->name, size, text);
        text += size;
        text += *text == '\n';
    }
}

static void
note_end(struct trial *trial, const struct process *process)
{
    if (!trial->passed && !errors_any(&trial->errors))
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
        break;
    case PROCESS_HAS_FAILED:
        note_failure(trial, process);
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
        break;
    }
}

static int
begin(struct trial *trial)
{
    const struct process_setup setup = {
        .event = trial->check->event,
        .settings = trial->settings,
        .options = &check_options,
        .socket_fd = -1,
        .address = trial->settings->address.text == NULL ? "" : trial->settings->address.text,
        .stream = address_is_stream(&trial->settings->address),
        .start_usec = START_USEC,
        .handler = on_process,
        .userdata = trial,
    };

    return process_new(&setup, &trial->process);
}

static void
begin_next(struct check *check)
{
    while (check->running < AT_ONCE && check->next < check->config->listener_count) {
        struct trial *trial = &check->trials[check->next];
        *trial = (struct trial){.check = check, .settings = &check->config->listeners[check->next]};
        check->next++;
        if (trial->settings->plugin_file == NULL)
            continue; /* that it names none has been said */
        int r = begin(trial);
        if (r < 0)
            check->result = r;
        else
            check->running++;
    }
    if (check->running == 0)
        (void)sd_event_exit(check->event, 0);
}

static void
finish(struct check *check, struct errors *errors)
{
    for (size_t i = 0; i < check->next; i++) {
        process_free(check->trials[i].process);
        errors_move(errors, &check->trials[i].errors);
        errors_done(&check->trials[i].errors);
    }
    free(check->trials);
    (void)sd_event_unref(check->event);
}

int
check_listeners(const struct config *config, struct errors *errors)
{
    struct check check = {.config = config};
    int r = sd_event_new(&check.event);

    if (r < 0)
        return r;
    check.trials = calloc(config->listener_count + 1, sizeof(*check.trials));
    if (check.trials == NULL) {
        r = -ENOMEM;
    } else {
        begin_next(&check);
        r = sd_event_loop(check.event);
    }
    finish(&check, errors);
    return r < 0 ? r : check.result;
}
