/* SPDX-License-Identifier: MIT */
/*
 * good_rude_texts.c - what it says of itself would repaint a terminal
 */
#include <sockserver/plugin.h>

static const struct ss_option options[] = {
    {.name = "word",
     .type = SS_STRING,
     .fallback = "\033[5m",
     .help = "\033]0;title\a\342\200\256"},
    {0},
};

SS_PLUGIN(.name = "rude", .summary = "\033[2Jclears the screen", .transports = SS_STREAM,
          .options = options)

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
