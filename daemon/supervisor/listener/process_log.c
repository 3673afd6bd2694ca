/* SPDX-License-Identifier: MIT */
/*
 * process_log.c - what a worker writes to its log pipe, line by line into the daemon's log
 *
 * A worker's standard output and standard error are the two ends of nothing but
 * this pipe. A record (log_record.h) is a line of the daemon's own code in the
 * worker; anything else is what the plugin, or a program that it started, has
 * printed. Either becomes a line in the name of the worker's listener, whatever
 * it says of itself.
 *
 * Nobody can flood the daemon this way: a pipe is read some hundred times a
 * second at most, and behind everything else. One that is full loses lines of
 * the daemon's code, which the worker counts and reports, and makes a plugin
 * that prints wait.
 *
 * Runs in:  the supervisor.
 * Owns:     the beginning of a line, until its end comes.
 * Failures: without memory for it, a beginning is logged as a line of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_record.h"
#include "supervisor/listener/process_private.h"

#define CHUNK         16384
#define CHUNKS        8    /* at a time: more than a pipe holds */
#define LAST_CHUNKS   64   /* of a worker that is gone: a child of its may still be writing */
#define LINE_SIZE     2048 /* longer printed lines are cut in pieces */
#define FIELDS_MOST   16   /* of a record */
#define PRIORITY      (SD_EVENT_PRIORITY_NORMAL + 50)
#define TURN_USEC     UINT64_C(10000)
#define TURNS         2 /* in this time */
#define PRINTED_LEVEL LOG_NOTICE

/* Takes "6 412 text" apart. Returns the text, or NULL if this is no record. */
static char *
parse_record(char *record, int *ret_level, unsigned long long *ret_request)
{
    char *end;

    if (record[0] < '0' || record[0] > '7' || record[1] != ' ' || record[2] < '0' ||
        record[2] > '9')
        return NULL;
    *ret_level = record[0] - '0';
    *ret_request = strtoull(record + 2, &end, 10);
    return *end == ' ' ? end + 1 : NULL;
}

/* Takes the fields off the text that they stand behind. ret_fields has NULL at its end. */
static void
cut_fields(char *text, const char *ret_fields[FIELDS_MOST + 1])
{
    char *field = strchr(text, LOG_RECORD_FIELD);
    size_t count = 0;

    while (field != NULL) {
        *field = '\0';
        if (count < FIELDS_MOST)
            ret_fields[count++] = field + 1;
        field = strchr(field + 1, LOG_RECORD_FIELD);
    }
    ret_fields[count] = NULL;
}

/* Logs a whole line, or what was printed before a record without a newline. */
static void
log_one(const struct process *process, char *line)
{
    const char *fields[FIELDS_MOST + 1] = {NULL};
    const char *name = process->settings->name;
    char *text = NULL;
    unsigned long long request = 0;
    int level = PRINTED_LEVEL;

    if (*line == LOG_RECORD_MARK)
        text = parse_record(line + 1, &level, &request);
    if (text == NULL) {
        log_relay(name, PRINTED_LEVEL, 0, line, NULL);
    } else if (log_enabled(level)) {
        cut_fields(text, fields);
        log_relay(name, level, request, text, fields);
    }
}

static void
end_line(struct process *process)
{
    if (process->log_size == 0)
        return;
    process->log_text[process->log_size] = '\0';
    process->log_size = 0;
    log_one(process, process->log_text);
}

/* Whether the line has no room for another byte. */
static bool
line_is_full(const struct process *process)
{
    bool record = process->log_size > 0 && process->log_text[0] == LOG_RECORD_MARK;

    return process->log_size == (record ? LOG_RECORD_SIZE : LINE_SIZE);
}

static void
take_text(struct process *process, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n' || text[i] == LOG_RECORD_MARK || line_is_full(process))
            end_line(process);
        if (text[i] != '\n')
            process->log_text[process->log_size++] = text[i] == '\0' ? '\x01' : text[i];
    }
}

void
process_read_log(struct process *process, bool last)
{
    char chunk[CHUNK];

    if (process->log < 0 || process->log_text == NULL)
        return;
    for (unsigned i = 0; i < (last ? LAST_CHUNKS : CHUNKS); i++) {
        ssize_t size = read(process->log, chunk, sizeof(chunk));

        if (size < 0 && errno == EINTR)
            continue;
        if (size == 0 && process->log_source != NULL) /* nobody can write to it any more */
            (void)sd_event_source_set_enabled(process->log_source, SD_EVENT_OFF);
        if (size <= 0)
            break;
        take_text(process, chunk, (size_t)size);
    }
    if (last)
        end_line(process);
}

static int
on_log(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    (void)fd;
    (void)events;
    process_read_log(userdata, false);
    return 0;
}

int
process_watch_log(struct process *process, sd_event *event)
{
    if (process->log < 0)
        return 0; /* a worker of an older program, which has no such pipe */
    process->log_text = malloc(LOG_RECORD_SIZE + 1);
    if (process->log_text == NULL)
        return -ENOMEM;
    int r = sd_event_add_io(event, &process->log_source, process->log, EPOLLIN, on_log, process);
    if (r >= 0)
        r = sd_event_source_set_priority(process->log_source, PRIORITY);
    if (r >= 0)
        r = sd_event_source_set_ratelimit(process->log_source, TURN_USEC, TURNS);
    return r < 0 ? r : 0;
}
