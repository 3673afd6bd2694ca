/* SPDX-License-Identifier: MIT */
/*
 * bad_options_range.c - an option whose min is above its max
 *
 * Must be refused by the loader with a message that names the option.
 */
#include <sockserver/plugin.h>

static const struct ss_option bad_options[] = {
    {"size", SS_SIZE, .fallback = "64K", .min = 100, .max = 10, .help = "min above max"},
    {0},
};

SS_PLUGIN(.name = "bad_options_range", .summary = "has an option with min above max",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING, .options = bad_options)

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
