/* SPDX-License-Identifier: MIT */
/*
 * bad_options_duplicate.c - an option table with one name twice
 *
 * Must be refused by the loader with a message that names the option.
 */
#include <sockserver/plugin.h>

static const struct ss_option bad_options[] = {
    {"twice", SS_STRING, .help = "the first"},
    {"twice", SS_STRING, .help = "the second"},
    {0},
};

SS_PLUGIN(.name = "bad_options_duplicate", .summary = "has two options of one name",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING, .options = bad_options)

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
