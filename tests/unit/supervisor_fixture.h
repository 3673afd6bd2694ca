/* SPDX-License-Identifier: MIT */
/*
 * supervisor_fixture.h - the supervisor with workers that follow a script
 *
 * Workers are executed from /proc/self/exe, which is the test: it plays the
 * worker when told to, and what that does follows from the listener's name.
 * The supervisor runs in a child; its log is read from a pipe, so each step
 * waits for the line that says it happened.
 */
#ifndef TESTS_UNIT_SUPERVISOR_FIXTURE_H
#define TESTS_UNIT_SUPERVISOR_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/brief.h"
#include "common/channel.h"
#include "common/cleanup.h"
#include "common/leave.h"
#include "config/config.h"
#include "names_fixture.h"
#include "supervisor/change/check.h"
#include "supervisor/listener/spawn.h"
#include "supervisor/signals.h"
#include "supervisor/supervisor.h"

#define WAIT_MS 60000

#define TALK_SIZE 900 /* of each mistake */

/* ---- the scripted worker ------------------------------------------------------------- */

extern char **environ;

static const char *worker_name;
static struct brief worker_brief;

static inline void
tell(enum message_type type, uint64_t value, const char *text)
{
    (void)channel_send(INHERITED_CHANNEL, type, value, text, -1);
}

static inline bool
is(const char *name)
{
    return strncmp(worker_name, name, strlen(name)) == 0;
}

static inline FILE *
open_report(const char *mode)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/report", getenv("TMPDIR"));
    return fopen(path, mode);
}

/* True the first time for this test's folder. */
static inline bool
first_time(void)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/%s.was-here", getenv("TMPDIR"), worker_name);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static inline void
report_surroundings(void)
{
    FILE *report = open_report("we");
    DIR *fds = opendir("/proc/self/fd");
    sigset_t mask;

    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    for (struct dirent *entry; (entry = readdir(fds)) != NULL;)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(fds) &&
            atoi(entry->d_name) != fileno(report))
            (void)fprintf(report, "fd %s\n", entry->d_name);
    for (char **variable = environ; *variable != NULL; variable++)
        (void)fprintf(report, "env %s\n", *variable);
    for (int i = 1; i < 32; i++)
        if (sigismember(&mask, i))
            (void)fprintf(report, "blocked %d\n", i);
    (void)fprintf(report, "leader %d\n", getsid(0) == getpid());
    (void)fclose(report);
    (void)closedir(fds);
}

static inline void
on_serve(void)
{
    if (is("crash") && (is("crash-always") || first_time())) {
        (void)prctl(PR_SET_DUMPABLE, 0); /* no core in the way */
        (void)signal(SIGSEGV, SIG_DFL);  /* a sanitizer may have taken it */
        (void)raise(SIGSEGV);
    }
    if (is("exit-later") && first_time())
        leave(0);
    if (is("stop") || (worker_brief.once && !is("spins")))
        tell(MESSAGE_STOP, 0, NULL);
    if (is("junk") && first_time())
        tell((enum message_type)99, 0, NULL);
    if (is("out-of-turn") && first_time())
        tell(MESSAGE_READY, 0, NULL);
    if (is("certifies-late") && first_time())
        tell(MESSAGE_CERTIFICATE, 1, "/c.pem");
    if (is("gift") && first_time())
        (void)channel_send(INHERITED_CHANNEL, MESSAGE_PONG, 0, NULL, STDIN_FILENO);
    if (is("answers-unasked") && first_time())
        tell(MESSAGE_PONG, 77, NULL);
    if (is("spins"))
        tell(MESSAGE_REPLACE, 0, NULL);
}

static inline void
on_order(const struct message *order)
{
    switch (order->type) {
    case MESSAGE_SERVE:
        on_serve();
        break;
    case MESSAGE_PING:
        tell(MESSAGE_PONG, order->value, NULL);
        break;
    case MESSAGE_DRAIN:
    case MESSAGE_EMPTY:
        tell(MESSAGE_STOPPED, 0, NULL);
        if (!is("stubborn") && !is("slow"))
            leave(0);
        break;
    case MESSAGE_CUT:
        if (!is("stubborn"))
            leave(0);
        break;
    default:
        break;
    }
}

/* Each line is a mistake. */
static inline void
fail_with(enum failure kind, const char *lines)
{
    struct errors mistakes = {0};

    errors_quote(&mistakes, lines);
    (void)channel_send_failure(INHERITED_CHANNEL, kind, &mistakes);
    errors_done(&mistakes);
}

/* As many mistakes as are told, or more; each is as long as it may be. */
static inline void
fail_at_length(void)
{
    struct errors mistakes = {0};
    char text[TALK_SIZE + 1];

    memset(text, 'x', TALK_SIZE);
    text[TALK_SIZE] = '\0';
    for (int i = 0; i < (is("talks-on") ? ERRORS_TOLD + 50 : ERRORS_TOLD); i++)
        errors_add(&mistakes, "x.conf", (unsigned)i + 1, "%s.", text);
    if (channel_send_failure(INHERITED_CHANNEL, FAILURE_CONFIGURATION, &mistakes) < 0)
        leave(98);
    errors_done(&mistakes);
}

/* A child of the worker holds it as a debugger does, for a second. */
static inline void
be_traced(void)
{
    int ends[2];
    char byte;

    if (prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY) < 0 && errno != EINVAL)
        leave(97);
    if (pipe2(ends, O_CLOEXEC) < 0)
        leave(97);
    if (fork() == 0) {
        if (ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) < 0)
            leave(1);
        if (write(ends[1], "", 1) == 1)
            (void)sleep(1);
        leave(0);
    }
    (void)close(ends[1]);
    if (read(ends[0], &byte, 1) != 1)
        leave(96);
    while (read(ends[0], &byte, 1) != 0)
        ;
}

/* What the worker of such a name does the second time: it was started beside the first one. */
static inline void
be_the_next(void)
{
    if (is("spins-misconfigured"))
        fail_with(FAILURE_CONFIGURATION, "x.conf:3: bad\nx.conf:4: worse");
    if (is("spins-dies"))
        leave(5);
}

static inline int
play_worker(char **argv)
{
    static struct settings settings; /* the process has them until it ends */
    struct message order;
    int fd;

    worker_name = argv[2];
    if (brief_from_fd(INHERITED_BRIEF, &worker_brief, &settings) < 0 ||
        strcmp(settings.name, worker_name) != 0)
        return 99;
    if (is("misconfigured") || (is("turns-bad") && !first_time())) {
        fail_with(FAILURE_CONFIGURATION, "x.conf:3: bad\nx.conf:4: worse");
        return 1;
    }
    if (is("failing") && (worker_brief.check || !is("failing-once") || first_time())) {
        fail_with(FAILURE_RUNTIME, "no luck today\nnor tomorrow\n");
        return 1;
    }
    if (is("talks")) {
        fail_at_length();
        return 1;
    }
    if (is("second-bad") && !worker_brief.check) {
        if (first_time())
            fail_with(FAILURE_RUNTIME, "no luck today");
        else
            fail_with(FAILURE_CONFIGURATION, "x.conf:3: bad\nx.conf:4: worse");
        return 1;
    }
    if (is("mute") && first_time())
        (void)pause();
    if (is("traced") && first_time())
        be_traced();
    if (is("spins") && !worker_brief.check && !first_time())
        be_the_next();
    if (is("exits"))
        return 3;
    if (is("spy"))
        report_surroundings();
    tell(MESSAGE_READY, 0, NULL);
    if (worker_brief.check)
        return 0;
    for (;;) {
        struct pollfd wait = {.fd = INHERITED_CHANNEL, .events = POLLIN};
        (void)poll(&wait, 1, -1);
        int r = channel_receive(INHERITED_CHANNEL, &order, &fd);
        if (r == 0)
            return 0;
        if (r == 1)
            on_order(&order);
    }
}

/* ---- a supervisor in a child ------------------------------------------------------------- */

struct fixture {
    char folder[64];
    char report[128];
    struct config config;
    struct supervisor_options options;
    pid_t pid;
    int log;      /* read end */
    int withheld; /* a descriptor the supervisor shall not have; -1: none */
    char text[65536];
    size_t size;
    size_t seen; /* what expect() has passed */
};

static inline struct settings
make_settings(const char *name, const char *address)
{
    struct settings settings;
    struct errors errors = {0};

    assert_int_equal(settings_init(&settings, name), 0);
    settings_set(&settings, "address",
                 &(struct given){.text = address, .file = "x.conf", .line = 1}, &errors);
    settings_set(&settings, "plugin",
                 &(struct given){.text = "./upper.so", .file = "x.conf", .line = 2}, &errors);
    settings_set(&settings, "mixin",
                 &(struct given){.text = "threading", .file = "x.conf", .line = 3}, &errors);
    settings_finish(&settings, "", &errors);
    assert_false(errors_any(&errors));
    return settings;
}

static inline struct settings *
add(struct fixture *fixture, const char *name, const char *address)
{
    struct config *config = &fixture->config;

    config->listeners =
        reallocarray(config->listeners, config->listener_count + 1, sizeof(*config->listeners));
    assert_non_null(config->listeners);
    struct settings settings = make_settings(name, address);
    const struct settings *shared = settings_share(&settings);
    assert_non_null(shared);
    config->listeners[config->listener_count++] = shared;
    return (struct settings *)shared; /* a test may change them before anybody runs them */
}

static inline int
set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/supervisor-XXXXXX");
    if (mkdtemp(fixture->folder) == NULL)
        return -1;
    (void)snprintf(fixture->report, sizeof(fixture->report), "%s/report", fixture->folder);
    (void)setenv("TMPDIR", fixture->folder, 1);
    fixture->config.log.level = LOG_DEBUG;
    fixture->config.log.target = (char *)"stderr";
    fixture->log = -1;
    fixture->withheld = -1;
    *state = fixture;
    return 0;
}

static inline int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_free_ char *command = NULL;

    if (fixture->pid > 0) {
        (void)kill(fixture->pid, SIGKILL);
        (void)waitpid(fixture->pid, NULL, 0);
    }
    if (fixture->log >= 0)
        (void)close(fixture->log);
    for (size_t i = 0; i < fixture->config.listener_count; i++)
        settings_unref(fixture->config.listeners[i]);
    free(fixture->config.listeners);
    if (asprintf(&command, "rm -r %s", fixture->folder) >= 0 && system(command) != 0)
        return -1;
    free(fixture);
    return 0;
}

/* What main() would make of it. */
static inline int
status_of(int result)
{
    return result == -EINVAL ? 78 : result < 0 ? 1 : 0;
}

static inline void
start(struct fixture *fixture)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fixture->pid = fork();
    assert_true(fixture->pid >= 0);
    if (fixture->pid == 0) {
        if (fixture->withheld >= 0)
            (void)close(fixture->withheld);
        signals_block();
        (void)dup2(ends[1], STDERR_FILENO);
        leave(status_of(supervisor_run(&fixture->config, &fixture->options)));
    }
    (void)close(ends[1]);
    fixture->log = ends[0];
}

static inline bool
read_more(struct fixture *fixture)
{
    struct pollfd wait = {.fd = fixture->log, .events = POLLIN};

    if (poll(&wait, 1, WAIT_MS) <= 0)
        fail_msg("nothing more in %d ms; so far:\n%s", WAIT_MS, fixture->text);
    ssize_t size = read(fixture->log, fixture->text + fixture->size,
                        sizeof(fixture->text) - fixture->size - 1);
    if (size > 0)
        fixture->size += (size_t)size;
    return size > 0;
}

/* Waits until the log says so, behind what was expected before. */
static inline const char *
expect(struct fixture *fixture, const char *words)
{
    const char *found;

    while ((found = strstr(fixture->text + fixture->seen, words)) == NULL)
        if (!read_more(fixture))
            fail_msg("the log ended without \"%s\":\n%s", words, fixture->text);
    fixture->seen = (size_t)(found - fixture->text) + strlen(words);
    return found;
}

static inline int
wait_end(struct fixture *fixture)
{
    int status;

    while (read_more(fixture))
        ;
    assert_int_equal(waitpid(fixture->pid, &status, 0), fixture->pid);
    fixture->pid = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static inline int
stop(struct fixture *fixture)
{
    assert_int_equal(kill(fixture->pid, SIGTERM), 0);
    return wait_end(fixture);
}

static inline void
refute(const struct fixture *fixture, const char *words)
{
    if (strstr(fixture->text, words) != NULL)
        fail_msg("unexpected \"%s\" in:\n%s", words, fixture->text);
}

static inline char *
read_report(const struct fixture *fixture)
{
    char *text = NULL;
    size_t size = 0;
    _cleanup_fclose_ FILE *file = fopen(fixture->report, "re");

    assert_non_null(file);
    assert_true(getdelim(&text, &size, '\0', file) > 0);
    return text;
}

/* main()'s result; plays a worker if it was executed as one. */
static inline int
run_tests_or_play(int argc, char **argv, const struct CMUnitTest *tests, size_t count)
{
    if (argc == 3 && strcmp(argv[1], "--worker") == 0)
        return play_worker(argv);
    if (spawn_use_program("/proc/self/exe") < 0)
        return 1;
    return _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
