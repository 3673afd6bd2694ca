/* SPDX-License-Identifier: MIT */
/*
 * bad_options_new_types.c - names that no file could set, and choices without words or a default
 *
 * Must be refused by the loader with a message for each.
 */
#include <math.h>
#include <sockserver/plugin.h>

static const struct ss_option bad_options[] = {
    {"with space", SS_STRING, .help = "no name"},
    {"1st", SS_STRING, .help = "none either"},
    {"none", SS_CHOICE, .fallback = "a", .help = "without words"},
    {"two", SS_CHOICE, .fallback = "a", .choices = "a  b", .help = "with two spaces"},
    {"open", SS_CHOICE, .choices = "a b", .help = "without a default"},
    {"other", SS_CHOICE, .fallback = "c", .choices = "a b", .help = "with another default"},
    {"path", SS_PATH, .fallback = "tmp", .help = "relative"},
    {"address", SS_ADDRESS, .fallback = "nowhere", .help = "none"},
    {"nan", SS_NUMBER, .fallback = "1", .max = NAN, .help = "without an end"},
    {"-", SS_STRING, .help = "none either"},
    {0},
};

SS_PLUGIN(.name = "bad_options_new_types", .summary = "has mistakes in its rows",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING, .options = bad_options)

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
