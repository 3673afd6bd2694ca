/* SPDX-License-Identifier: MIT */
/*
 * bad_options.c - an option table with three mistakes
 *
 * Must be refused by the loader, which should name all three at once.
 */
#include <sockserver/plugin.h>

static const struct ss_option bad_options[] = {
    {"twice", SS_STRING, .help = "the first"},
    {"twice", SS_STRING, .help = "the second"},
    {"pause", SS_DURATION, .fallback = "soon", .help = "a default that is no duration"},
    {"size", SS_SIZE, .fallback = "64K", .min = 100, .max = 10, .help = "min above max"},
    {0},
};

SS_PLUGIN(.name = "bad_options", .summary = "has three mistakes in its options",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING, .options = bad_options)

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
