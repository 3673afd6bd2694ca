/* SPDX-License-Identifier: MIT */
/*
 * report.c - what a test says when something is not as expected
 *
 * Runs in:  the test's thread.
 * Owns:     the log that was read so far, which is the rig's.
 * Failures: without memory it says less.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testing/log_capture.h"
#include "testing/rig.h"
#include "testing/stage.h"

#define SHOWN_BYTES 2000
#define SHOWN_LOG   8000
#define KEPT        4 /* texts of a failure */

/* cmocka's, if the program is linked with it. */
extern void _fail(const char *file, int line) __attribute__((weak));
extern void print_error(const char *format, ...) __attribute__((weak));

static void (*failure_function)(const char *message);

void
ss_test_on_failure(void (*function)(const char *message))
{
    failure_function = function;
}

/* ---- bytes ------------------------------------------------------------------------ */

static void
show_byte(FILE *out, unsigned char byte)
{
    static const char names[] = "abtnvfr"; /* 7 to 13 */

    if (byte >= 7 && byte <= 13)
        (void)fprintf(out, "\\%c", names[byte - 7]);
    else if (byte == '"' || byte == '\\')
        (void)fprintf(out, "\\%c", byte);
    else if (byte < ' ' || byte >= 0x7f)
        (void)fprintf(out, "\\x%02x", byte);
    else
        (void)fputc(byte, out);
}

char *
show_bytes(const void *bytes, size_t size)
{
    const unsigned char *all = bytes;
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL)
        return NULL;
    (void)fputc('"', out);
    for (size_t i = 0; i < size && i < SHOWN_BYTES; i++)
        show_byte(out, all[i]);
    (void)fputc('"', out);
    if (size > SHOWN_BYTES)
        (void)fprintf(out, "... (%zu bytes)", size);
    return fclose(out) == 0 ? text : NULL;
}

/* ---- the log ---------------------------------------------------------------------- */

void
log_collect(struct rig *rig)
{
    char lines[4096];
    ssize_t got;

    while ((got = log_capture_read(lines, sizeof(lines))) > 0) {
        char *log = realloc(rig->log, rig->log_size + (size_t)got + 1);
        if (log == NULL)
            return;
        memcpy(log + rig->log_size, lines, (size_t)got);
        rig->log = log;
        rig->log_size += (size_t)got;
        rig->log[rig->log_size] = '\0';
    }
}

/* Its last part, each line indented. */
static void
show_log(FILE *out, const struct rig *rig)
{
    const char *from = rig->log;

    if (rig->log_size == 0)
        return;
    if (rig->log_size > SHOWN_LOG)
        from = strchr(rig->log + rig->log_size - SHOWN_LOG, '\n') + 1;
    (void)fprintf(out, "  log:%s\n", from == rig->log ? "" : " ...");
    while (*from != '\0') {
        size_t length = strcspn(from, "\n");
        (void)fprintf(out, "    %.*s\n", (int)length, from);
        from += length + (from[length] == '\n');
    }
}

/* ---- requests --------------------------------------------------------------------- */

/* The system call that a thread is in, as its number, or "". */
static void
show_call(int thread, char *buffer, size_t size)
{
    char path[64], line[64] = "";

    (void)snprintf(path, sizeof(path), "/proc/%d/syscall", thread);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(line, sizeof(line), file) != NULL && line[0] >= '0' && line[0] <= '9')
            (void)snprintf(buffer, size, ": it is in system call %d, which holds it up",
                           atoi(line));
        (void)fclose(file);
    }
}

const char *
play_state(const struct play *play, char *buffer, size_t size)
{
    const struct stage *stage = play->stage;
    char call[80] = "";

    if (stage == NULL)
        return "waits for its turn";
    switch (atomic_load(&stage->state)) {
    case PLAY_ENDED:
        (void)snprintf(buffer, size, "has ended: %s",
                       play->fate != NULL ? play->fate : stage->outcome);
        return buffer;
    case PLAY_WAITS:
        return atomic_load(&stage->outside) ? "waits for something other than its client"
                                            : "waits for its client, or for time to go by";
    default:
        if (stage->director != NULL)
            return "goes on in the test's own thread";
        show_call(atomic_load(&stage->thread), call, sizeof(call));
        (void)snprintf(buffer, size, "neither waits by a call of ss_*() nor ends%s", call);
        return buffer;
    }
}

static void
show_plays(FILE *out, const struct rig *rig)
{
    char buffer[512];
    unsigned number = 1;

    for (const struct play *play = rig->plays; play != NULL; play = play->next)
        (void)fprintf(out, "  request %u of those that are known: %s\n", number++,
                      play_state(play, buffer, sizeof(buffer)));
}

/* ---- the end ---------------------------------------------------------------------- */

const char *
keep_text(char *text)
{
    static char *kept[KEPT];
    static unsigned next;

    free(kept[next % KEPT]);
    kept[next++ % KEPT] = text;
    return text != NULL ? text : "";
}

static _Noreturn void
end_test(const struct rig *rig, const char *message)
{
    if (failure_function != NULL)
        failure_function(message);
    if (_fail != NULL) {
        if (print_error != NULL)
            print_error("%s", message);
        _fail(rig->file, rig->line);
    }
    (void)fputs(message, stderr);
    abort();
}

_Noreturn void
fail(struct rig *rig, const char *format, ...)
{
    char *message = NULL;
    size_t length;
    va_list arguments;
    FILE *out = open_memstream(&message, &length);

    log_collect(rig);
    if (out == NULL)
        end_test(rig, "sockserver-test: out of memory\n");
    if (rig->file != NULL)
        (void)fprintf(out, "%s:%d: ", rig->file, rig->line);
    (void)fprintf(out, "%s(): ", rig->call);
    va_start(arguments, format);
    (void)vfprintf(out, format, arguments);
    va_end(arguments);
    (void)fputc('\n', out);
    show_plays(out, rig);
    show_log(out, rig);
    (void)fclose(out);
    end_test(rig, keep_text(message));
}

void *
must(struct rig *rig, void *memory)
{
    if (memory == NULL)
        fail(rig, "out of memory");
    return memory;
}
