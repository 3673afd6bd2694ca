/* SPDX-License-Identifier: MIT */
/*
 * orders.c - what clients want of one request: that it ends, or that it says where it is
 *
 * A worker answers the latter in its own time, so the client waits while a
 * timer looks for the answer. Between two looks the worker, its listener or the
 * request may go away: all are looked up anew.
 *
 * Runs in:  the supervisor.
 * Owns:     the question of each client that waits for an answer.
 * Failures: are replies.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/printable.h"
#include "supervisor/control/control_private.h"
#include "supervisor/listener/process_orders.h"

#define LOOK_USEC   UINT64_C(10000) /* between two looks for an answer */
#define LOOKS       200             /* two seconds */
#define AGAIN_EVERY 20              /* looks, until a loop that may not look is asked once more */
#define FIRST_AGAIN 5

struct question {
    char *listener;
    uint64_t request;
    pid_t worker;
    uint32_t serial;
    unsigned looks;
    sd_event_source *timer;
};

/* Which worker of a listener runs a request; or which has that process id. */
struct search {
    uint64_t request;
    pid_t pid;
    const struct process *found;
};

static void
look_for(const struct listener_worker *worker, void *userdata)
{
    struct search *search = userdata;

    if (search->pid != 0 ? worker->pid == search->pid
                         : process_find_request(worker->process, search->request) != NULL)
        search->found = worker->process;
}

static const struct process *
find_runner(const struct listener *listener, uint64_t request)
{
    struct search search = {.request = request};

    listener_visit_workers(listener, look_for, &search);
    return search.found;
}

static const struct process *
find_worker(const struct control *control, const struct question *question)
{
    const struct listener *listener = roster_find(control->host.roster, question->listener);
    struct search search = {.pid = question->worker};

    if (listener != NULL)
        listener_visit_workers(listener, look_for, &search);
    return search.found;
}

/* ---- replies ----------------------------------------------------------------------------- */

static void
reply_unknown(struct control_client *client, const char *listener, uint64_t request)
{
    control_reply_error(
        client, CONTROL_UNKNOWN_REQUEST,
        json_pack("{s:s, s:o}", "listener", listener, "number", control_integer(request)));
}

static void
reply_failure(struct control_client *client, const char *reason)
{
    control_reply_error(client, CONTROL_FAILED, json_pack("{s:[s]}", "mistakes", reason));
}

/* Why a worker was not given an order. */
static void
reply_refusal(struct control_client *client, int error, const char *listener, uint64_t request)
{
    if (error == -ENOENT)
        reply_unknown(client, listener, request);
    else if (error == -EBUSY)
        reply_failure(client, "the worker is being asked by somebody else: try again");
    else if (error == -ENOTSUP)
        reply_failure(client, "the request has become a program, which the daemon cannot look "
                              "into: try gdb -p with the \"context\" that requests --json shows");
    else
        reply_failure(client, "the worker takes no orders now: its main thread is held up. Try "
                              "again, or restart the listener");
}

/* ---- cancelling -------------------------------------------------------------------------- */

void
control_cancel(struct control_client *client, const struct listener *listener, uint64_t request)
{
    const char *name = listener_settings(listener)->name;
    const struct process *runner = find_runner(listener, request);
    int r = runner == NULL ? -ENOENT : process_cancel(runner, request);

    if (r < 0) {
        reply_refusal(client, r, name, request);
        return;
    }
    log_listener(name, LOG_NOTICE, "request %" PRIu64 " is cancelled by uid %u, pid %d", request,
                 (unsigned)client->uid, (int)client->pid);
    control_reply(client, json_object());
}

/* ---- asking where it is ------------------------------------------------------------------- */

static void
free_question(struct question *question)
{
    (void)sd_event_source_disable_unref(question->timer);
    free(question->listener);
    free(question);
}

void
control_ask_no_more(struct control_client *client)
{
    struct question *question = client->question;

    if (question == NULL)
        return;
    const struct process *worker = find_worker(client->control, question);
    if (worker != NULL)
        process_ask_no_more(worker);
    free_question(question);
    client->question = NULL;
}

/* Makes an array of the lines. The text may hold anything. */
static json_t *
frames_of(char *text)
{
    json_t *frames = json_array();
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        varlink_append(&frames, varlink_text(line));
    return frames;
}

/* The question is over: replies, and lets the client go on. */
static void
conclude(struct control_client *client, char *text)
{
    const struct question *question = client->question;
    const struct listener *listener = roster_find(client->control->host.roster, question->listener);
    json_t *request = listener == NULL ? NULL : control_request(listener, question->request);

    if (request == NULL)
        reply_unknown(client, question->listener, question->request);
    else if (text == NULL)
        reply_failure(client, "the handler did not say where it is within 2 s: another request "
                              "holds up its event loop (sockserverctl requests shows which is "
                              "\"handling\"), or the kernel holds its thread in a call");
    else
        control_reply(client,
                      json_pack("{s:o, s:o}", "request", request, "frames", frames_of(text)));
    if (text == NULL)
        json_decref(request);
    control_ask_no_more(client);
    control_client_proceed(client, false);
}

static int
on_look(sd_event_source *source, uint64_t when, void *userdata)
{
    struct control_client *client = userdata;
    struct question *question = client->question;
    const struct process *worker = find_worker(client->control, question);
    char text[INQUIRY_TEXT];

    (void)when;
    if (worker != NULL && process_answer(worker, question->serial, text) == 0) {
        conclude(client, text);
        return 0;
    }
    if (worker == NULL || process_find_request(worker, question->request) == NULL ||
        ++question->looks >= LOOKS) {
        conclude(client, NULL);
        return 0;
    }
    if (question->looks % AGAIN_EVERY == FIRST_AGAIN)
        process_ask_again(worker);
    (void)sd_event_source_set_time(source, monotonic_usec() + LOOK_USEC);
    (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* Returns NULL without memory. */
static struct question *
new_question(struct control_client *client, const char *listener, uint64_t request)
{
    struct question *question = calloc(1, sizeof(*question));

    if (question == NULL)
        return NULL;
    question->request = request;
    question->listener = strdup(listener);
    if (question->listener == NULL ||
        sd_event_add_time_relative(client->control->event, &question->timer, CLOCK_MONOTONIC,
                                   LOOK_USEC, 1, on_look, client) < 0) {
        free_question(question);
        return NULL;
    }
    (void)sd_event_source_set_priority(question->timer, CONTROL_PRIORITY);
    return question;
}

void
control_backtrace(struct control_client *client, const struct listener *listener, uint64_t request)
{
    const char *name = listener_settings(listener)->name;
    const struct process *runner = find_runner(listener, request);
    struct question *question = runner == NULL ? NULL : new_question(client, name, request);
    int r = runner == NULL ? -ENOENT : -ENOMEM;

    if (question != NULL)
        r = process_ask(runner, request, &question->serial);
    if (r < 0) {
        if (question != NULL)
            free_question(question);
        reply_refusal(client, r, name, request);
        return;
    }
    question->worker = process_pid(runner);
    client->question = question;
    client->waits = "GetBacktrace";
}
