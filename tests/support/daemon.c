/* SPDX-License-Identifier: MIT */
/*
 * daemon.c - the real daemon, started for a test and watched through its log
 *
 * Owns:     the daemons it started, until they were waited for. Orphans of a
 *           daemon become children of the test (subreaper) and are reaped too.
 * Failures: fail the running test.
 */
#include "support/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "support/proc.h"
#include "support/test.h"
#include "support/tls.h"

struct daemon {
    struct daemon *next;
    pid_t pid;
    int status; /* of waitpid(), once reaped */
    bool reaped;
    const char *file;    /* its configuration; NULL: another's */
    const char *control; /* path of its control socket; NULL: none */
    int log_pipe;        /* -1 at its end */
    char *log;
    size_t log_size;
};

static struct daemon *daemons;
static const char *program = DAEMON_PROGRAM;

/* ---- starting ------------------------------------------------------------ */

static void __attribute__((noreturn)) become_daemon(const char *const *arguments, int log_pipe)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)setpgid(0, 0);
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(nothing, STDOUT_FILENO);
    (void)dup2(log_pipe, STDERR_FILENO);
    (void)execv(program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static const char *const *
with_program(const char *const *arguments)
{
    size_t count = 0;
    const char **all;

    while (arguments[count] != NULL)
        count++;
    all = keep(calloc(count + 2, sizeof *all));
    all[0] = program;
    memcpy(all + 1, arguments, count * sizeof *all);
    return all;
}

void
daemon_use_program(const char *path)
{
    program = path;
}

struct daemon *
daemon_run(const char *const *arguments)
{
    return daemon_run_prepared(arguments, NULL, NULL);
}

struct daemon *
daemon_run_prepared(const char *const *arguments, void (*prepare)(void *userdata), void *userdata)
{
    const char *const *all = with_program(arguments);
    struct daemon *daemon = calloc(1, sizeof *daemon);
    int ends[2];

    assert_non_null(daemon);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    assert_return_code(pipe2(ends, O_CLOEXEC), errno);
    daemon->log_pipe = ends[0];
    daemon->log = calloc(1, 1);
    daemon->next = daemons;
    daemons = daemon;
    daemon->pid = fork();
    assert_return_code(daemon->pid, errno);
    if (daemon->pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO); /* prepare() may take the pipe's number */
        if (prepare != NULL)
            prepare(userdata);
        become_daemon(all, STDERR_FILENO);
    }
    (void)setpgid(daemon->pid, daemon->pid); /* in case we come first */
    (void)close(ends[1]);
    return daemon;
}

static const char *
write_configuration(const char *plain, const char **ret_control)
{
    static unsigned number;
    const char *text = tls_add(plain);
    const char *name = text_of("%u", ++number);
    const char *control = test_path(text_of("%s.control", name));
    const char *log =
        strstr(text, "log =") != NULL ? "" : "log = { target = \"stderr\"; access = false; };";

    const char *controls =
        strstr(text, "control =") != NULL ? "" : text_of("control = { path = \"%s\"; };", control);

    *ret_control = *controls == '\0' ? test_path("control") : control;
    return test_file(text_of("%s.conf", name),
                     text_of("plugin_path = \"%s:%s\"; %s %s\n%s\n", SHIPPED_PLUGINS, FIXTURES,
                             controls, log, text));
}

const char *
daemon_configuration(const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        abort();
    va_end(arguments);
    return write_configuration(text, &(const char *){NULL});
}

struct daemon *
daemon_start(const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        abort();
    va_end(arguments);
    const char *control, *file = write_configuration(text, &control);
    struct daemon *daemon = DAEMON_RUN("-c", file);
    daemon->control = control;
    daemon->file = file;
    return daemon;
}

const char *
daemon_control(struct daemon *daemon)
{
    return daemon->control;
}

const char *
daemon_file(struct daemon *daemon)
{
    return daemon->file;
}

const char *
address_for(const char *scheme, const char *name)
{
    if (strncmp(scheme, "unix", 4) == 0)
        return text_of("%s://%s/%s.sock", scheme, test_folder(), name);
    return text_of("%s://127.0.0.1:0", scheme);
}

const char *
listener_text(const char *name, const char *scheme, const char *mixin, const char *plugin,
              const char *more)
{
    return text_of("%s = { address = \"%s\"; mixin = \"%s\"; plugin = \"%s\"; %s };\n", name,
                   address_for(scheme, name), mixin, plugin, more);
}

struct daemon *
daemon_serve(const char *scheme, const char *mixin, const char *plugin, const char *more)
{
    struct daemon *daemon =
        daemon_start("listeners = {\n%s};", listener_text("test", scheme, mixin, plugin, more));

    (void)daemon_address(daemon, "test");
    return daemon;
}

/* ---- the log --------------------------------------------------------------- */

/* Reads what the pipe holds, waiting at most so long for the first byte. False at its end. */
static bool
read_log(struct daemon *daemon, int milliseconds)
{
    struct pollfd wanted = {.fd = daemon->log_pipe, .events = POLLIN};
    char *grown;
    ssize_t got;

    if (daemon->log_pipe < 0)
        return false;
    if (poll(&wanted, 1, milliseconds) <= 0)
        return true;
    grown = realloc(daemon->log, daemon->log_size + 65536 + 1);
    if (grown == NULL)
        abort();
    daemon->log = grown;
    got = read(daemon->log_pipe, daemon->log + daemon->log_size, 65536);
    daemon->log_size += got > 0 ? (size_t)got : 0;
    daemon->log[daemon->log_size] = '\0';
    if (got > 0)
        return true;
    (void)close(daemon->log_pipe);
    daemon->log_pipe = -1;
    return false;
}

static void
read_log_so_far(struct daemon *daemon)
{
    size_t before;

    do {
        before = daemon->log_size;
    } while (read_log(daemon, 0) && daemon->log_size > before);
}

/* How often the text stands in complete lines; *ret_last is where it stood last. */
static size_t
count_in_log(const struct daemon *daemon, const char *text, const char **ret_last)
{
    const char *end = strrchr(daemon->log, '\n');
    size_t count = 0;

    for (const char *place = daemon->log; (place = strstr(place, text)) != NULL; place++) {
        if (end == NULL || place > end)
            break;
        count++;
        *ret_last = place;
    }
    return count;
}

static const char *
line_around(const struct daemon *daemon, const char *place)
{
    const char *start = place;

    while (start > daemon->log && start[-1] != '\n')
        start--;
    return text_of("%.*s", (int)strcspn(start, "\n"), start);
}

const char *
daemon_wait_log_times(struct daemon *daemon, const char *text, size_t times)
{
    double give_up = clock_now() + DEADLINE;
    const char *last = NULL;

    for (;;) {
        bool open;

        read_log_so_far(daemon);
        if (count_in_log(daemon, text, &last) >= times)
            return line_around(daemon, last);
        open = read_log(daemon, clock_left(give_up));
        if ((!open || clock_now() > give_up) && count_in_log(daemon, text, &last) < times)
            fail_msg("waited in vain for \"%s\" (%zu times) in the log%s:\n%s", text, times,
                     open ? "" : " (the daemon has ended)", daemon->log);
    }
}

const char *
daemon_wait_log(struct daemon *daemon, const char *text)
{
    return daemon_wait_log_times(daemon, text, 1);
}

size_t
daemon_count_log(struct daemon *daemon, const char *text)
{
    const char *last;

    read_log_so_far(daemon);
    return count_in_log(daemon, text, &last);
}

const char *
daemon_log(struct daemon *daemon)
{
    read_log_so_far(daemon);
    return text_of("%s", daemon->log);
}

const char *
daemon_address(struct daemon *daemon, const char *listener)
{
    const char *intro = text_of("sockserverd[%s]: listening on ", listener);
    const char *line = daemon_wait_log(daemon, intro);
    const char *address = strstr(line, intro) + strlen(intro);

    address = text_of("%.*s", (int)strcspn(address, " "), address);
    tls_note_address(address);
    return address;
}

/* ---- the processes ----------------------------------------------------------- */

pid_t
daemon_pid(struct daemon *daemon)
{
    return daemon->pid;
}

/* The process that reads the configuration is a child, too, but runs the daemon's own program. */
static bool
runs_another_program(pid_t pid, pid_t parent)
{
    char ours[PATH_MAX] = "", theirs[PATH_MAX] = "";

    if (readlink(text_of("/proc/%d/exe", (int)pid), theirs, sizeof(theirs) - 1) < 0 ||
        readlink(text_of("/proc/%d/exe", (int)parent), ours, sizeof(ours) - 1) < 0)
        return errno == EACCES; /* it has become another user; one that has ended has no program */
    return strcmp(ours, theirs) != 0;
}

pid_t
daemon_worker(struct daemon *daemon)
{
    pid_t children[PROC_CHILDREN];

    WAIT_UNTIL(proc_children(daemon->pid, children) == 1 && proc_alive(children[0]) &&
               runs_another_program(children[0], daemon->pid));
    return children[0];
}

void
daemon_signal(struct daemon *daemon, int number)
{
    assert_false(daemon->reaped);
    assert_return_code(kill(daemon->pid, number), errno);
}

/* ---- ending ------------------------------------------------------------------- */

static bool
reap(struct daemon *daemon)
{
    if (!daemon->reaped && waitpid(daemon->pid, &daemon->status, WNOHANG) == daemon->pid)
        daemon->reaped = true;
    return daemon->reaped;
}

int
daemon_wait_exit(struct daemon *daemon)
{
    double give_up = clock_now() + DEADLINE;

    while (read_log(daemon, clock_left(give_up)) && clock_now() < give_up)
        ;
    if (daemon->log_pipe >= 0)
        fail_msg("the daemon has not ended; its log:\n%s", daemon->log);
    WAIT_UNTIL(reap(daemon));
    return WIFEXITED(daemon->status) ? WEXITSTATUS(daemon->status) : -WTERMSIG(daemon->status);
}

int
daemon_stop(struct daemon *daemon)
{
    daemon_signal(daemon, SIGTERM);
    return daemon_wait_exit(daemon);
}

void
daemon_expect_exit(struct daemon *daemon, int status)
{
    int found = daemon_wait_exit(daemon);

    assert_lacks(daemon->log, "Sanitizer");
    if (found != status)
        fail_msg("the daemon ended with status %d; its log:\n%s", found, daemon->log);
}

void
daemon_expect_stop(struct daemon *daemon)
{
    daemon_signal(daemon, SIGTERM);
    daemon_expect_exit(daemon, 0);
}

void
daemon_expect_stop_after_fault(struct daemon *daemon)
{
    assert_int_equal(daemon_stop(daemon), 0);
}

/* Kills the daemon's whole group and reaps what we are the parent of. True when nobody is left. */
static bool
group_is_gone(struct daemon *daemon)
{
    (void)kill(-daemon->pid, SIGKILL);
    (void)reap(daemon);
    while (daemon->reaped && waitpid(-daemon->pid, NULL, WNOHANG) > 0)
        ;
    return daemon->reaped && kill(-daemon->pid, 0) < 0 && errno == ESRCH;
}

static int
end_daemon(struct daemon *daemon)
{
    double give_up = clock_now() + DEADLINE;
    bool gone;

    while (!(gone = group_is_gone(daemon)) && clock_now() < give_up)
        clock_pause();
    if (daemon->log_pipe >= 0)
        (void)close(daemon->log_pipe);
    free(daemon->log);
    free(daemon);
    return gone ? 0 : -1;
}

int
daemon_end_all(void)
{
    int problems = 0;

    program = DAEMON_PROGRAM;
    while (daemons != NULL) {
        struct daemon *daemon = daemons;

        daemons = daemon->next;
        problems |= end_daemon(daemon);
    }
    return problems;
}
