/* SPDX-License-Identifier: MIT */
/*
 * log_sinks.h - where finished log lines go: standard error and the journal
 *
 * Only log.c uses this. Nothing here waits.
 */
#ifndef SOCKSERVERD_COMMON_LOG_SINKS_H
#define SOCKSERVERD_COMMON_LOG_SINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes of a line on standard error, with its newline. Less than PIPE_BUF, so a pipe
 * keeps it whole. */
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

/* Opens a private description of fd 2; until then lines are written to fd 2 itself. May be
 * called again. */
void sink_stderr_open(void);
void sink_stderr_close(void);
/* From now on each line begins with the time and the level: fd 2 is a log file. */
void sink_stderr_use_dates(void);
/* From now on lines are written as records, see log_record.h. */
void sink_stderr_use_records(bool fields);
/* From now on each line is a JSON object, see log_json.h, unless lines are records. */
void sink_stderr_use_json(bool json);
/* Returns 0; -EAGAIN if it would have to wait, or another negative errno: then the line is lost. */
int sink_stderr_write(const struct log_line *line);

/* Returns 0, or a negative errno: nobody listens at path now, or no socket can be made. */
int sink_journal_open(const char *path);
void sink_journal_close(void);
/* Returns what sink_stderr_write() does; -ENOTCONN: there is no journal, or not any more. */
int sink_journal_write(const struct log_line *line);

#endif
