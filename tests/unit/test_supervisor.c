/* SPDX-License-Identifier: MIT */
/*
 * test_supervisor.c - the supervisor with workers that follow a script
 *
 * Workers are executed from /proc/self/exe, which is this test: main() plays
 * the worker when told to, and what it does follows from the listener's name.
 * The supervisor runs in a child; its log is read from a pipe, so each step
 * waits for the line that says it happened.
 */
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/channel.h"
#include "common/cleanup.h"
#include "common/config.h"
#include "supervisor/check.h"
#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"

#define WAIT_MS 60000

/* ---- the scripted worker ------------------------------------------------------------- */

extern char **environ;

static const char *worker_name;
static bool worker_once;

static void
tell(enum message_type type, uint64_t value, const char *text)
{
    (void)channel_send(INHERITED_CHANNEL, type, value, text, -1);
}

static bool
is(const char *name)
{
    return strncmp(worker_name, name, strlen(name)) == 0;
}

static FILE *
open_report(const char *mode)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/report", getenv("TMPDIR"));
    return fopen(path, mode);
}

/* True the first time for this test's folder. */
static bool
first_time(void)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/%s.was-here", getenv("TMPDIR"), worker_name);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static void
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

static void
on_serve(void)
{
    if (is("crash") && (is("crash-always") || first_time())) {
        (void)prctl(PR_SET_DUMPABLE, 0); /* no core in the way */
        (void)signal(SIGSEGV, SIG_DFL);  /* a sanitizer may have taken it */
        (void)raise(SIGSEGV);
    }
    if (is("exit-later") && first_time())
        _exit(0);
    if (is("stop") || worker_once)
        tell(MESSAGE_STOP, 0, NULL);
    if (is("junk") && first_time())
        tell((enum message_type)99, 0, NULL);
    if (is("out-of-turn") && first_time())
        tell(MESSAGE_READY, 0, NULL);
    if (is("gift") && first_time())
        (void)channel_send(INHERITED_CHANNEL, MESSAGE_PONG, 0, NULL, STDIN_FILENO);
    if (is("answers-unasked") && first_time())
        tell(MESSAGE_PONG, 77, NULL);
}

static void
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
            _exit(0);
        break;
    case MESSAGE_CUT:
        if (!is("stubborn"))
            _exit(0);
        break;
    default:
        break;
    }
}

static int
play_worker(int argc, char **argv)
{
    struct message order;
    bool check = false;
    int fd;

    worker_name = argv[2];
    for (int i = 3; i < argc; i++) {
        check |= strcmp(argv[i], "--check") == 0;
        worker_once |= strcmp(argv[i], "--once") == 0;
    }
    if (is("misconfigured") || (is("turns-bad") && !first_time())) {
        tell(MESSAGE_FAILED, FAILURE_CONFIGURATION, "x.conf:3: bad\nx.conf:4: worse");
        return 1;
    }
    if (is("failing") && (check || !is("failing-once") || first_time())) {
        tell(MESSAGE_FAILED, FAILURE_RUNTIME, "no luck today\nnor tomorrow\n");
        return 1;
    }
    if (is("exits"))
        return 3;
    if (is("spy"))
        report_surroundings();
    tell(MESSAGE_READY, 0, NULL);
    if (check)
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

static struct settings
make_settings(const char *name, const char *address)
{
    struct settings settings;
    struct errors errors = {0};

    assert_int_equal(settings_init(&settings, name), 0);
    settings_set(&settings, "address", address, VALUE_PLAIN, "x.conf", 1, &errors);
    settings_set(&settings, "plugin", "./upper.so", VALUE_PLAIN, "x.conf", 2, &errors);
    settings_set(&settings, "mixin", "threading", VALUE_PLAIN, "x.conf", 3, &errors);
    settings_finish(&settings, "", &errors);
    assert_false(errors_any(&errors));
    return settings;
}

static struct settings *
add(struct fixture *fixture, const char *name, const char *address)
{
    struct config *config = &fixture->config;

    config->listeners =
        reallocarray(config->listeners, config->listener_count + 1, sizeof(*config->listeners));
    assert_non_null(config->listeners);
    config->listeners[config->listener_count] = make_settings(name, address);
    return &config->listeners[config->listener_count++];
}

static int
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

static int
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
        settings_done(&fixture->config.listeners[i]);
    free(fixture->config.listeners);
    if (asprintf(&command, "rm -r %s", fixture->folder) >= 0 && system(command) != 0)
        return -1;
    free(fixture);
    return 0;
}

/* What main() would make of it. */
static int
status_of(int result)
{
    return result == -EINVAL ? 78 : result < 0 ? 1 : 0;
}

static void
start(struct fixture *fixture)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fixture->pid = fork();
    assert_true(fixture->pid >= 0);
    if (fixture->pid == 0) {
        if (fixture->withheld >= 0)
            (void)close(fixture->withheld);
        supervisor_block_signals();
        (void)dup2(ends[1], STDERR_FILENO);
        _exit(status_of(supervisor_run(&fixture->config, &fixture->options)));
    }
    (void)close(ends[1]);
    fixture->log = ends[0];
}

static bool
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
static const char *
expect(struct fixture *fixture, const char *words)
{
    const char *found;

    while ((found = strstr(fixture->text + fixture->seen, words)) == NULL)
        if (!read_more(fixture))
            fail_msg("the log ended without \"%s\":\n%s", words, fixture->text);
    fixture->seen = (size_t)(found - fixture->text) + strlen(words);
    return found;
}

static int
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

static int
stop(struct fixture *fixture)
{
    assert_int_equal(kill(fixture->pid, SIGTERM), 0);
    return wait_end(fixture);
}

static void
refute(const struct fixture *fixture, const char *words)
{
    if (strstr(fixture->text, words) != NULL)
        fail_msg("unexpected \"%s\" in:\n%s", words, fixture->text);
}

static char *
read_report(const struct fixture *fixture)
{
    char *text = NULL;
    size_t size = 0;
    _cleanup_fclose_ FILE *file = fopen(fixture->report, "re");

    assert_non_null(file);
    assert_true(getdelim(&text, &size, '\0', file) > 0);
    return text;
}

/* ---- serving and stopping -------------------------------------------------------------------- */

static void
serves_and_stops_in_order(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    const char *line = expect(fixture, "sockserverd[good]: listening on tcp://127.0.0.1:");
    assert_true(atoi(line + strlen("sockserverd[good]: listening on tcp://127.0.0.1:")) > 0);
    (void)expect(fixture, " (threading, upper.so)");
    assert_int_equal(stop(fixture), 0);
    (void)expect(fixture, "SIGTERM: stopping");
}

static void
disabled_listener_is_not_bound(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, "off", "tcp://127.0.0.1:0")->enabled = false;
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "[good]: listening on");
    assert_int_equal(stop(fixture), 0);
    refute(fixture, "[off]");
}

static void
starts_a_worker_for_each_cpu_under_none(void **state)
{
    struct fixture *fixture = *state;
    struct settings *settings = add(fixture, "good", "tcp://127.0.0.1:0");

    settings->mixin = MIXIN_NONE;
    settings->cpus = 3;
    start(fixture);
    (void)expect(fixture, " (none, upper.so, 3 workers)");
    assert_int_equal(stop(fixture), 0);
}

static void
second_signal_cuts_what_does_not_end(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "slow", "tcp://127.0.0.1:0");
    (void)add(fixture, "stubborn", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "listening on");
    (void)expect(fixture, "listening on");
    assert_int_equal(kill(fixture->pid, SIGTERM), 0);
    (void)expect(fixture, "SIGTERM: stopping");
    assert_int_equal(kill(fixture->pid, SIGINT), 0);
    (void)expect(fixture, "SIGINT again");
    assert_int_equal(wait_end(fixture), 0);
    (void)expect(fixture, "[stubborn]: worker ");
    (void)expect(fixture, "was killed by signal 9 (SIGKILL) while draining");
    refute(fixture, "[slow]: worker");
}

static void
does_not_wait_where_block_on_close_is_false(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, "slow", "tcp://127.0.0.1:0")->block_on_close = false;
    start(fixture);
    (void)expect(fixture, "listening on");
    assert_int_equal(stop(fixture), 0);
}

static void
plugin_may_stop_its_listener(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "stop", "tcp://127.0.0.1:0");
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "[stop]: the plugin asked to stop");
    assert_int_equal(stop(fixture), 0);
}

static void
ends_with_the_last_listener_when_nothing_could_start_it(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.end_when_idle = true;
    (void)add(fixture, "stop", "tcp://127.0.0.1:0");
    start(fixture);
    assert_int_equal(wait_end(fixture), 0);
}

static void
once_ends_after_each_listener_had_its_request(void **state)
{
    struct fixture *fixture = *state;

    fixture->options = (struct supervisor_options){.once = true, .end_when_idle = true};
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    (void)add(fixture, "good2", "udp://127.0.0.1:0");
    start(fixture);
    assert_int_equal(wait_end(fixture), 0);
    refute(fixture, "asked to stop"); /* nobody did: it is done */
}

static void
once_fails_when_the_worker_dies(void **state)
{
    struct fixture *fixture = *state;

    fixture->options = (struct supervisor_options){.once = true, .end_when_idle = true};
    (void)add(fixture, "crash-always", "tcp://127.0.0.1:0");
    start(fixture);
    assert_int_equal(wait_end(fixture), 1);
    (void)expect(fixture, "was killed by signal 11 (SIGSEGV)");
}

/* ---- trouble ------------------------------------------------------------------------------------
 */

static void
crashed_worker_is_replaced_at_once(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "crash", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "[crash]: listening on");
    (void)expect(fixture, "was killed by signal 11 (SIGSEGV)");
    (void)expect(fixture, "; starting another\n");
    assert_int_equal(stop(fixture), 0);
}

static void
worker_that_keeps_dying_is_started_more_and_more_slowly(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "crash-always", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "; starting another\n");
    (void)expect(fixture, "; starting another in 0.1 s");
    (void)expect(fixture, "; starting another in 0.2 s");
    (void)expect(fixture, "; starting another in 0.4 s");
    assert_int_equal(stop(fixture), 0);
}

static void
exit_nobody_asked_for_is_explained(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "exit-later", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "ended with exit status 0 although nobody asked it to: does the plugin "
                          "call exit()?; starting another");
    assert_int_equal(stop(fixture), 0);
}

static void
failed_listener_is_tried_again_while_others_serve(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "failing-once", "tcp://127.0.0.1:0");
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "[failing-once]: no luck today nor tomorrow (next try in 0.1 s)");
    (void)expect(fixture, "[failing-once]: listening on");
    (void)stop(fixture);
    assert_non_null(strstr(fixture->text, "[good]: listening on"));
}

static void
worker_that_ends_before_it_is_ready_fails_the_listener(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "exits", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "ended with exit status 3 although nobody asked it to: does the plugin "
                          "call exit()? before it was ready");
    assert_int_equal(stop(fixture), 0);
}

static void
address_in_use_fails_only_its_listener(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_in taken = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(taken);
    char address[64], words[128];
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&taken, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&taken, &size), 0);
    (void)snprintf(address, sizeof(address), "tcp://127.0.0.1:%d", ntohs(taken.sin_port));
    fixture->withheld = fd;
    (void)add(fixture, "taken", address);
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    (void)snprintf(words, sizeof(words), "[taken]: cannot listen on %s: Address already in use",
                   address);
    (void)expect(fixture, words);
    (void)expect(fixture, "[good]: listening on");
    (void)close(take_fd(fd));
    (void)expect(fixture, "[taken]: listening on");
    assert_int_equal(stop(fixture), 0);
}

static void
strict_makes_a_failed_listener_fatal(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.strict = true;
    (void)add(fixture, "failing", "tcp://127.0.0.1:0");
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    assert_int_equal(wait_end(fixture), 1);
    (void)expect(fixture, "[failing]: no luck today nor tomorrow\n");
}

static void
all_mistakes_found_at_start_are_logged_and_end_it(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "misconfigured", "tcp://127.0.0.1:0");
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    (void)add(fixture, "misconfigured2", "tcp://127.0.0.1:0");
    start(fixture);
    assert_int_equal(wait_end(fixture), 78);
    for (int i = 0; i < 2; i++) {
        (void)expect(fixture, "sockserverd: x.conf:3: bad\n");
        (void)expect(fixture, "sockserverd: x.conf:4: worse\n");
    }
    refute(fixture, "while draining");
}

static void
workers_that_send_nonsense_are_killed_and_replaced(void **state)
{
    static const char *const rows[][2] = {
        {"junk", "sent a message of unknown type: killing it"},
        {"out-of-turn", "sent a message out of turn: killing it"},
        {"gift", "sent a descriptor: killing it"},
        {"answers-unasked", "sent an answer that nobody asked for: killing it"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        (void)add(fixture, rows[i][0], "tcp://127.0.0.1:0");
    start(fixture);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        fixture->seen = 0;
        (void)expect(fixture, rows[i][1]);
        (void)expect(fixture, "was killed by signal 9 (SIGKILL)");
    }
    assert_int_equal(stop(fixture), 0);
}

/* ---- surroundings
 * ----------------------------------------------------------------------------------- */

static void
worker_inherits_only_what_it_needs(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int stray = fcntl(null, F_DUPFD, 40); /* not CLOEXEC, on purpose */

    (void)setenv("NOTIFY_SOCKET", "@nowhere", 1);
    (void)setenv("LD_DEBUG_OUTPUT", "/dev/null", 1);
    (void)setenv("LISTEN_FDS", "0", 1);
    (void)setenv("SECRET", "x", 1);
    (void)setenv("LC_TIME", "C", 1);
    (void)add(fixture, "spy", "tcp://127.0.0.1:0");
    start(fixture);
    (void)unsetenv("NOTIFY_SOCKET");
    (void)expect(fixture, "listening on");
    assert_int_equal(stop(fixture), 0);

    _cleanup_free_ char *report = read_report(fixture);
    for (char fd[] = "fd 0\n"; fd[3] < '7'; fd[3]++)
        assert_non_null(strstr(report, fd));
    for (char fd[] = "fd 7"; fd[3] <= '9'; fd[3]++)
        assert_null(strstr(report, fd));
    assert_int_equal(stray, 40);
    assert_null(strstr(report, "fd 40"));
    assert_non_null(strstr(report, "env LC_TIME=C"));
    assert_non_null(strstr(report, "env TMPDIR="));
    static const char *const unwanted[] = {"NOTIFY_SOCKET", "LD_", "LISTEN_", "SECRET", "blocked"};
    for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++)
        assert_null(strstr(report, unwanted[i]));
    assert_non_null(strstr(report, "leader 1"));
}

static void
tells_the_service_manager(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un manager = {.sun_family = AF_UNIX};
    char text[1024];
    bool ready = false, stopping = false;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)snprintf(manager.sun_path, sizeof(manager.sun_path), "%s/notify", fixture->folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&manager, sizeof(manager)), 0);
    (void)setenv("NOTIFY_SOCKET", manager.sun_path, 1);
    (void)add(fixture, "failing", "tcp://127.0.0.1:0");
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    (void)unsetenv("NOTIFY_SOCKET");
    while (!stopping) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
        ssize_t size = recv(fd, text, sizeof(text) - 1, 0);
        assert_true(size > 0);
        text[size] = '\0';
        if (ready && strstr(text, "STATUS=1 serving, 1 failed (failing)") != NULL)
            assert_int_equal(kill(fixture->pid, SIGTERM), 0);
        ready |= strstr(text, "READY=1") != NULL;
        stopping = strstr(text, "STOPPING=1") != NULL;
    }
    assert_true(ready);
    assert_int_equal(wait_end(fixture), 0);
}

static void
reopens_its_log_file(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    char file[128], moved[128];

    (void)snprintf(file, sizeof(file), "%s/log", fixture->folder);
    (void)snprintf(moved, sizeof(moved), "%s/log.1", fixture->folder);
    assert_int_equal(mkfifo(file, 0600), 0);
    fixture->config.log.target = file;
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    _cleanup_close_ int first = open(file, O_RDWR | O_CLOEXEC);
    start(fixture);
    (void)close(fixture->log);
    fixture->log = first;
    (void)expect(fixture, "listening on");
    assert_int_equal(rename(file, moved), 0);
    assert_int_equal(mkfifo(file, 0600), 0);
    _cleanup_close_ int second = open(file, O_RDWR | O_CLOEXEC);
    assert_int_equal(kill(fixture->pid, SIGUSR1), 0);
    fixture->log = second;
    (void)expect(fixture, "SIGUSR1: log file reopened");
    assert_int_equal(fstat(second, &status), 0);
    assert_int_equal(kill(fixture->pid, SIGTERM), 0);
    (void)expect(fixture, "stopped");
    fixture->log = -1;
    int end;
    assert_int_equal(waitpid(fixture->pid, &end, 0), fixture->pid);
    fixture->pid = 0;
    assert_int_equal(end, 0);
}

/* ---- --check
 * ------------------------------------------------------------------------------------------ */

static void
check_reports_in_the_order_of_the_listeners(void **state)
{
    struct fixture *fixture = *state;
    struct errors errors = {0};
    char name[32];

    supervisor_block_signals();
    (void)add(fixture, "exits", "tcp://127.0.0.1:0");
    (void)add(fixture, "misconfigured", "tcp://127.0.0.1:0");
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "good%d", i);
        (void)add(fixture, name, "tcp://127.0.0.1:0");
    }
    (void)add(fixture, "failing", "tcp://127.0.0.1:0");
    struct settings *without_plugin = add(fixture, "exits2", "tcp://127.0.0.1:0");
    free(without_plugin->plugin_file);
    without_plugin->plugin_file = NULL; /* reported when the file was read */
    assert_int_equal(check_listeners(&fixture->config, &errors), 0);
    _cleanup_free_ char *all = errors_join(&errors);
    const char *exits = strstr(all, "listeners.exits: the process that checks plugin");
    const char *bad = strstr(all, "x.conf:3: bad\nx.conf:4: worse\n");
    const char *failing = strstr(all, "listeners.failing: no luck today");
    assert_true(exits != NULL && bad != NULL && failing != NULL);
    assert_true(exits < bad && bad < failing);
    assert_non_null(strstr(failing, "listeners.failing: nor tomorrow"));
    assert_int_equal(errors.count, 5);
    errors_done(&errors);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        with_fixture(serves_and_stops_in_order),
        with_fixture(disabled_listener_is_not_bound),
        with_fixture(starts_a_worker_for_each_cpu_under_none),
        with_fixture(second_signal_cuts_what_does_not_end),
        with_fixture(does_not_wait_where_block_on_close_is_false),
        with_fixture(plugin_may_stop_its_listener),
        with_fixture(ends_with_the_last_listener_when_nothing_could_start_it),
        with_fixture(once_ends_after_each_listener_had_its_request),
        with_fixture(once_fails_when_the_worker_dies),
        with_fixture(crashed_worker_is_replaced_at_once),
        with_fixture(worker_that_keeps_dying_is_started_more_and_more_slowly),
        with_fixture(exit_nobody_asked_for_is_explained),
        with_fixture(failed_listener_is_tried_again_while_others_serve),
        with_fixture(worker_that_ends_before_it_is_ready_fails_the_listener),
        with_fixture(address_in_use_fails_only_its_listener),
        with_fixture(strict_makes_a_failed_listener_fatal),
        with_fixture(all_mistakes_found_at_start_are_logged_and_end_it),
        with_fixture(workers_that_send_nonsense_are_killed_and_replaced),
        with_fixture(worker_inherits_only_what_it_needs),
        with_fixture(tells_the_service_manager),
        with_fixture(reopens_its_log_file),
        with_fixture(check_reports_in_the_order_of_the_listeners),
    };

    if (argc > 2 && strcmp(argv[1], "--worker") == 0)
        return play_worker(argc, argv);
    if (spawn_use_program("/proc/self/exe") < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
