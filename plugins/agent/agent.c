/* SPDX-License-Identifier: MIT */
/*
 * agent.c - tells HAProxy whether and how many clients a listener of this daemon can take
 *
 * HAProxy's agent-check connects, reads one line and closes. What the line
 * says is asked of the daemon each time, by way of ss_control(). The manual is
 * sockserverd-agent(7).
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the connection to the control socket, for one answer.
 * Failures: a daemon that does not answer, or knows no such listener, makes the
 *           answer "down", with the reason.
 */
#include <errno.h>
#include <jansson.h>
#include <sockserver/plugin.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "../control/ask.h"

#define SECONDS     1.5 /* for the daemon's reply; HAProxy waits two by default */
#define REASON_SIZE 128

static const struct ss_option options[] = {
    {.name = "listener",
     .type = SS_STRING,
     .required = true,
     .min = 1,
     .max = 63,
     .help = "the listener that HAProxy sends clients to"},
    {.name = "maxconn",
     .type = SS_BOOLEAN,
     .fallback = "false",
     .help = "also tell how many requests it can run at once"},
    {0},
};

SS_PLUGIN(.name = "agent", .summary = "answers HAProxy's agent-check for a listener",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE, .options = options,
          .needs = SS_CONTROL)

/* ---- asking the daemon ------------------------------------------------------------------- */

/* Returns 0 and the reply, which the caller releases, or a negative errno. */
static int
ask(struct ss_request *request, const char *listener, json_t **ret)
{
    struct talk talk;

    talk_begin(&talk, request, SECONDS);
    int error = talk_ask(&talk, CONTROL "GetHealth", json_pack("{s:s}", "listener", listener), ret);
    talk_end(&talk);
    return error;
}

/* ---- answering --------------------------------------------------------------------------- */

/* HAProxy takes the rest of the line for the reason. */
static int
say_down(struct ss_request *request, const char *reason)
{
    char text[REASON_SIZE];

    (void)snprintf(text, sizeof(text), "%s", reason);
    for (char *next = text; *next != '\0'; next++)
        if ((unsigned char)*next < ' ')
            *next = ' ';
    return ss_printf(request, "down #%s\n", text);
}

/* The share of places that are free. A listener that takes one request at a time is not full while
 * one runs. */
static int
weight(const json_t *listener, bool ready)
{
    json_int_t most = json_integer_value(json_object_get(listener, "max_connections"));
    json_int_t active = json_integer_value(json_object_get(listener, "active"));
    json_int_t percent = most > 0 && active < most ? (most - active) * 100 / most : 0;

    return percent > 0 ? (int)percent : ready;
}

static int
answer(struct ss_request *request, const json_t *listener)
{
    const char *reason = json_string_value(json_object_get(listener, "reason"));
    bool ready = json_is_true(json_object_get(listener, "ready"));
    bool full = reason != NULL && strcmp(reason, "full") == 0;
    char maxconn[40] = "";

    if (json_is_true(json_object_get(listener, "draining")))
        return ss_printf(request, "drain\n");
    if (!ready && !full)
        return say_down(request, reason == NULL ? "not ready" : reason);
    if (ss_option_boolean(ss_server(request), "maxconn"))
        (void)snprintf(maxconn, sizeof(maxconn), " maxconn:%lld",
                       json_integer_value(json_object_get(listener, "max_connections")));
    return ss_printf(request, "up ready %d%%%s\n", weight(listener, ready), maxconn);
}

static atomic_bool warned; /* it was said that there is no such listener */

/* Which listeners there are is not known before they are served: --check cannot find this. */
static void
note_whether_known(const char *listener, bool known)
{
    if (!known && !atomic_exchange(&warned, true))
        ss_log(
            LOG_WARNING,
            "there is no listener \"%s\", so HAProxy is told that it is down; correct the option "
            "listener, or add that listener",
            listener);
    else if (known)
        atomic_store(&warned, false);
}

int
handle(struct ss_request *request)
{
    const char *listener = ss_option_string(ss_server(request), "listener");
    char reason[REASON_SIZE];
    json_t *reply = NULL;
    int error = ask(request, listener, &reply);

    const json_t *listeners = json_object_get(reply, "listeners");
    if (error == 0 || error == -ENOENT)
        note_whether_known(listener, error == 0 && json_array_size(listeners) == 1);
    if (error == -ENOENT || (error == 0 && json_array_size(listeners) != 1)) {
        (void)snprintf(reason, sizeof(reason), "there is no listener %s", listener);
        error = say_down(request, reason);
    } else if (error < 0) {
        (void)snprintf(reason, sizeof(reason), "cannot ask the daemon: %s", strerror(-error));
        error = say_down(request, reason);
    } else {
        error = answer(request, json_array_get(listeners, 0));
    }
    json_decref(reply);
    return error;
}
