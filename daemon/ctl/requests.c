/* SPDX-License-Identifier: MIT */
/*
 * requests.c - the commands about single requests: all that run, where one is, and its end
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: said on standard error; the result is the exit status.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/control_interface.h"
#include "common/value.h"
#include "ctl/connection.h"
#include "ctl/ctl.h"
#include "ctl/status.h"
#include "ctl/text.h"

enum {
    COLUMN_REQUEST,
    COLUMN_RUNNER,
    COLUMN_CLIENT,
    COLUMN_STAGE,
    COLUMN_FOR,
    COLUMN_AGE,
    COLUMN_IN,
    COLUMN_OUT,
    COLUMN_GENERATION,
    COLUMN_WORKER
};

static const struct column columns[] = {
    [COLUMN_REQUEST] = {"REQUEST", .right = true},
    [COLUMN_RUNNER] = {"RUNNER", .least = 12},
    [COLUMN_CLIENT] = {"CLIENT", .least = 12},
    [COLUMN_STAGE] = {.title = "STAGE"},
    [COLUMN_FOR] = {"FOR", .right = true},
    [COLUMN_AGE] = {"AGE", .right = true},
    [COLUMN_IN] = {"IN", .right = true, .drop = 3},
    [COLUMN_OUT] = {"OUT", .right = true, .drop = 3},
    [COLUMN_GENERATION] = {"GEN", .right = true, .drop = 2},
    [COLUMN_WORKER] = {"WORKER", .right = true, .drop = 1},
};

/* ---- all that run -------------------------------------------------------------------------- */

static const char *
stage_of(const json_t *request)
{
    return json_is_true(json_object_get(request, "cancelled")) ? "cancelled"
                                                               : text_member(request, "stage");
}

static const char *
client_of(const json_t *request)
{
    const char *client = text_member(request, "client");

    return *client == '\0' ? "-" : client;
}

static void
fill_row(struct row *row, const json_t *request)
{
    bool draining = json_is_true(json_object_get(request, "draining"));
    char text[TEXT_SIZE];

    (void)snprintf(text, sizeof(text), "%" PRIu64, count_member(request, "number"));
    row_set(row, COLUMN_REQUEST, COLOUR_BOLD, text);
    row_set(row, COLUMN_RUNNER, COLOUR_NONE, text_member(request, "name"));
    row_set(row, COLUMN_CLIENT, COLOUR_NONE, client_of(request));
    row_set(row, COLUMN_STAGE, COLOUR_NONE, stage_of(request));
    row_set(row, COLUMN_FOR, COLOUR_NONE, text_age(count_member(request, "stage_us"), text));
    row_set(row, COLUMN_AGE, COLOUR_NONE, text_age(count_member(request, "age_us"), text));
    row_set(row, COLUMN_IN, COLOUR_NONE, text_bytes(count_member(request, "bytes_in"), text));
    row_set(row, COLUMN_OUT, COLOUR_NONE, text_bytes(count_member(request, "bytes_out"), text));
    (void)snprintf(text, sizeof(text), "%" PRIu64 "%s", count_member(request, "generation"),
                   draining ? " drains" : "");
    row_set(row, COLUMN_GENERATION, draining ? COLOUR_YELLOW : COLOUR_NONE, text);
    (void)snprintf(text, sizeof(text), "%" PRIu64, count_member(request, "worker"));
    row_set(row, COLUMN_WORKER, COLOUR_NONE, text);
}

/* Asks for the part behind a request's number, and adds it to all. *ret_after: the last number, or
 * 0 if there is no more. */
static enum ctl_result
ask_part(const struct ctl_arguments *arguments, json_t *all, json_int_t *after)
{
    json_t *reply = NULL;
    enum ctl_result result =
        call_once(arguments, CONTROL_INTERFACE ".ListRequests",
                  json_pack("{s:s, s:I}", "listener", arguments->operand, "after", *after),
                  CONNECTION_QUICK, &reply);
    json_t *requests = json_object_get(reply, "requests");
    const json_t *last = json_array_get(requests, json_array_size(requests) - 1);
    bool more = json_is_true(json_object_get(reply, "more")) && last != NULL;
    json_int_t number = json_integer_value(json_object_get(last, "number"));

    *after = more && number > *after ? number : 0;
    (void)json_array_extend(all, requests);
    json_decref(reply);
    return result;
}

enum ctl_result
ctl_requests(const struct ctl_arguments *arguments)
{
    json_t *all = json_array();
    json_int_t after = 0;
    enum ctl_result result;

    do
        result = ask_part(arguments, all, &after);
    while (result == CTL_FINE && after > 0);
    if (result == CTL_FINE && arguments->json) {
        json_t *reply = json_pack("{s:O}", "requests", all);
        print_json(reply);
        json_decref(reply);
    } else if (result == CTL_FINE) {
        print_rows(columns, ARRAY_SIZE(columns), all, fill_row);
    }
    json_decref(all);
    return result;
}

/* ---- one of them ----------------------------------------------------------------------------- */

/* Reads a request's number, as the log and the table show it: 412, or upper/412 as in the log. */
static bool
read_number(const struct ctl_arguments *arguments, json_int_t *ret)
{
    const char *text = arguments->second;
    size_t name = strlen(arguments->operand);
    char *end;

    if (strncmp(text, arguments->operand, name) == 0 && text[name] == '/')
        text += name + 1;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0)
        return true;
    (void)fprintf(stderr, "sockserverctl: %s: \"", arguments->command->name);
    print_clean(stderr, arguments->second);
    (void)fputs("\" is no request; expected a number as sockserverctl requests ", stderr);
    print_clean(stderr, arguments->operand);
    (void)fputs(" and the log show it, such as 412\n", stderr);
    return false;
}

static void
print_backtrace(const json_t *reply)
{
    const json_t *request = json_object_get(reply, "request"), *frame;
    const json_t *frames = json_object_get(reply, "frames");
    char stage[TEXT_SIZE], age[TEXT_SIZE];
    size_t i;

    (void)printf("request %" PRIu64 " of ", count_member(request, "number"));
    print_clean(stdout, client_of(request));
    (void)fputs(", ", stdout);
    print_clean(stdout, text_member(request, "name"));
    (void)printf(", worker %" PRIu64 ", %s for %s, %s old\n", count_member(request, "worker"),
                 stage_of(request), text_age(count_member(request, "stage_us"), stage),
                 text_age(count_member(request, "age_us"), age));
    json_array_foreach(frames, i, frame)
    {
        (void)printf("#%-3zu", i);
        print_clean(stdout, json_is_string(frame) ? json_string_value(frame) : "-");
        (void)putchar('\n');
    }
    if (json_array_size(frames) == 0)
        (void)puts("its place is not known on this machine");
}

/* Calls a method about the request that the arguments name. *ret_reply: what it said, which the
 * caller releases, or NULL. */
static enum ctl_result
ask_about_one(const struct ctl_arguments *arguments, const char *method, json_t **ret_reply)
{
    json_int_t number;

    *ret_reply = NULL;
    if (!read_number(arguments, &number))
        return CTL_USAGE;
    return call_once(arguments, method,
                     json_pack("{s:s, s:I}", "listener", arguments->operand, "number", number),
                     CONNECTION_QUICK, ret_reply);
}

enum ctl_result
ctl_backtrace(const struct ctl_arguments *arguments)
{
    json_t *reply;
    enum ctl_result result = ask_about_one(arguments, CONTROL_INTERFACE ".GetBacktrace", &reply);

    if (reply != NULL && arguments->json)
        print_json(reply);
    else if (reply != NULL)
        print_backtrace(reply);
    json_decref(reply);
    return result;
}

enum ctl_result
ctl_cancel(const struct ctl_arguments *arguments)
{
    json_t *reply;
    enum ctl_result result = ask_about_one(arguments, CONTROL_INTERFACE ".CancelRequest", &reply);

    json_decref(reply);
    return result;
}
