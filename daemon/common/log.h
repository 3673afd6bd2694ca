/* SPDX-License-Identifier: MIT */
/*
 * log.h - log lines to standard error or to the journal, without ever blocking
 *
 * Every process uses this. A line that cannot be written at once is dropped and
 * counted, and the next one that gets through says how many were lost. Several
 * threads may log, also after fork; signal handlers may not.
 */
#ifndef SOCKSERVERD_COMMON_LOG_H
#define SOCKSERVERD_COMMON_LOG_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

enum log_format { LOG_AS_TEXT, LOG_AS_JSON };

struct log_settings {
    char *target; /* "auto", "journal", "stderr", or a path */
    int level;    /* syslog level: less urgent lines are not written */
    bool access;  /* one line per request */
    enum log_format format;
};

enum log_sink { LOG_TO_STDERR, LOG_TO_JOURNAL };

/* Returns the level of a name as in the configuration, "emerg" ... "debug", or -1. The list of
 * the names ends with NULL. */
int log_level_from_name(const char *name);
extern const char *const log_level_names[];
/* The same for formats, "text" and "json". */
int log_format_from_name(const char *name);
extern const char *const log_format_names[];

/* Returns the sink that "auto" means here: the journal if systemd connected standard error to it
 * ($JOURNAL_STREAM names its device and inode), else standard error. */
enum log_sink log_sink_auto(void);

/*
 * Starts logging. Standard error gets a new, non-blocking file description
 * where that is possible; before this call, lines simply go to fd 2.
 * journal_path is the journal's socket, or NULL for the usual one (tests give
 * another). Returns 0 or a negative errno. Lines go to standard error
 * whenever there is no journal, and to the journal as soon as there is one.
 */
int log_open(enum log_sink sink, const char *journal_path);
void log_close(void);
/* Lines on standard error are records for the supervisor from now on, see log_record.h, with the
 * fields of each line if they are wanted. For workers, before log_open(). */
void log_use_records(bool fields);
/* Sets how lines look on standard error and in a log file. The journal's never change. */
void log_set_format(enum log_format format);
/* Appends to the log file at path from now on: fd 2 becomes that file, and each line begins with
 * time and level. Also reopens it. For a process with one thread. Returns 0 or a negative errno. */
int log_open_file(const char *path);

void log_set_level(int level);
int log_level(void);
bool log_enabled(int level);

/* Sets the listener that this process works for, shown as "sockserverd[NAME]: ". NULL is the
 * supervisor. The name is copied. */
void log_set_listener(const char *name);

/* What the calling thread or coroutine works on. It is set while a request runs. */
struct log_context {
    uint64_t request;   /* number, shown as "sockserverd[NAME/NUMBER]: "; 0: none */
    const char *client; /* name for the journal's field, or NULL */
};
void log_set_context(const struct log_context *context); /* NULL: none. Not copied. */

/* Logs one line; it needs no newline. Control characters are shown as \xNN, %m works, and errno
 * is kept. */
void log_message(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_message_v(int level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Logs like log_message(), with more fields for the journal and for JSON: "KEY=value" strings, and
 * NULL at the end. */
void log_event(int level, const char *const *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Logs in the name of a listener that this process does not work for; the supervisor does so. */
void log_listener(const char *name, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Logs a line that somebody else has composed: a record of a worker, or what its plugin has
 * printed. fields: as log_event() has them, or NULL. */
void log_relay(const char *listener, int level, unsigned long long request, const char *text,
               const char *const *fields);

#define log_error(...)   log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_message(LOG_DEBUG, __VA_ARGS__)

/* Returns how many lines this process has dropped since it started. */
uint64_t log_dropped(void);
/* From now on they are counted there, too, also in children of this process. */
void log_count_losses(_Atomic uint64_t *place);
/* Forgets in a child what its parent lost, as the parent reports that. fork() calls this,
 * _Fork() does not. */
void log_forget_losses(void);

#endif
