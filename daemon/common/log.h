/* SPDX-License-Identifier: MIT */
/*
 * log.h - log lines to standard error or to the journal, without ever blocking
 *
 * Used by every process; a line that cannot be written at once is dropped and
 * counted, and the next one that gets through says how many were lost. Safe
 * from several threads and after fork; not from signal handlers.
 */
#ifndef SOCKSERVERD_COMMON_LOG_H
#define SOCKSERVERD_COMMON_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

struct log_settings {
    char *target; /* "auto", "journal", "stderr", or a path */
    int level;    /* syslog level: less urgent lines are not written */
    bool access;  /* one line per request */
};

enum log_sink { LOG_TO_STDERR, LOG_TO_JOURNAL };

/* Names as in the configuration: "emerg" ... "debug". -1 if unknown; NULL-terminated list. */
int log_level_from_name(const char *name);
extern const char *const log_level_names[];

/*
 * Which sink "auto" means here: the journal if systemd connected standard
 * error to it ($JOURNAL_STREAM names its device and inode), else stderr.
 */
enum log_sink log_sink_auto(void);

/*
 * Starts logging. Standard error gets a file description of its own,
 * non-blocking, where that is possible. Before this, lines go to fd 2 plainly.
 * journal_path: the journal's socket, NULL for the usual one (tests give
 * another). 0 or a negative errno; lines go to standard error whenever there
 * is no journal, and to the journal as soon as there is one.
 */
int log_open(enum log_sink sink, const char *journal_path);
void log_close(void);
/* For a log file: append to path from now on (fd 2 becomes it). Also reopens. 0 or a negative
 * errno. */
int log_open_file(const char *path);
/* Takes fd (an open log file) as fd 2, and as fd 1 where that was the same file. 0 or a negative
 * errno; fd is then still the caller's. */
int log_adopt_file(int fd);

void log_set_level(int level);
int log_level(void);
bool log_enabled(int level);

/* The listener this process works for: "sockserverd[NAME]: ". NULL: the supervisor. Copied. */
void log_set_listener(const char *name);

/* What the calling thread (coroutine) works on: set while a request runs. */
struct log_context {
    uint64_t request;   /* number, shown as "sockserverd[NAME/NUMBER]: "; 0: none */
    const char *client; /* name for the journal's field, or NULL */
};
void log_set_context(const struct log_context *context); /* NULL: none. Not copied. */

/* One line, no newline needed; control characters are shown as \xNN; %m works; errno is kept. */
void log_message(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_message_v(int level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* As log_message(), with more journal fields: "KEY=value" strings, NULL at the end. */
void log_event(int level, const char *const *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* About a listener other than this process's own (the supervisor speaking of one). */
void log_listener(const char *name, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...)   log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_message(LOG_DEBUG, __VA_ARGS__)

/* Lines dropped by this process since it started. */
uint64_t log_dropped(void);
/* In a child: what its parent lost is the parent's to report. fork() calls it, _Fork() does not. */
void log_forget_losses(void);

#endif
