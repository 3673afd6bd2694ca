/* SPDX-License-Identifier: MIT */
/*
 * test_supervisor.c - serving and stopping; what workers and the service manager see
 */
#include "supervisor_fixture.h"

#include "common/array.h"

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

/* ---- surroundings ----------------------------------------------------------------------- */

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

/* ---- names -------------------------------------------------------------------------------- */

static void
a_name_without_an_answer_holds_nobody_up(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "waits", "tcp://silent.test:0");
    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    start(fixture);
    (void)expect(fixture, "sockserverd[good]: listening on tcp://127.0.0.1:");
    assert_int_equal(kill(fixture->pid, SIGTERM), 0);
    (void)expect(fixture, "SIGTERM: stopping");
    assert_int_equal(wait_end(fixture), 0);
    assert_null(strstr(fixture->text, "cannot resolve"));
}

static void
a_name_that_nobody_knows_fails_its_listener_until_it_is_known(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "named", "tcp://late.test:0");
    start(fixture);
    (void)expect(fixture, "sockserverd[named]: cannot resolve \"late.test\" port \"0\": ");
    (void)expect(fixture, "(next try in 0.1 s)");
    (void)expect(fixture, "sockserverd[named]: listening on tcp://127.0.0.1:");
    stop(fixture);
}

/* One listener as before, and one with a name that nobody answers for. */
static int
load_a_silent_name(struct config *config, struct errors *errors, const void *userdata)
{
    struct settings good = make_settings("good", "tcp://127.0.0.1:0"),
                    waits = make_settings("waits", "tcp://silent.test:0");

    (void)errors;
    (void)userdata;
    assert_int_equal(config_load_nothing(config, NULL), 0);
    config->log.level = LOG_DEBUG;
    assert_int_equal(config_add_listener(config, &good), 0);
    return config_add_listener(config, &waits);
}

static void
a_reload_that_waits_for_a_name_holds_nobody_up(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, "good", "tcp://127.0.0.1:0");
    fixture->options.load = load_a_silent_name;
    start(fixture);
    (void)expect(fixture, "sockserverd[good]: listening on tcp://127.0.0.1:");
    assert_int_equal(kill(fixture->pid, SIGHUP), 0);
    (void)expect(fixture, "SIGHUP: reloading");
    assert_int_equal(kill(fixture->pid, SIGHUP), 0);
    (void)expect(fixture, "SIGHUP: reloading once more when this reload is done");
    assert_int_equal(kill(fixture->pid, SIGTERM), 0);
    (void)expect(fixture, "SIGTERM: stopping");
    (void)expect(fixture, "reload ended before it changed anything");
    assert_int_equal(wait_end(fixture), 0);
}

/* ---- --check ---------------------------------------------------------------------------- */

static void
check_reports_in_the_order_of_the_listeners(void **state)
{
    struct fixture *fixture = *state;
    struct errors errors = {0};
    char name[32];

    signals_block();
    (void)add(fixture, "exits", "tcp://127.0.0.1:0");
    (void)add(fixture, "misconfigured", "tcp://127.0.0.1:0");
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "good%d", i);
        (void)add(fixture, name, "tcp://127.0.0.1:0");
    }
    (void)add(fixture, "failing", "tcp://127.0.0.1:0");
    (void)add(fixture, "good-known", "tcp://known.test:0");
    (void)add(fixture, "good-unknown", "tcp://unknown.test:0");
    add(fixture, "good-disabled", "tcp://unknown.test:0")->enabled = false;
    struct settings *without_plugin = add(fixture, "exits2", "tcp://127.0.0.1:0");
    free(without_plugin->plugin_file);
    without_plugin->plugin_file = NULL; /* reported when the file was read */
    assert_int_equal(check_listeners(&fixture->config, true, &errors), 0);
    _cleanup_free_ char *all = errors_join(&errors);
    const char *exits = strstr(all, "listeners.exits: the process that checks plugin");
    const char *bad = strstr(all, "x.conf:3: bad\nx.conf:4: worse\n");
    const char *failing = strstr(all, "listeners.failing: no luck today");
    assert_true(exits != NULL && bad != NULL && failing != NULL);
    assert_true(exits < bad && bad < failing);
    assert_non_null(strstr(failing, "x.conf:1: listeners.good-unknown.address: cannot resolve "
                                    "\"unknown.test\" port \"0\": "));
    assert_non_null(strstr(failing, "listeners.failing: nor tomorrow"));
    assert_int_equal(errors.count, 6);
    errors_done(&errors);
}

/* Far more than one message holds. */
static void
check_tells_every_mistake_whole(void **state)
{
    struct fixture *fixture = *state;
    struct errors errors = {0};

    signals_block();
    (void)add(fixture, "talks", "tcp://127.0.0.1:0");
    assert_int_equal(check_listeners(&fixture->config, true, &errors), 0);
    assert_int_equal(errors.count, ERRORS_TOLD);
    for (size_t i = 0; i < errors.count; i++) {
        char begins[32];

        (void)snprintf(begins, sizeof(begins), "x.conf:%zu: x", i + 1);
        assert_int_equal(strncmp(errors.texts[i], begins, strlen(begins)), 0);
        assert_int_equal(strlen(errors.texts[i]), strlen(begins) + TALK_SIZE);
        assert_string_equal(errors.texts[i] + strlen(errors.texts[i]) - 2, "x.");
    }
    errors_done(&errors);
}

static void
check_says_how_many_mistakes_are_not_told(void **state)
{
    struct fixture *fixture = *state;
    struct errors errors = {0};

    signals_block();
    (void)add(fixture, "talks-on", "tcp://127.0.0.1:0");
    assert_int_equal(check_listeners(&fixture->config, true, &errors), 0);
    assert_int_equal(errors.count, ERRORS_TOLD + 1);
    assert_string_equal(errors.texts[ERRORS_TOLD],
                        "x.conf:101: there are 50 more mistakes, from here on");
    errors_done(&errors);
}

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
        with_fixture(worker_inherits_only_what_it_needs),
        with_fixture(tells_the_service_manager),
        with_fixture(reopens_its_log_file),
        with_fixture(a_name_without_an_answer_holds_nobody_up),
        with_fixture(a_name_that_nobody_knows_fails_its_listener_until_it_is_known),
        with_fixture(a_reload_that_waits_for_a_name_holds_nobody_up),
        with_fixture(check_reports_in_the_order_of_the_listeners),
        with_fixture(check_tells_every_mistake_whole),
        with_fixture(check_says_how_many_mistakes_are_not_told),
    };

    return run_tests_or_play(argc, argv, tests, ARRAY_SIZE(tests));
}
