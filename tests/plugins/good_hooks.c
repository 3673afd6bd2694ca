/* SPDX-License-Identifier: MIT */
/*
 * good_hooks.c - hooks that log their names, one of which can be made to misbehave
 *
 * Every hook logs "hook NAME"; handle_error also "told of ERRNO". A client's
 * lines are echoed; "fail" makes handle() return -EIO. The hook named by
 * `fault_in` misbehaves for as long as a file exists, so that a test can switch
 * the fault on and off for all processes of the daemon at once.
 *
 * With `own_child` server_activate() makes a child, which service_actions()
 * waits for later: "own child ended with 7", or "own child was taken away".
 * With `atfork` it registers a handler of pthread_atfork(), which each request
 * in a child that ran it tells of: "told of the fork".
 *
 * Runs in:  any hook's place.
 * Failures: the ones it is asked for.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sockserver/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct ss_option hooks_options[] = {
    {"fault_in", SS_STRING, .fallback = "", .help = "hook that misbehaves while the file exists"},
    {"fault", SS_STRING, .fallback = "fail", .help = "fail, exit, abort, segv or thread_exit"},
    {"fault_file", SS_STRING, .fallback = "", .help = "the file"},
    {"stop_in", SS_STRING, .fallback = "", .help = "hook that asks for a stop"},
    {"own_child", SS_BOOLEAN, .fallback = "false", .help = "makes a child and waits for it later"},
    {"atfork", SS_BOOLEAN, .fallback = "false", .help = "wants to know when it is forked"},
    {0},
};

SS_PLUGIN(.name = "good_hooks", .summary = "logs its hooks, one of which may misbehave",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = hooks_options)

static void
misbehave(const char *how)
{
    if (strcmp(how, "exit") == 0)
        exit(3);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "segv") == 0)
        (void)raise(SIGSEGV);
    if (strcmp(how, "thread_exit") == 0)
        pthread_exit(NULL);
}

/*
 * Logs the hook, and misbehaves in it if it is its turn; true if the hook is to
 * fail. Looks for the file first: whoever has seen the line may remove it.
 */
static bool
enter(struct ss_server *server, const char *hook)
{
    bool faulty = strcmp(ss_option_string(server, "fault_in"), hook) == 0 &&
                  access(ss_option_string(server, "fault_file"), F_OK) == 0;

    ss_log(LOG_INFO, "hook %s", hook);
    if (strcmp(ss_option_string(server, "stop_in"), hook) == 0)
        ss_server_stop(server);
    if (faulty)
        misbehave(ss_option_string(server, "fault"));
    return faulty;
}

bool
verify_request(struct ss_request *request)
{
    return !enter(ss_server(request), "verify_request");
}

int
setup(struct ss_request *request)
{
    return enter(ss_server(request), "setup") ? -EACCES : 0;
}

static bool was_forked;

static void
note_fork(void)
{
    was_forked = true;
}

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size;

    if (was_forked)
        ss_log(LOG_INFO, "told of the fork");

    if (enter(ss_server(request), "handle"))
        return -EIO;
    while ((size = ss_readline(request, &line)) > 0) {
        (void)ss_write(request, line, (size_t)size);
        if (strcmp(line, "fail\n") == 0)
            return -EIO;
    }
    return (int)size;
}

void
finish(struct ss_request *request)
{
    (void)enter(ss_server(request), "finish");
}

void
handle_error(struct ss_request *request, int error)
{
    ss_log(LOG_INFO, "told of %s", strerrorname_np(error < 0 ? -error : error));
    (void)enter(ss_server(request), "handle_error");
}

static pid_t own_child;

int
server_activate(struct ss_server *server)
{
    if (enter(server, "server_activate"))
        return -EAGAIN;
    if (ss_option_boolean(server, "own_child")) {
        own_child = fork();
        if (own_child == 0)
            _exit(7);
    }
    if (ss_option_boolean(server, "atfork"))
        return -pthread_atfork(NULL, NULL, note_fork);
    return 0;
}

void
server_close(struct ss_server *server)
{
    (void)enter(server, "server_close");
}

void
service_actions(struct ss_server *server)
{
    int status = 0;

    (void)enter(server, "service_actions");
    if (own_child == 0)
        return;
    if (waitpid(own_child, &status, 0) == own_child)
        ss_log(LOG_INFO, "own child ended with %d", WEXITSTATUS(status));
    else
        ss_log(LOG_INFO, "own child was taken away: %m");
    own_child = 0;
}

void
handle_timeout(struct ss_server *server)
{
    (void)enter(server, "handle_timeout");
}
