/* SPDX-License-Identifier: MIT */
/*
 * good_conversation.c - one side of the conversation that is the same under every mixin
 *
 * The client's first line names a scene. Each call that the scene makes, and what it has returned,
 * becomes a line of the log; the client acts when it is told "now". The other side, which knows
 * what the client does meanwhile, is tests/conversation/conversation.py.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: are what the scenes are about.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scenes.h"

static const struct ss_option conversation_options[] = {
    {"folder", SS_STRING, .fallback = "", .help = "where the files refuse and setup may be"},
    {0},
};

SS_PLUGIN(.name = "good_conversation", .summary = "is the same under every mixin",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = conversation_options)

long
tell(const char *call, long result)
{
    ss_log(LOG_NOTICE, "| %s = %ld", call, result);
    return result;
}

long
tell_line(struct ss_request *request)
{
    char *line = NULL;
    ssize_t size = ss_readline(request, &line);

    ss_log(LOG_NOTICE, "| ss_readline = %zd %.*s", size, size > 0 ? (int)strcspn(line, "\n") : 0,
           size > 0 ? line : "");
    return size;
}

void
now(struct ss_request *request)
{
    (void)ss_write(request, "now\n", 4);
    (void)ss_flush(request);
}

static bool
is_there(struct ss_request *request, const char *name)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s", ss_option_string(ss_server(request), "folder"),
                   name);
    return access(path, F_OK) == 0;
}

bool
verify_request(struct ss_request *request)
{
    return !is_there(request, "refuse");
}

int
setup(struct ss_request *request)
{
    if (!is_there(request, "setup"))
        return 0;
    (void)ss_write(request, "no\n", 3);
    return -EPERM;
}

void
finish(struct ss_request *request)
{
    (void)request;
    ss_log(LOG_NOTICE, "| finish");
}

void
handle_error(struct ss_request *request, int error)
{
    ss_log(LOG_NOTICE, "| handle_error %d", error);
    (void)ss_write(request, "sorry\n", 6);
}

static const struct scene *const chapters[] = {reading_scenes, waiting_scenes, times_scenes,
                                               other_side_scenes, ends_scenes};

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size = ss_readline(request, &line);

    if (size <= 0)
        return (int)size;
    line[size - 1] = '\0';
    for (size_t i = 0; i < sizeof(chapters) / sizeof(*chapters); i++)
        for (const struct scene *scene = chapters[i]; scene->name != NULL; scene++)
            if (strcmp(scene->name, line) == 0)
                return (int)tell(scene->name, scene->play(request));
    return -ENOSYS;
}
