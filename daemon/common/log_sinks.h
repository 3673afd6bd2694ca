/* SPDX-License-Identifier: MIT */
/*
 * log_sinks.h - where finished log lines go: standard error and the journal
 *
 * Only log.c uses this. Nothing here waits.
 */
#ifndef SOCKSERVERD_COMMON_LOG_SINKS_H
#define SOCKSERVERD_COMMON_LOG_SINKS_H

#include <stddef.h>
#include <stdint.h>

/* A whole line on standard error, newline included: below PIPE_BUF, so that a pipe keeps it whole.
 */
#define LOG_LINE_SIZE 2048

struct log_line {
    int level;
    const char *listener;      /* "" for the supervisor itself */
    uint64_t request;          /* 0: none */
    const char *client;        /* or NULL */
    const char *const *fields; /* "KEY=value", NULL at the end; or NULL */
    char who[128];             /* "upper/412", "upper" or "" */
    char text[LOG_LINE_SIZE];  /* printable, no newline */
};

/* Gives fd 2 a description of our own; it is used plainly until then. Repeatable. */
void sink_stderr_open(void);
void sink_stderr_close(void);
/* 0, -EAGAIN when it would have to wait, or another negative errno: the line is lost. */
int sink_stderr_write(const struct log_line *line);

/* 0, or a negative errno: nobody listens at path now, or no socket is to be had. */
int sink_journal_open(const char *path);
void sink_journal_close(void);
/* As sink_stderr_write(). -ENOTCONN: there is no journal (any more). */
int sink_journal_write(const struct log_line *line);

#endif
