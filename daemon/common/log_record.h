/* SPDX-License-Identifier: MIT */
/*
 * log_record.h - a worker's log line on its way through its pipe to the supervisor
 *
 * A worker's standard error is a pipe of its own. What its plugin prints there
 * is plain text; the daemon's own lines have a byte in front that text does not
 * have, then level and request number. The listener is not in it: the supervisor
 * knows whose pipe it is. If the log is JSON, "KEY=value" fields follow the text,
 * each behind a byte that neither text nor fields have.
 */
#ifndef SOCKSERVERD_COMMON_LOG_RECORD_H
#define SOCKSERVERD_COMMON_LOG_RECORD_H

#define LOG_RECORD_MARK   '\x1e'           /* the "record separator" of ASCII */
#define LOG_RECORD_FORMAT "%c%d %llu %s\n" /* mark, level, request (0: none), text */
#define LOG_RECORD_FIELD  '\x1f'           /* the "unit separator", before each field */
/* A record has at most so many bytes with its newline: a pipe keeps it whole (PIPE_BUF). */
#define LOG_RECORD_SIZE 4096

#endif
