/* SPDX-License-Identifier: MIT */
/*
 * bad_options_fallback.c - an option whose default is not of its type
 *
 * Must be refused by the loader with a message that names the option.
 */
#include <sockserver/plugin.h>

static const struct ss_option bad_options[] = {
    {"pause", SS_DURATION, .fallback = "soon", .help = "a default that is no duration"},
    {0},
};

SS_PLUGIN(.name = "bad_options_fallback", .summary = "has a default of the wrong type",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING, .options = bad_options)

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
