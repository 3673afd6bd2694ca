/* SPDX-License-Identifier: MIT */
/*
 * health.c - whether the daemon is alive, and whether its listeners take clients
 *
 * The status is for those who probe, the text for those who wonder why.
 *
 * Runs in:  a handler.
 * Owns:     the daemon's reply, for one answer.
 * Failures: a daemon that cannot be asked is neither alive nor ready: 503.
 */
#include <errno.h>
#include <string.h>

#include "metrics.h"

static int
ask(struct exchange *exchange, const char *method, json_t *parameters, json_t **ret)
{
    struct talk talk;

    talk_begin(&talk, exchange->request, watcher_of(exchange)->timeout);
    int error = talk_ask(&talk, method, parameters, ret);
    talk_end(&talk);
    return error;
}

int
answer_health(struct exchange *exchange)
{
    json_t *reply = NULL;
    int error = ask(exchange, "org.varlink.service.GetInfo", NULL, &reply);

    json_decref(reply);
    return error < 0 ? answer_deaf(exchange, error)
                     : answer_line(exchange, HTTP_STATUS_OK, "alive");
}

/* "ready", or a line with each listener that is not, and why. */
static void
write_reasons(struct text *text, const json_t *reply)
{
    const json_t *listeners = json_object_get(reply, "listeners"), *listener;
    size_t i;

    if (json_is_true(json_object_get(reply, "ready"))) {
        text_add_string(text, "ready\n");
        return;
    }
    if (json_is_true(json_object_get(reply, "stopping")))
        text_add_string(text, "the daemon stops\n");
    json_array_foreach(listeners, i, listener)
    {
        const char *name = json_string_value(json_object_get(listener, "name"));
        const char *reason = json_string_value(json_object_get(listener, "reason"));
        if (name == NULL || reason == NULL)
            continue;
        text_add_string(text, name);
        text_add_string(text, ": ");
        text_add_string(text, reason);
        text_add(text, "\n", 1);
    }
    if (text->size == 0)
        text_add_string(text, "the daemon starts\n");
}

int
answer_ready(struct exchange *exchange, const char *name)
{
    struct text body = TEXT_GROWING;
    json_t *reply = NULL;
    json_t *parameters = name == NULL ? NULL : json_pack("{s:s}", "listener", name);
    int error = name != NULL && parameters == NULL
                    ? -ENOENT /* no name of a listener is other than UTF-8 */
                    : ask(exchange, CONTROL "GetHealth", parameters, &reply);

    if (error == -ENOENT)
        return answer_line(exchange, HTTP_STATUS_NOT_FOUND, "there is no such listener");
    if (error < 0)
        return answer_deaf(exchange, error);
    write_reasons(&body, reply);
    error =
        answer_text(exchange,
                    json_is_true(json_object_get(reply, "ready")) ? HTTP_STATUS_OK
                                                                  : HTTP_STATUS_SERVICE_UNAVAILABLE,
                    "text/plain; charset=utf-8", &body);
    text_done(&body);
    json_decref(reply);
    return error;
}
