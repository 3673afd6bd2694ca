/* SPDX-License-Identifier: MIT */
/*
 * commands.c - what can be called through the control socket
 *
 * A table holds the methods: who may call each, with which parameters, and what
 * runs. The parameters of a method stand in its row only, and are checked
 * before it runs.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: are replies.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/suggest.h"
#include "supervisor/change/reload.h"
#include "supervisor/change/upgrade.h"
#include "supervisor/control/control_private.h"

#define SERVICE_INTERFACE "org.varlink.service"
#define REQUESTS_USUAL    10
#define REQUESTS_MOST     100
#define LIST_MOST         1000 /* in one reply */
#define SOURCES_USUAL     10
#define PARAMETERS        3

/* The parameters of the present call, after the check. */
struct arguments {
    const char *text, *client;
    bool wait, announce, recent;
    json_int_t number, request; /* -1: not given */
};

struct parameter {
    const char *name;
    json_type type; /* JSON_TRUE for booleans */
    bool optional;
    size_t place; /* in struct arguments; 0: of the first string, or of `number` */
};

struct method {
    const char *name;
    bool changes;
    struct parameter parameters[PARAMETERS]; /* name NULL: no more */
    void (*run)(struct control_client *client, const struct arguments *arguments);
    enum operation_kind operation; /* if run is NULL: what is done to the listener */
};

/* ---- replies ------------------------------------------------------------------------- */

/* Makes an array of them, with each as a string. NULL without memory. */
static json_t *
array_of(const struct errors *errors)
{
    json_t *texts = json_array();

    for (size_t i = 0; i < errors->count; i++)
        varlink_append(&texts, varlink_string(errors->texts[i], strlen(errors->texts[i])));
    if (errors->exhausted)
        varlink_append(&texts, json_string("out of memory"));
    return texts;
}

static json_t *
nearest_name(const struct control *control, const char *name)
{
    const struct roster *roster = control->host.roster;
    _cleanup_free_ const char **names = calloc(roster->count + 1, sizeof(*names));
    const char *nearest = NULL;

    for (size_t i = 0; names != NULL && i < roster->count; i++)
        names[i] = listener_settings(roster->listeners[i])->name;
    if (names != NULL)
        nearest = suggest(name, names);
    return nearest == NULL ? json_null() : json_string(nearest);
}

static void
reply_unknown(struct control_client *client, const char *name)
{
    control_reply_error(client, CONTROL_UNKNOWN_LISTENER,
                        json_pack("{s:s, s:o}", "listener", name, "suggestion",
                                  nearest_name(client->control, name)));
}

static void
reply_failure(struct control_client *client, int error, const struct errors *why)
{
    const char *reason = error == -ESHUTDOWN ? "the daemon is stopping" : strerror(-error);

    if (error == -EBUSY)
        control_reply_error(client, CONTROL_BUSY, json_object());
    else if (error == -EOPNOTSUPP)
        control_reply_error(client, VARLINK_METHOD_NOT_IMPLEMENTED,
                            json_pack("{s:s}", "method", client->waits));
    else
        control_reply_error(client, CONTROL_FAILED,
                            why != NULL && errors_any(why)
                                ? json_pack("{s:o}", "mistakes", array_of(why))
                                : json_pack("{s:[s]}", "mistakes", reason));
}

/* ---- looking --------------------------------------------------------------------------- */

static bool
is_known(struct control_client *client, const char *name)
{
    if (name == NULL || roster_find(client->control->host.roster, name) != NULL)
        return true;
    reply_unknown(client, name);
    return false;
}

static void
get_status(struct control_client *client, const struct arguments *arguments)
{
    if (is_known(client, arguments->text))
        control_reply(client, control_status(client->control, arguments->text));
}

static void
get_health(struct control_client *client, const struct arguments *arguments)
{
    if (is_known(client, arguments->text))
        control_reply(client, control_health(client->control, arguments->text));
}

static void
get_metrics(struct control_client *client, const struct arguments *arguments)
{
    size_t size = 0;
    char *message = control_metrics(client->control, arguments->recent, &size);

    control_reply_message(client, message, size);
}

/* How many are wanted, of so many at most. */
static size_t
count_wanted(const struct arguments *arguments, size_t usual, size_t most)
{
    if (arguments->number < 0)
        return usual;
    return (uint64_t)arguments->number < most ? (size_t)arguments->number : most;
}

static void
get_requests(struct control_client *client, const struct arguments *arguments)
{
    if (is_known(client, arguments->text))
        control_reply(client,
                      control_requests(client->control, arguments->text,
                                       count_wanted(arguments, REQUESTS_USUAL, REQUESTS_MOST)));
}

static void
list_requests(struct control_client *client, const struct arguments *arguments)
{
    uint64_t after = arguments->request < 0 ? 0 : (uint64_t)arguments->request;

    if (is_known(client, arguments->text))
        control_reply(client, control_list_requests(client->control, arguments->text, after,
                                                    count_wanted(arguments, LIST_MOST, LIST_MOST)));
}

static void
get_backtrace(struct control_client *client, const struct arguments *arguments)
{
    if (is_known(client, arguments->text))
        control_backtrace(client, roster_find(client->control->host.roster, arguments->text),
                          (uint64_t)arguments->request);
}

static void
cancel_request(struct control_client *client, const struct arguments *arguments)
{
    if (is_known(client, arguments->text))
        control_cancel(client, roster_find(client->control->host.roster, arguments->text),
                       (uint64_t)arguments->request);
}

static void
get_sources(struct control_client *client, const struct arguments *arguments)
{
    if (is_known(client, arguments->text))
        control_reply(client,
                      control_sources(client->control, arguments->text,
                                      count_wanted(arguments, SOURCES_USUAL, SOURCES_SHOWN)));
}

/* Replies that a client cannot be one of that listener's. */
static void
reply_no_client(struct control_client *client, const char *text, const char *expected)
{
    struct errors errors = {0};
    _cleanup_free_ char *shown = value_show(text, VALUE_STRING);

    errors_add(&errors, NULL, 0, "found %s; expected %s", shown == NULL ? "it" : shown, expected);
    reply_failure(client, -EINVAL, &errors);
    errors_done(&errors);
}

static void
pardon(struct control_client *client, const struct arguments *arguments)
{
    struct source_key key;
    const char *expected;

    if (!is_known(client, arguments->text))
        return;
    const struct listener *listener = roster_find(client->control->host.roster, arguments->text);
    if (!control_source_of(listener_settings(listener), arguments->client, &key, &expected)) {
        reply_no_client(client, arguments->client, expected);
        return;
    }
    bool pardoned = control_pardon(listener, key);
    if (pardoned)
        log_notice("control: %s is pardoned by uid %u, pid %d", arguments->client,
                   (unsigned)client->uid, (int)client->pid);
    control_reply(client, json_pack("{s:b}", "pardoned", pardoned));
}

static void
explain(struct control_client *client, const struct arguments *arguments)
{
    const char *expected;

    if (!is_known(client, arguments->text))
        return;
    json_t *reply = control_explain(roster_find(client->control->host.roster, arguments->text),
                                    arguments->client, &expected);
    if (expected == NULL) {
        control_reply(client, reply);
        return;
    }
    reply_no_client(client, arguments->client, expected);
}

static void
get_info(struct control_client *client, const struct arguments *arguments)
{
    (void)arguments;
    control_reply(client, json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "sockserverd",
                                    "product", "sockserverd", "version", SOCKSERVERD_VERSION, "url",
                                    "", "interfaces", SERVICE_INTERFACE, CONTROL_INTERFACE));
}

static const char service_description[] =
    "# What every Varlink service has.\n"
    "interface " SERVICE_INTERFACE "\n\n"
    "method GetInfo() -> (vendor: string, product: string, version: string, url: string,\n"
    "  interfaces: []string)\n\n"
    "method GetInterfaceDescription(interface: string) -> (description: string)\n\n"
    "error InterfaceNotFound (interface: string)\n\n"
    "error MethodNotFound (method: string)\n\n"
    "error MethodNotImplemented (method: string)\n\n"
    "error InvalidParameter (parameter: string)\n";

static void
get_description(struct control_client *client, const struct arguments *arguments)
{
    const char *text = NULL;

    if (strcmp(arguments->text, CONTROL_INTERFACE) == 0)
        text = control_interface;
    else if (strcmp(arguments->text, SERVICE_INTERFACE) == 0)
        text = service_description;
    if (text != NULL)
        control_reply(client, json_pack("{s:s}", "description", text));
    else
        control_reply_error(client, VARLINK_INTERFACE_NOT_FOUND,
                            json_pack("{s:s}", "interface", arguments->text));
}

/* ---- steering ------------------------------------------------------------------------------ */

static void
on_done(void *userdata, int error, const struct errors *why)
{
    struct control_client *client = userdata;

    if (error < 0)
        reply_failure(client, error, why);
    else
        control_reply(client, json_pack("{s:o}", "notices", array_of(why)));
}

static void
begin(struct control_client *client, const char *what, const char *name)
{
    client->waits = what;
    log_notice("control: %s%s%s, asked by uid %u, pid %d", what, name == NULL ? "" : " ",
               name == NULL ? "" : name, (unsigned)client->uid, (int)client->pid);
}

/* Replies with the error if an operation could not begin. result: what beginning the operation
 * returned; if it is an error, on_done() is not called. */
static void
note_begun(struct control_client *client, int result, const char *name)
{
    if (result == -ENOENT && name != NULL)
        reply_unknown(client, name);
    else if (result < 0)
        reply_failure(client, result, NULL);
}

static void
reload(struct control_client *client, const struct arguments *arguments)
{
    (void)arguments;
    begin(client, "Reload", NULL);
    note_begun(client, change_ask(client->control->host.change, OPERATION_RELOAD, on_done, client),
               NULL);
}

static void
upgrade(struct control_client *client, const struct arguments *arguments)
{
    (void)arguments;
    begin(client, "Upgrade", NULL);
    note_begun(client, change_ask(client->control->host.change, OPERATION_UPGRADE, on_done, client),
               NULL);
}

static void
operate(struct control_client *client, const char *what, enum operation_kind operation,
        const char *name)
{
    begin(client, what, name);
    note_begun(client,
               operations_begin(client->control->host.operations, operation, name, on_done, client),
               name);
}

/* Begins a drain that nobody waits for. */
static void
announce(struct control_client *client, const char *name)
{
    begin(client, "Drain", name);
    int r = operations_begin(client->control->host.operations, OPERATION_DRAIN, name, NULL, NULL);
    if (r < 0)
        note_begun(client, r, name);
    else
        control_reply(client, json_pack("{s:[]}", "notices"));
}

static void
drain(struct control_client *client, const struct arguments *arguments)
{
    if (arguments->announce)
        announce(client, arguments->text);
    else
        operate(client, "Drain", arguments->wait ? OPERATION_DRAIN_TO_THE_END : OPERATION_DRAIN,
                arguments->text);
}

static void
set_log_level(struct control_client *client, const struct arguments *arguments)
{
    int level = log_level_from_name(arguments->text);

    if (level < 0) {
        control_reply_error(client, VARLINK_INVALID_PARAMETER,
                            json_pack("{s:s}", "parameter", "level"));
        return;
    }
    begin(client, "SetLogLevel", arguments->text);
    int r = supervisor_log_set_level(client->control->host.log, level);
    if (r < 0)
        reply_failure(client, r, NULL);
    else
        control_reply(client, json_object());
}

/* ---- the table ---------------------------------------------------------------------------- */

#define ONE_LISTENER                                                                               \
    {                                                                                              \
        "listener", JSON_STRING, false, 0                                                          \
    }
#define ANY_LISTENER                                                                               \
    {                                                                                              \
        "listener", JSON_STRING, true, 0                                                           \
    }

#define ONE_REQUEST                                                                                \
    {                                                                                              \
        "number", JSON_INTEGER, false, offsetof(struct arguments, request)                         \
    }

static const struct method methods[] = {
    {SERVICE_INTERFACE ".GetInfo", .run = get_info},
    {SERVICE_INTERFACE ".GetInterfaceDescription",
     .parameters = {{"interface", JSON_STRING, false, 0}}, .run = get_description},
    {CONTROL_INTERFACE ".GetStatus", .parameters = {ANY_LISTENER}, .run = get_status},
    {CONTROL_INTERFACE ".GetHealth", .parameters = {ANY_LISTENER}, .run = get_health},
    {CONTROL_INTERFACE ".GetMetrics",
     .parameters = {{"recent", JSON_TRUE, true, offsetof(struct arguments, recent)}},
     .run = get_metrics},
    {CONTROL_INTERFACE ".GetRequests",
     .parameters = {ANY_LISTENER, {"limit", JSON_INTEGER, true, 0}}, .run = get_requests},
    {CONTROL_INTERFACE ".ListRequests",
     .parameters = {ONE_LISTENER,
                    {"after", JSON_INTEGER, true, offsetof(struct arguments, request)},
                    {"limit", JSON_INTEGER, true, 0}},
     .run = list_requests},
    {CONTROL_INTERFACE ".GetBacktrace", .parameters = {ONE_LISTENER, ONE_REQUEST},
     .run = get_backtrace},
    {CONTROL_INTERFACE ".CancelRequest", .changes = true, .parameters = {ONE_LISTENER, ONE_REQUEST},
     .run = cancel_request},
    {CONTROL_INTERFACE ".Explain",
     .parameters = {ONE_LISTENER,
                    {"client", JSON_STRING, false, offsetof(struct arguments, client)}},
     .run = explain},
    {CONTROL_INTERFACE ".GetSources",
     .parameters = {ANY_LISTENER, {"limit", JSON_INTEGER, true, 0}}, .run = get_sources},
    {CONTROL_INTERFACE ".Pardon", .changes = true,
     .parameters = {ONE_LISTENER,
                    {"client", JSON_STRING, false, offsetof(struct arguments, client)}},
     .run = pardon},
    {CONTROL_INTERFACE ".Reload", .changes = true, .run = reload},
    {CONTROL_INTERFACE ".Drain", .changes = true,
     .parameters = {ONE_LISTENER,
                    {"wait", JSON_TRUE, true, offsetof(struct arguments, wait)},
                    {"announce", JSON_TRUE, true, offsetof(struct arguments, announce)}},
     .run = drain},
    {CONTROL_INTERFACE ".Resume", true, {ONE_LISTENER}, .operation = OPERATION_RESUME},
    {CONTROL_INTERFACE ".Stop", true, {ONE_LISTENER}, .operation = OPERATION_STOP},
    {CONTROL_INTERFACE ".Start", true, {ONE_LISTENER}, .operation = OPERATION_START},
    {CONTROL_INTERFACE ".Restart", true, {ONE_LISTENER}, .operation = OPERATION_RESTART},
    {CONTROL_INTERFACE ".Upgrade", .changes = true, .run = upgrade},
    {CONTROL_INTERFACE ".SetLogLevel", .changes = true,
     .parameters = {{"level", JSON_STRING, false, 0}}, .run = set_log_level},
};

static const struct parameter *
find_parameter(const struct method *method, const char *name)
{
    for (size_t i = 0; i < PARAMETERS && method->parameters[i].name != NULL; i++)
        if (strcmp(method->parameters[i].name, name) == 0)
            return &method->parameters[i];
    return NULL;
}

static bool
read_value(const struct parameter *parameter, const json_t *value, struct arguments *arguments)
{
    switch (parameter->type) {
    case JSON_STRING:
        *(const char **)(void *)((char *)arguments + parameter->place) = json_string_value(value);
        return json_is_string(value);
    case JSON_INTEGER:
        if (parameter->place == 0)
            arguments->number = json_integer_value(value);
        else
            *(json_int_t *)(void *)((char *)arguments + parameter->place) =
                json_integer_value(value);
        return json_is_integer(value) && json_integer_value(value) >= 0;
    default:
        *(bool *)(void *)((char *)arguments + parameter->place) = json_is_true(value);
        return json_is_boolean(value);
    }
}

/* Checks the parameters and fills *ret. Returns the name of one that is unknown, missing or of the
 * wrong type, or NULL. */
static const char *
read_arguments(const struct method *method, json_t *given, struct arguments *ret)
{
    const char *name;
    json_t *value;

    *ret = (struct arguments){.number = -1, .request = -1};
    json_object_foreach(given, name, value)
    {
        const struct parameter *parameter = find_parameter(method, name);
        bool omitted = parameter != NULL && parameter->optional && json_is_null(value);
        if (parameter == NULL || (!omitted && !read_value(parameter, value, ret)))
            return name;
    }
    for (size_t i = 0; i < PARAMETERS && method->parameters[i].name != NULL; i++)
        if (!method->parameters[i].optional &&
            json_object_get(given, method->parameters[i].name) == NULL)
            return method->parameters[i].name;
    return NULL;
}

/* Replies that neither interface has a method of that name. */
static void
reply_unknown_method(struct control_client *client, const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t size = dot == NULL ? 0 : (size_t)(dot - name);
    bool known =
        (size == strlen(CONTROL_INTERFACE) && strncmp(name, CONTROL_INTERFACE, size) == 0) ||
        (size == strlen(SERVICE_INTERFACE) && strncmp(name, SERVICE_INTERFACE, size) == 0);

    if (known)
        control_reply_error(client, VARLINK_METHOD_NOT_FOUND, json_pack("{s:s}", "method", name));
    else
        control_reply_error(client, VARLINK_INTERFACE_NOT_FOUND,
                            json_pack("{s:s%}", "interface", name, size));
}

static void
run_method(struct control_client *client, const struct method *method,
           const struct varlink_call *call)
{
    struct arguments arguments;
    const char *wrong = read_arguments(method, call->parameters, &arguments);

    if (method->changes && !client->may_change) {
        log_notice("control: %s refused to uid %u, pid %d", strrchr(method->name, '.') + 1,
                   (unsigned)client->uid, (int)client->pid);
        control_reply_error(client, CONTROL_DENIED,
                            json_pack("{s:I}", "uid", (json_int_t)client->uid));
    } else if (wrong != NULL) {
        control_reply_error(client, VARLINK_INVALID_PARAMETER,
                            json_pack("{s:s}", "parameter", wrong));
    } else if (method->run != NULL) {
        method->run(client, &arguments);
    } else {
        operate(client, strrchr(method->name, '.') + 1, method->operation, arguments.text);
    }
}

void
control_call(struct control_client *client, const struct varlink_call *call)
{
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
        if (strcmp(methods[i].name, call->method) == 0) {
            run_method(client, &methods[i], call);
            return;
        }
    reply_unknown_method(client, call->method);
}
