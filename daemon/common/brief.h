/* SPDX-License-Identifier: MIT */
/*
 * brief.h - what a worker is told at its start, beside its listener's settings
 */
#ifndef SOCKSERVERD_COMMON_BRIEF_H
#define SOCKSERVERD_COMMON_BRIEF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/log.h"
#include "common/settings.h"

struct brief {
    bool check;  /* stop after loading */
    bool once;   /* end after one request */
    bool access; /* log one line for each request */
    bool fields; /* the supervisor wants the fields of log lines */
    enum log_sink sink;
    int level;     /* from which on lines are logged */
    char *address; /* the socket's real one; "" at most, never NULL */
};

/* Packs both into one sealed memory file. Returns its descriptor, which the caller closes, or a
 * negative errno. */
int brief_to_fd(const struct brief *brief, const struct settings *settings);

/*
 * Unpacks both from fd, which stays the caller's. Returns 0 or a negative
 * errno; -EBADMSG: the file holds something else. brief_done() releases
 * *ret_brief, and settings_done() *ret_settings.
 */
int brief_from_fd(int fd, struct brief *ret_brief, struct settings *ret_settings);
void brief_done(struct brief *brief);

#endif
