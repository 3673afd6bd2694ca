/* SPDX-License-Identifier: MIT */
/*
 * log_json.h - a log line as a JSON object
 */
#ifndef SOCKSERVERD_COMMON_LOG_JSON_H
#define SOCKSERVERD_COMMON_LOG_JSON_H

#include <stddef.h>

#include "common/log_sinks.h"

/* The most bytes of a line, with its newline: a pipe keeps it whole (PIPE_BUF). */
#define LOG_JSON_SIZE 4096
#define LOG_TIME_SIZE 32

/* Writes the time as 2026-03-01T07:30:00.125Z. It is UTC, which neither needs a file of time
 * zones nor jumps twice a year. */
void log_format_time(char time[LOG_TIME_SIZE]);

/* Writes the line to data, which has room for LOG_JSON_SIZE bytes; there is no NUL behind it.
 * Returns its size. */
size_t log_json_format(const struct log_line *line, char *data);

#endif
