/* SPDX-License-Identifier: MIT */
/*
 * sources.c - the commands that show the busiest sources, and that pardon one
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: said on standard error; the result is the exit status.
 */
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/control_interface.h"
#include "ctl/connection.h"
#include "ctl/ctl.h"
#include "ctl/status.h"
#include "ctl/text.h"

#define SOURCES_ASKED 40

enum { COLUMN_LISTENER, COLUMN_SOURCE, COLUMN_ACTIVE, COLUMN_RATE, COLUMN_REFUSED, COLUMN_PENALTY };

static const struct column columns[] = {
    [COLUMN_LISTENER] = {"LISTENER", .drop = 3, .least = 6},
    [COLUMN_SOURCE] = {"SOURCE", .least = 12},
    [COLUMN_ACTIVE] = {"ACTIVE", .right = true},
    [COLUMN_RATE] = {"/S", .right = true, .drop = 2},
    [COLUMN_REFUSED] = {"REFUSED", .right = true, .drop = 1},
    [COLUMN_PENALTY] = {"PENALTY", .least = 12},
};

/* "12s crash", "9s handler: no manners", or nothing. */
static void
set_penalty(struct row *row, const json_t *source)
{
    const char *kind = text_member(source, "penalty"), *reason = text_member(source, "reason");
    char age[TEXT_SIZE], text[SHOW_SIZE];

    if (count_member(source, "penalty_us") == 0)
        return;
    (void)snprintf(text, sizeof(text), "%s %s%s%s",
                   text_age(count_member(source, "penalty_us"), age), kind,
                   *reason == '\0' ? "" : ": ", reason);
    row_set(row, COLUMN_PENALTY, COLOUR_RED, text);
}

static void
fill_row(struct row *row, const json_t *source)
{
    uint64_t refused = count_member(source, "refused");
    char text[TEXT_SIZE];

    row_set(row, COLUMN_LISTENER, COLOUR_NONE, text_member(source, "listener"));
    row_set(row, COLUMN_SOURCE, COLOUR_BOLD, text_member(source, "source"));
    row_set(row, COLUMN_ACTIVE, COLOUR_NONE, text_count(count_member(source, "active"), text));
    row_set(row, COLUMN_RATE, COLOUR_NONE, text_rate(number_member(source, "rate"), text));
    row_set(row, COLUMN_REFUSED, refused > 0 ? COLOUR_YELLOW : COLOUR_NONE,
            text_count(refused, text));
    set_penalty(row, source);
}

enum ctl_result
ctl_sources(const struct ctl_arguments *arguments)
{
    json_t *parameters = json_pack("{s:i}", "limit", SOURCES_ASKED), *reply = NULL;

    if (arguments->operand != NULL)
        varlink_set(&parameters, "listener", varlink_text(arguments->operand));
    enum ctl_result result =
        call_once(arguments, CONTROL_INTERFACE ".GetSources", parameters, CONNECTION_QUICK, &reply);
    if (reply != NULL && arguments->json)
        print_json(reply);
    else if (reply != NULL)
        print_rows(columns, ARRAY_SIZE(columns), json_object_get(reply, "sources"), fill_row);
    json_decref(reply);
    return result;
}

enum ctl_result
ctl_pardon(const struct ctl_arguments *arguments)
{
    json_t *reply = NULL;
    enum ctl_result result = call_once(
        arguments, CONTROL_INTERFACE ".Pardon",
        json_pack("{s:s, s:s}", "listener", arguments->operand, "client", arguments->second),
        CONNECTION_QUICK, &reply);

    if (reply != NULL && !json_is_true(json_object_get(reply, "pardoned"))) {
        print_clean(stdout, arguments->second);
        (void)puts(" had no penalty");
    }
    json_decref(reply);
    return result;
}
