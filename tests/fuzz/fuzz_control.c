/* SPDX-License-Identifier: MIT */
/*
 * fuzz_control.c - any bytes on the control socket
 *
 * A libFuzzer target. The first byte says in which pieces the bytes come, the
 * second whether the client may change things. Whatever they are, the messages
 * found must be the same as when they come at once, and what was understood
 * must survive being written again. Then a client of the real control socket
 * sends them: each call that wants a reply gets exactly one, which is a JSON
 * object, and nothing is changed for a client that may not.
 *
 * Nothing but the calls that change something is replaced, and they succeed.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/varlink.h"
#include "expect.h"
#include "supervisor/control/control_private.h"

#define LIMIT 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_operations_begin(struct operations *operations, enum operation_kind kind,
                            const char *name, operation_done done, void *userdata);
bool __wrap_operations_announce(const struct operations *operations,
                                const struct listener *listener);
void __wrap_operations_forget(struct operations *operations, const void *userdata);
int __wrap_change_ask(struct change *change, enum operation_kind kind, operation_done done,
                      void *userdata);
int __wrap_supervisor_log_set_level(struct supervisor_log *log, int level);

/* ---- what is replaced ----------------------------------------------------------------------- */

static unsigned changes; /* that were asked for */

static int
change_something(operation_done done, void *userdata)
{
    struct errors nothing = {0};

    changes++;
    if (done != NULL) /* else nobody waits for it */
        done(userdata, 0, &nothing);
    return 0;
}

int
__wrap_operations_begin(struct operations *operations, enum operation_kind kind, const char *name,
                        operation_done done, void *userdata)
{
    (void)operations;
    (void)kind;
    expect(name != NULL);
    return change_something(done, userdata);
}

int
__wrap_change_ask(struct change *change, enum operation_kind kind, operation_done done,
                  void *userdata)
{
    (void)change;
    (void)kind;
    return change_something(done, userdata);
}

int
__wrap_supervisor_log_set_level(struct supervisor_log *log, int level)
{
    (void)log;
    expect(level >= 0 && level <= LOG_DEBUG);
    changes++;
    return 0;
}

bool
__wrap_operations_announce(const struct operations *operations, const struct listener *listener)
{
    (void)operations, (void)listener;
    return false;
}

/* Nobody waits: what is asked for is done at once. */
void
__wrap_operations_forget(struct operations *operations, const void *userdata)
{
    (void)operations;
    (void)userdata;
    abort();
}

/* ---- messages ------------------------------------------------------------------------------- */

static void
write_again(const json_t *message)
{
    struct varlink_call call;
    size_t size = 0;

    if (varlink_call_parse(message, &call) < 0)
        return;
    _cleanup_free_ char *text = varlink_call_text(call.method, json_incref(call.parameters), &size);
    struct varlink_input input;
    struct varlink_call again;
    json_t *back = NULL;
    varlink_input_init(&input, SIZE_MAX);
    expect(text != NULL && varlink_input_feed(&input, text, size) == 0);
    expect(varlink_input_next(&input, &back) == 1 && varlink_call_parse(back, &again) == 0);
    expect(strcmp(call.method, again.method) == 0);
    expect(call.parameters == NULL ? json_object_size(again.parameters) == 0
                                   : json_equal(call.parameters, again.parameters));
    json_decref(back);
    varlink_input_done(&input);
}

/* Returns an array of the messages before the first that is none. */
static json_t *
take_all(const uint8_t *data, size_t size, size_t piece)
{
    struct varlink_input input;
    json_t *found = json_array();
    int r = 0;

    varlink_input_init(&input, LIMIT);
    for (size_t done = 0; r >= 0 && done < size; done += piece) {
        json_t *message;
        size_t part = size - done < piece ? size - done : piece;
        r = varlink_input_feed(&input, (const char *)data + done, part);
        while (r >= 0 && (r = varlink_input_next(&input, &message)) == 1)
            (void)json_array_append_new(found, message);
    }
    varlink_input_done(&input);
    return found;
}

/* ---- a client ------------------------------------------------------------------------------- */

static struct control control;
static struct roster roster;

static struct control_client *
connect_client(bool may_change, int *ret_end)
{
    struct control_client *client = calloc(1, sizeof(*client));
    int pair[2];

    if (client == NULL ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        abort();
    if (control.event == NULL) {
        log_set_level(LOG_EMERG);
        expect(sd_event_new(&control.event) >= 0);
        control.host.roster = &roster;
    }
    client->control = &control;
    client->fd = pair[0];
    client->uid = 1000;
    client->may_change = may_change;
    control.clients[0] = client;
    expect(control_client_begin(client) >= 0);
    *ret_end = pair[1];
    return client;
}

static void
take_replies(int end, struct varlink_input *replies)
{
    char bytes[4096];
    ssize_t got;

    while ((got = recv(end, bytes, sizeof(bytes), 0)) > 0)
        expect(varlink_input_feed(replies, bytes, (size_t)got) == 0);
}

/* Until the client was let go. */
static void
send_all(int end, const uint8_t *data, size_t size, size_t piece, struct varlink_input *replies)
{
    for (size_t done = 0; done < size && control.clients[0] != NULL; done += piece) {
        size_t part = size - done < piece ? size - done : piece;
        expect(send(end, data + done, part, MSG_NOSIGNAL) == (ssize_t)part);
        control_client_proceed(control.clients[0], true);
        take_replies(end, replies);
    }
    (void)shutdown(end, SHUT_WR);
    for (int i = 0; i < LIMIT && control.clients[0] != NULL; i++) {
        control_client_proceed(control.clients[0], true);
        take_replies(end, replies);
    }
    expect(control.clients[0] == NULL);
    take_replies(end, replies);
}

static bool
changes_something(const char *method)
{
    static const char *const names[] = {"Reload", "Drain",   "Resume",  "Stop",
                                        "Start",  "Restart", "Upgrade", "SetLogLevel"};
    size_t size = strlen(CONTROL_INTERFACE ".");

    if (strncmp(method, CONTROL_INTERFACE ".", size) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(method + size, names[i]) == 0)
            return true;
    return false;
}

/* Takes the next reply; *changed grows if it says that something was changed. */
static void
judge_reply(const struct varlink_call *call, struct varlink_input *replies, bool may_change,
            unsigned *changed)
{
    json_t *reply = NULL;
    const char *key;
    json_t *value;

    expect(varlink_input_next(replies, &reply) == 1);
    const char *error = json_string_value(json_object_get(reply, "error"));
    json_object_foreach(reply, key, value)
        expect(strcmp(key, "error") == 0 ? json_is_string(value)
                                         : strcmp(key, "parameters") == 0 && json_is_object(value));
    if (changes_something(call->method) && !may_change)
        expect(error != NULL && strcmp(error, CONTROL_DENIED) == 0);
    *changed += changes_something(call->method) && error == NULL;
    json_decref(reply);
}

/* Each call in order, up to the first message that is none. */
static void
judge(const json_t *messages, struct varlink_input *replies, bool may_change)
{
    unsigned changed = 0, unknown = 0;
    json_t *left = NULL;

    for (size_t i = 0; i < json_array_size(messages); i++) {
        struct varlink_call call;
        if (varlink_call_parse(json_array_get(messages, i), &call) < 0)
            break;
        if (call.oneway)
            unknown += changes_something(call.method);
        else
            judge_reply(&call, replies, may_change, &changed);
    }
    expect(varlink_input_next(replies, &left) == 0 && replies->size == 0);
    expect(changes >= changed && changes <= changed + unknown);
    expect(may_change || changes == 0);
}

static void
play(const uint8_t *data, size_t size, size_t piece, bool may_change, const json_t *messages)
{
    struct varlink_input replies;
    int end;

    changes = 0;
    varlink_input_init(&replies, SIZE_MAX);
    (void)connect_client(may_change, &end);
    send_all(end, data, size, piece, &replies);
    judge(messages, &replies, may_change);
    varlink_input_done(&replies);
    (void)close(end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > LIMIT)
        return 0;
    size_t piece = (size_t)data[0] * data[0] + 1;
    json_t *messages = take_all(data + 2, size - 2, piece);
    json_t *at_once = take_all(data + 2, size - 2, LIMIT);
    expect(json_equal(messages, at_once));
    for (size_t i = 0; i < json_array_size(messages); i++)
        write_again(json_array_get(messages, i));
    play(data + 2, size - 2, piece, data[1] & 1, messages);
    json_decref(messages);
    json_decref(at_once);
    return 0;
}
