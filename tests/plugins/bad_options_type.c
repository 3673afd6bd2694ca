/* SPDX-License-Identifier: MIT */
/*
 * bad_options_type.c - an option of a type that does not exist
 *
 * Must be refused by the loader with a message that names the option.
 */
#include <sockserver/plugin.h>

static const struct ss_option bad_options[] = {
    {"colour", (enum ss_type)99, .help = "a type that does not exist"},
    {0},
};

SS_PLUGIN(.name = "bad_options_type", .summary = "has an option of unknown type",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING, .options = bad_options)

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
