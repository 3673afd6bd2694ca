/* SPDX-License-Identifier: MIT */
/*
 * log.c - one log line: who speaks, what it says, and whether it got through
 *
 * A line is composed on the caller's stack and handed to a sink in one system
 * call, without a lock, so threads never wait for each other and a fork in the
 * middle of it leaves nothing behind. What a sink cannot take at once is
 * counted; the next line that gets through is preceded by one with the number.
 *
 * Runs in:  every thread of every process.
 * Owns:     the copy of the listener's name. Contexts belong to their threads.
 * Failures: counted, see log_dropped(). A journal that is gone: standard error.
 */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log_sinks.h"
#include "common/printable.h"

const char *const log_level_names[] = {"emerg",  "alert", "crit",  "err", "warning",
                                       "notice", "info",  "debug", NULL};
const char *const log_format_names[] = {[LOG_AS_TEXT] = "text", [LOG_AS_JSON] = "json", NULL};

static _Atomic int threshold = LOG_INFO;
static _Atomic int sink = LOG_TO_STDERR;
static _Atomic uint64_t dropped; /* since the process started */
static _Atomic uint64_t untold;  /* of these, not yet reported in the log */
static _Atomic uint64_t *losses; /* where they are counted, too; NULL: nowhere */
static char own_listener[96];
static _Thread_local const struct log_context *own_context;

static int
find_name(const char *const *names, const char *name)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int
log_level_from_name(const char *name)
{
    return find_name(log_level_names, name);
}

int
log_format_from_name(const char *name)
{
    return find_name(log_format_names, name);
}

/* ---- opening and closing ---------------------------------------------------- */

enum log_sink
log_sink_auto(void)
{
    const char *given = getenv("JOURNAL_STREAM");
    struct stat status;
    char stream[48];

    if (given == NULL || fstat(STDERR_FILENO, &status) < 0)
        return LOG_TO_STDERR;
    (void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino);
    return strcmp(given, stream) == 0 ? LOG_TO_JOURNAL : LOG_TO_STDERR;
}

void
log_forget_losses(void)
{
    if (atomic_load(&dropped) == 0)
        return; /* a write would cost every child a page */
    atomic_store(&dropped, 0);
    atomic_store(&untold, 0);
}

static void
forget_losses_in_children(void)
{
    (void)pthread_atfork(NULL, NULL, log_forget_losses);
}

int
log_open(enum log_sink new_sink, const char *journal_path)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int r = 0;

    (void)pthread_once(&once, forget_losses_in_children);
    sink_stderr_open();
    if (new_sink == LOG_TO_JOURNAL)
        r = sink_journal_open(journal_path);
    atomic_store(&sink, (int)new_sink);
    return r;
}

void
log_use_records(bool fields)
{
    sink_stderr_use_records(fields);
}

void
log_set_format(enum log_format format)
{
    sink_stderr_use_json(format == LOG_AS_JSON);
}

void
log_close(void)
{
    atomic_store(&sink, LOG_TO_STDERR);
    sink_journal_close();
    sink_stderr_close();
}

int
log_open_file(const char *path)
{
    _cleanup_close_ int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
             S_IRUSR | S_IWUSR | S_IRGRP);

    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        return -errno;
    sink_stderr_use_dates();
    sink_stderr_open();
    atomic_store(&sink, LOG_TO_STDERR);
    return 0;
}

/* ---- level, listener, context ------------------------------------------------ */

void
log_set_level(int level)
{
    atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

int
log_level(void)
{
    return atomic_load_explicit(&threshold, memory_order_relaxed);
}

bool
log_enabled(int level)
{
    return level <= log_level();
}

void
log_set_listener(const char *name)
{
    (void)snprintf(own_listener, sizeof(own_listener), "%s", name != NULL ? name : "");
}

void
log_set_context(const struct log_context *context)
{
    own_context = context;
}

uint64_t
log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

void
log_count_losses(_Atomic uint64_t *place)
{
    losses = place;
}

/* ---- making a line printable --------------------------------------------------- */

static void
name_line(struct log_line *line)
{
    if (line->request > 0)
        (void)snprintf(line->who, sizeof(line->who), "%s/%llu", line->listener,
                       (unsigned long long)line->request);
    else
        (void)snprintf(line->who, sizeof(line->who), "%s", line->listener);
}

static size_t
room_for_text(const struct log_line *line)
{
    return LOG_LINE_SIZE - strlen("sockserverd[]: \n") - strlen(line->who);
}

static void __attribute__((format(printf, 2, 0)))
compose_line(struct log_line *line, const char *format, va_list arguments)
{
    char raw[LOG_LINE_SIZE];
    int size = vsnprintf(raw, sizeof(raw), format, arguments);
    bool whole = size >= 0 && (size_t)size < sizeof(raw);

    if (size < 0)
        (void)snprintf(raw, sizeof(raw), "%s", format);
    if (whole && size > 0 && raw[size - 1] == '\n')
        raw[size - 1] = '\0';
    name_line(line);
    printable_copy(line->text, room_for_text(line), raw, whole);
}

/* ---- delivering it ---------------------------------------------------------------- */

static int
write_line(const struct log_line *line)
{
    int r = -ENOTCONN;

    if (atomic_load_explicit(&sink, memory_order_relaxed) == LOG_TO_JOURNAL)
        r = sink_journal_write(line);
    return r == -ENOTCONN ? sink_stderr_write(line) : r;
}

static int
tell_losses(uint64_t count)
{
    struct log_line notice = {.level = LOG_WARNING, .listener = own_listener};

    name_line(&notice);
    (void)snprintf(notice.text, sizeof(notice.text), "%llu log line%s lost",
                   (unsigned long long)count, count == 1 ? " was" : "s were");
    return write_line(&notice);
}

static void
deliver_line(const struct log_line *line)
{
    uint64_t count = atomic_exchange(&untold, 0);
    int r = count > 0 ? tell_losses(count) : 0;

    if (r == 0) {
        count = 0;
        r = write_line(line);
    }
    if (r < 0) {
        atomic_fetch_add(&dropped, 1);
        if (losses != NULL)
            atomic_fetch_add_explicit(losses, 1, memory_order_relaxed);
        atomic_fetch_add(&untold, count + 1);
    }
}

static void __attribute__((format(printf, 4, 0)))
log_line_v(const char *listener, int level, const char *const *fields, const char *format,
           va_list arguments)
{
    struct log_line line;
    int saved_errno = errno;
    bool ours = listener == NULL;

    if (!log_enabled(level))
        return;
    line.level = level;
    line.listener = ours ? own_listener : listener;
    line.request = ours && own_context != NULL ? own_context->request : 0;
    line.client = ours && own_context != NULL ? own_context->client : NULL;
    line.fields = fields;
    compose_line(&line, format, arguments);
    deliver_line(&line);
    errno = saved_errno;
}

void
log_message_v(int level, const char *format, va_list arguments)
{
    log_line_v(NULL, level, NULL, format, arguments);
}

void
log_message(int level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line_v(NULL, level, NULL, format, arguments);
    va_end(arguments);
}

void
log_event(int level, const char *const *fields, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line_v(NULL, level, fields, format, arguments);
    va_end(arguments);
}

void
log_listener(const char *name, int level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line_v(name, level, NULL, format, arguments);
    va_end(arguments);
}

void
log_relay(const char *listener, int level, unsigned long long request, const char *text,
          const char *const *fields)
{
    struct log_line line = {
        .level = level, .listener = listener, .request = request, .fields = fields};

    name_line(&line);
    printable_copy(line.text, room_for_text(&line), text, true);
    deliver_line(&line);
}
