/* SPDX-License-Identifier: MIT */
/*
 * good_one_process.c - counts in plain memory, and states that it takes one process for that
 *
 * Answers with how many requests there were, this one included.
 */
#include <math.h>
#include <sockserver/plugin.h>
#include <stdatomic.h>

static const struct ss_option options[] = {
    {"word", SS_CHOICE, .fallback = "one", .choices = "one two", .help = "a choice"},
    {"file", SS_PATH, .help = "a path"},
    {"target", SS_ADDRESS, .fallback = "unix:@x", .help = "an address"},
    {"least", SS_DURATION, .fallback = "1s", .min = 1, .max = INFINITY, .help = "an open end"},
    {"most", SS_DURATION, .fallback = "1s", .max = 1e9, .help = "a far end"},
    {0},
};

SS_PLUGIN(.name = "good_one_process", .summary = "counts its requests", .transports = SS_STREAM,
          .mixins = SS_THREADING | SS_COROUTINE | SS_ONE_PROCESS, .options = options)

static atomic_uint count;

int
handle(struct ss_request *request)
{
    return ss_printf(request, "%u\n", atomic_fetch_add(&count, 1) + 1);
}
