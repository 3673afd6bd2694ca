/* SPDX-License-Identifier: MIT */
/*
 * log_capture.c - the log of a test: a pipe that the test reads
 *
 * It takes the place of common/log_sinks.c in the test library: common/log.c composes the lines as
 * always. What the line in the access log says of a request goes to the request's stage, too.
 * Lines are longer than nothing and shorter than PIPE_BUF, so they stay whole.
 *
 * Runs in:  a test's thread, and its requests' threads and children.
 * Owns:     the pipe, for as long as the process lives.
 * Failures: what the pipe cannot take is lost, and common/log.c says so.
 */
#include "testing/log_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_sinks.h"
#include "testing/stage.h"

#define REASON    "SOCKSERVERD_REASON="
#define PIPE_SIZE (1 << 20)

static int ends[2] = {-1, -1};

int
log_capture_open(void)
{
    if (ends[0] >= 0)
        return 0;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    return 0;
}

ssize_t
log_capture_read(char *buffer, size_t size)
{
    return read(ends[0], buffer, size);
}

static void
note_outcome(const struct log_line *line)
{
    for (size_t i = 0; line->fields != NULL && line->fields[i] != NULL; i++)
        if (strncmp(line->fields[i], REASON, strlen(REASON)) == 0)
            stage_note_outcome(line->fields[i] + strlen(REASON));
}

int
sink_stderr_write(const struct log_line *line)
{
    char text[LOG_LINE_SIZE + sizeof(line->who) + 32];
    int size = snprintf(text, sizeof(text), "%s: [%s] %s\n", log_level_names[line->level & 7],
                        line->who, line->text);

    note_outcome(line);
    return write(ends[1], text, (size_t)size) == size ? 0 : -EAGAIN;
}

/* ---- what a test never asks for --------------------------------------------------- */

void
sink_stderr_open(void)
{
}

void
sink_stderr_close(void)
{
}

void
sink_stderr_use_dates(void)
{
}

void
sink_stderr_use_records(bool fields)
{
    (void)fields;
}

void
sink_stderr_use_json(bool json)
{
    (void)json;
}

int
sink_journal_open(const char *path)
{
    (void)path;
    return 0;
}

void
sink_journal_close(void)
{
}

int
sink_journal_write(const struct log_line *line)
{
    (void)line;
    return -ENOTCONN;
}
