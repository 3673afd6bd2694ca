/* SPDX-License-Identifier: MIT */
/*
 * bad_options_outside.c - an option whose default lies outside its range
 *
 * Must be refused by the loader with a message that names the option.
 */
#include <sockserver/plugin.h>

static const struct ss_option bad_options[] = {
    {"count", SS_INTEGER, .fallback = "11", .min = 1, .max = 10, .help = "a default above max"},
    {0},
};

SS_PLUGIN(.name = "bad_options_outside", .summary = "has a default out of range",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING, .options = bad_options)

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
