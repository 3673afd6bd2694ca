/* SPDX-License-Identifier: MIT */
/*
 * good_trace.c - writes down which hook was called, and fails where it is told to
 *
 * Each call of a hook appends one line to the file `trace`, in one write():
 *
 *     HOOK PID TID            verify_request, setup, handle, finish, server_activate,
 *                             server_close, service_actions, handle_timeout
 *     handle_error PID TID ERROR
 *
 * handle() waits for a line if `read` is set, sleeps for `hold`, writes `reply`,
 * and then returns `handle_error`. A hook named by `fatal` ends its thread or
 * process, in the way `fatal_by` says, after its line was written.
 *
 * Runs in:  every kind of context there is.
 * Owns:     nothing; the file is opened for each line.
 * Failures: a trace that cannot be written ends the process, so that no test
 *           takes silence for success.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sockserver/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ss_option good_trace_options[] = {
    {"trace", SS_STRING, .min = 1, .max = 4096, .help = "the file to append to", .required = true},
    {"verify", SS_BOOLEAN, .fallback = "true", .help = "what verify_request() returns"},
    {"setup_error", SS_INTEGER, .fallback = "0", .min = -4095, .max = 4095,
     .help = "what setup() returns; positive values are no error"},
    {"handle_error", SS_INTEGER, .fallback = "0", .min = -4095, .max = 4095,
     .help = "what handle() returns in the end"},
    {"activate_error", SS_INTEGER, .fallback = "0", .min = -4095, .max = 4095,
     .help = "what server_activate() returns"},
    {"read", SS_BOOLEAN, .fallback = "false", .help = "handle() waits for a line first"},
    {"hold", SS_DURATION, .fallback = "0", .min = 0, .max = 3600, .help = "handle() sleeps"},
    {"reply", SS_STRING, .fallback = "", .help = "what handle() writes"},
    {"finish_reply", SS_STRING, .fallback = "", .help = "what finish() writes"},
    {"error_reply", SS_STRING, .fallback = "", .help = "what handle_error() writes"},
    {"fatal", SS_STRING, .fallback = "", .help = "the hook that ends its thread or process"},
    {"fatal_by", SS_STRING, .fallback = "pthread_exit",
     .help = "how: pthread_exit, exit, _exit, abort or segv"},
    {"idle", SS_BOOLEAN, .fallback = "true", .help = "false: service_actions is not written down"},
    {0},
};

SS_PLUGIN(.name = "good_trace", .summary = "writes down which hook was called",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = good_trace_options)

static void
append(struct ss_server *server, const char *line, size_t size)
{
    int fd =
        open(ss_option_string(server, "trace"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

    if (fd < 0 || write(fd, line, size) != (ssize_t)size) {
        ss_log(LOG_CRIT, "good_trace: cannot append to %s: %m", ss_option_string(server, "trace"));
        abort();
    }
    (void)close(fd);
}

static void
fail_fatally(const char *how)
{
    if (!strcmp(how, "pthread_exit"))
        pthread_exit(NULL);
    if (!strcmp(how, "exit"))
        exit(3);
    if (!strcmp(how, "_exit"))
        _exit(3);
    if (!strcmp(how, "segv")) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)raise(SIGSEGV);
    }
    abort();
}

/* value is written if it is not 0. */
static void
trace(struct ss_server *server, const char *hook, int value)
{
    char line[128];
    int size = snprintf(line, sizeof(line), "%s %d %d", hook, getpid(), gettid());

    if (value)
        size += snprintf(line + size, sizeof(line) - (size_t)size, " %d", value);
    line[size++] = '\n';
    append(server, line, (size_t)size);
    if (!strcmp(ss_option_string(server, "fatal"), hook))
        fail_fatally(ss_option_string(server, "fatal_by"));
}

static int
write_option(struct ss_request *request, const char *name)
{
    const char *text = ss_option_string(ss_server(request), name);

    return *text ? ss_write(request, text, strlen(text)) : 0;
}

bool
verify_request(struct ss_request *request)
{
    trace(ss_server(request), "verify_request", 0);
    return ss_option_boolean(ss_server(request), "verify");
}

int
setup(struct ss_request *request)
{
    trace(ss_server(request), "setup", 0);
    return (int)ss_option_integer(ss_server(request), "setup_error");
}

int
handle(struct ss_request *request)
{
    struct ss_server *server = ss_server(request);
    double hold = ss_option_duration(server, "hold");
    char *line;
    ssize_t size;
    int result;

    trace(server, "handle", 0);
    if (ss_option_boolean(server, "read")) {
        size = ss_readline(request, &line);
        if (size < 0)
            return (int)size;
    }
    if (hold > 0) {
        result = ss_sleep(request, hold);
        if (result < 0)
            return result;
    }
    result = write_option(request, "reply");
    return result < 0 ? result : (int)ss_option_integer(server, "handle_error");
}

void
finish(struct ss_request *request)
{
    trace(ss_server(request), "finish", 0);
    (void)write_option(request, "finish_reply");
}

void
handle_error(struct ss_request *request, int error)
{
    trace(ss_server(request), "handle_error", error);
    (void)write_option(request, "error_reply");
}

int
server_activate(struct ss_server *server)
{
    trace(server, "server_activate", 0);
    return (int)ss_option_integer(server, "activate_error");
}

void
server_close(struct ss_server *server)
{
    trace(server, "server_close", 0);
}

void
service_actions(struct ss_server *server)
{
    if (ss_option_boolean(server, "idle"))
        trace(server, "service_actions", 0);
}

void
handle_timeout(struct ss_server *server)
{
    trace(server, "handle_timeout", 0);
}
