/* SPDX-License-Identifier: MIT */
/*
 * bad_options_list.c - a list whose default has more items than the list may have
 *
 * Must be refused by the loader with a message that names the option.
 */
#include <sockserver/plugin.h>

static const struct ss_option bad_options[] = {
    {"names", SS_LIST, .fallback = "one\ntwo\nthree", .max = 2, .help = "three of two at most"},
    {0},
};

SS_PLUGIN(.name = "bad_options_list", .summary = "has a default that is too long a list",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING, .options = bad_options)

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
