/* SPDX-License-Identifier: MIT */
/*
 * test_requests.c - single requests: all that run, where a handler is, and its end by an operator
 */
#include "control_fixture.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/command.h"
#include "support/proc.h"

#define MANY 1500 /* more than one reply of the control socket holds */

/* ThreadSanitizer holds back a signal until the thread calls the C library. One that spins does
 * not. */
static void
need_signals(void)
{
    if (CHECKED_THREAD)
        skip();
}

static struct daemon *
serve_mixin(const char *mixin, const char *more)
{
    return daemon_start("log = { access = true; };\nlisteners = {\n%s};",
                        listener_text("test", "tcp", mixin, "good_spin", more));
}

/* A client whose request does this. */
static int
client_of(struct daemon *daemon, const char *what)
{
    int fd = client_connect(daemon_address(daemon, "test"));

    client_send(fd, text_of("%s\n", what));
    return fd;
}

static const char *
list(struct daemon *daemon)
{
    return CTL(daemon, "requests", "test").output;
}

/* The only request is at this stage. */
static void
wait_stage(struct daemon *daemon, const char *stage)
{
    WAIT_UNTIL(strstr(list(daemon), stage) != NULL);
}

/* One that looks at its client for ever has no other end. */
static void
cancel(struct daemon *daemon, unsigned number)
{
    assert_int_equal(CTL(daemon, "cancel", "test", text_of("%u", number)).status, 0);
}

/* ---- all that run ---------------------------------------------------------------------------- */

/* As ss_worker_name() has it. */
static const char *
runner_of(const char *mixin)
{
    if (!strcmp(mixin, "threading"))
        return "  test-thread-1  ";
    if (!strcmp(mixin, "forking"))
        return "  test-child-";
    return !strcmp(mixin, "coroutine") ? "  test-coroutine-1  " : "  test-main  ";
}

static void
each_request_is_listed_with_what_it_does(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve_mixin(server->mixin, "");
    int fd = client_of(daemon, "look");
    json_error_t error;
    const char *text;

    wait_stage(daemon, "waiting");
    text = list(daemon);
    assert_starts(text, "REQUEST  RUNNER");
    assert_contains(text, "      1  test-");
    assert_contains(text, "  127.0.0.1:");
    assert_contains(text, runner_of(server->mixin));
    json_t *reply = json_loads(CTL(daemon, "requests", "--json", "test").output, 0, &error);
    const json_t *request = json_array_get(json_object_get(reply, "requests"), 0);
    assert_int_equal(json_integer_value(json_object_get(request, "number")), 1);
    assert_int_equal(json_integer_value(json_object_get(request, "bytes_in")), 5);
    assert_int_equal(json_integer_value(json_object_get(request, "bytes_out")), 0);
    assert_string_equal(json_string_value(json_object_get(request, "stage")), "waiting");
    assert_true(json_integer_value(json_object_get(request, "stage_us")) <=
                json_integer_value(json_object_get(request, "age_us")));
    json_decref(reply);
    cancel(daemon, 1);
    client_expect_gone(fd);
    WAIT_UNTIL(strstr(list(daemon), "waiting") == NULL);
    daemon_expect_stop(daemon);
}

/* Of the first request in a list. */
static int64_t
first_figure(const char *text, const char *name)
{
    json_t *reply = json_loads(text, 0, NULL);
    const json_t *first = json_array_get(json_object_get(reply, "requests"), 0);
    int64_t figure = json_integer_value(json_object_get(first, name));

    json_decref(reply);
    return figure;
}

/* A stage begins with its wait, and not with the request. */
static void
a_stage_is_younger_than_its_request(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve_mixin(server->mixin, "");
    int fd = client_of(daemon, "lines");
    const char *text;

    WAIT_UNTIL(first_figure(CTL(daemon, "requests", "--json", "test").output, "age_us") > 300000);
    client_send(fd, "more\n");
    client_expect(fd, "more\n");
    text = CTL(daemon, "requests", "--json", "test").output;
    assert_true(first_figure(text, "age_us") - first_figure(text, "stage_us") > 200000);
    client_close(fd);
    daemon_expect_stop(daemon);
}

static unsigned
last_number(struct daemon *daemon)
{
    json_t *reply = json_loads(CTL(daemon, "requests", "--json", "test").output, 0, NULL);
    const json_t *requests = json_object_get(reply, "requests");
    const json_t *last = json_array_get(requests, json_array_size(requests) - 1);
    unsigned number = (unsigned)json_integer_value(json_object_get(last, "number"));

    json_decref(reply);
    return number;
}

/* Also of a generation that only finishes what runs. */
static void
those_of_a_generation_that_drains_are_listed(void **state)
{
    struct daemon *daemon = serve_mixin("threading", "drain_timeout = \"60s\";");
    int old, new;

    (void)state;
    old = client_of(daemon, "look");
    wait_stage(daemon, "waiting");
    assert_int_equal(CTL(daemon, "restart", "test").status, 0);
    new = client_of(daemon, "look");
    WAIT_UNTIL(strstr(list(daemon), " 1 drains ") != NULL &&
               strstr(list(daemon), "    2  ") != NULL);
    /* The older one ends by its number, and the other goes on. */
    assert_int_equal(CTL(daemon, "cancel", "test", "1").status, 0);
    client_expect_gone(old);
    assert_false(client_readable(new, 0));
    cancel(daemon, last_number(daemon));
    client_expect_gone(new);
    client_close_all();
    daemon_expect_stop(daemon);
}

/* In parts, and each once. */
static void
any_number_is_listed(void **state)
{
    struct rlimit limit;
    struct daemon *daemon;
    const char *address;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < MANY + 200 || SANITIZED)
        skip();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    daemon =
        serve_mixin("coroutine", text_of("max_connections = %d; max_per_source = \"none\";", MANY));
    address = daemon_address(daemon, "test");
    for (int i = 0; i < MANY; i++)
        (void)client_connect(address);
    WAIT_UNTIL(control_figure(daemon, "test", "active") == MANY);
    json_t *reply = json_loads(CTL(daemon, "requests", "test", "--json").output, 0, NULL);
    const json_t *requests = json_object_get(reply, "requests");
    assert_int_equal(json_array_size(requests), MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(json_integer_value(json_object_get(json_array_get(requests, i), "number")),
                         i + 1);
    json_decref(reply);
    assert_contains(control_ask(control_connect(daemon),
                                CALL("ListRequests", "\"listener\":\"test\",\"limit\":3")),
                    "\"more\":true");
    client_close_all();
    daemon_expect_stop(daemon);
}

/* ---- where it is ----------------------------------------------------------------------------- */

static void
a_handler_that_waits_says_where(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve_mixin(server->mixin, "");
    int fd = client_of(daemon, "look");

    wait_stage(daemon, "waiting");
    for (int i = 0; i < 3; i++) {
        struct outcome outcome = CTL(daemon, "backtrace", "test", "1");
        assert_int_equal(outcome.status, 0);
        assert_starts(outcome.output, "request 1 of 127.0.0.1:");
        assert_contains(outcome.output, "(ss_wait+0x");
        assert_contains(outcome.output, "good_spin.so+0x");
        assert_contains(outcome.output, "(handle+0x");
    }
    client_send(fd, "\n"); /* it is as it was: what is there is seen, and not read */
    assert_false(client_readable(fd, 0.1));
    cancel(daemon, 1);
    client_expect_gone(fd);
    daemon_expect_stop(daemon);
}

static void
a_handler_that_computes_says_where(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon;
    struct outcome outcome;

    need_signals();
    daemon = serve_mixin(server->mixin, "spin_limit = \"none\"; drain_timeout = \"0.2s\";");
    (void)client_of(daemon, "spin");
    wait_stage(daemon, "handling");
    WAIT_UNTIL(strstr(CTL(daemon, "backtrace", "test", "1").output, "(spin_for_ever+0x") != NULL);
    outcome = CTL(daemon, "backtrace", "--json", "test", "test/1");
    assert_contains(outcome.output, "\"frames\": [");
    assert_contains(outcome.output, "(handle+0x");
    client_close_all();
    assert_int_equal(CTL(daemon, "stop", "test").status, 0);
    daemon_expect_stop_after_fault(daemon);
}

/* Whichever loop's coroutine it is, waiting or computing. */
static void
each_event_loop_is_asked(void **state)
{
    struct daemon *daemon;

    (void)state;
    need_signals();
    daemon = serve_mixin(
        "coroutine",
        "spin_limit = \"none\"; drain_timeout = \"0.2s\"; cpus = 2; max_connections = 8;");
    for (int i = 0; i < 4; i++)
        (void)client_of(daemon, "look");
    WAIT_UNTIL(control_figure(daemon, "test", "active") == 4);
    for (int i = 1; i <= 4; i++)
        WAIT_UNTIL(strstr(CTL(daemon, "backtrace", "test", text_of("%d", i)).output,
                          "(ss_wait+0x") != NULL);
    (void)client_of(daemon, "spin");
    WAIT_UNTIL(strstr(CTL(daemon, "backtrace", "test", "5").output, "(spin_for_ever+0x") != NULL);
    client_close_all();
    assert_int_equal(CTL(daemon, "stop", "test").status, 0);
    daemon_expect_stop_after_fault(daemon);
}

/* ---- its end --------------------------------------------------------------------------------- */

static void
a_cancelled_request_ends_and_no_other(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve_mixin(server->mixin, "");
    int fd = client_of(daemon, "look"), next;

    wait_stage(daemon, "waiting");
    assert_int_equal(CTL(daemon, "cancel", "test", "1").status, 0);
    client_expect_gone(fd);
    (void)daemon_wait_log(daemon, "[test/1]: 127.0.0.1:");
    assert_int_equal(daemon_count_log(daemon, ": cancelled by an operator, 5 bytes in"), 1);
    assert_contains(daemon_log(daemon), text_of("request 1 is cancelled by uid %u", geteuid()));
    /* The next one has the same slot. */
    next = client_of(daemon, "lines");
    wait_stage(daemon, "reading");
    struct outcome outcome = CTL(daemon, "cancel", "test", "1");
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "no request 1 runs in \"test\": it has ended, or never was; "
                                    "sockserverctl requests test shows those that run");
    client_send(next, "well\n");
    client_expect(next, "well\n");
    WAIT_UNTIL(control_figure(daemon, "test", "cut") == 1);
    cancel(daemon, 2);
    client_expect_gone(next);
    daemon_expect_stop(daemon);
}

/* It neither waits nor looks whether it is cancelled: as if it had been found to spin. */
static void
a_cancelled_handler_that_spins_on_is_ended(void **state)
{
    const struct server_case *server = *state;
    bool child = strcmp(server->mixin, "forking") == 0;
    struct daemon *daemon;
    int fd;

    need_signals();
    /* The limit is far, but its grace is not. */
    daemon = serve_mixin(server->mixin, child ? "spin_limit = \"none\";" : "spin_limit = \"2s\";");
    fd = client_of(daemon, "compute 600");
    wait_stage(daemon, "handling");
    assert_int_equal(CTL(daemon, "cancel", "test", "1").status, 0);
    client_expect_gone(fd);
    if (child)
        (void)daemon_wait_log(daemon, "is killed: its request 1 went on after it was cancelled");
    else
        (void)daemon_wait_log(daemon, "generation 2 serves");
    assert_int_equal(daemon_count_log(daemon, "(spin_limit)"), 0);
    WAIT_UNTIL(strstr(list(daemon), "  cancelled ") == NULL);
    daemon_expect_stop_after_fault(daemon);
}

/* A datagram's handler has no connection to shut: its wait ends. */
static void
a_cancelled_datagram_ends(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "good_command", "");
    int fd = client_connect(daemon_address(daemon, "test"));

    client_send(fd, "sleep 600\n");
    wait_stage(daemon, "waiting");
    assert_int_equal(CTL(daemon, "cancel", "test", "1").status, 0);
    WAIT_UNTIL(control_figure(daemon, "test", "active") == 0);
    WAIT_UNTIL(control_figure(daemon, "test", "cut") == 1);
    client_close_all();
    daemon_expect_stop(daemon);
}

/* One that a request has become, or is served by. */
static void
a_cancelled_program_ends(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon =
        daemon_start("listeners = {\n%s};",
                     listener_text("test", "tcp", server->mixin, "exec",
                                   "options = { command = \"/bin/sleep\"; arguments = [ \"600\" ]; "
                                   "stderr = \"client\"; };"));
    int fd = client_connect(daemon_address(daemon, "test"));

    WAIT_UNTIL(control_figure(daemon, "test", "active") == 1);
    WAIT_UNTIL(strstr(CTL(daemon, "backtrace", "test", "1").errors, "become a program") != NULL ||
               strcmp(server->mixin, "forking") != 0);
    assert_int_equal(CTL(daemon, "cancel", "test", "1").status, 0);
    client_expect_gone(fd);
    WAIT_UNTIL(control_figure(daemon, "test", "active") == 0);
    daemon_expect_stop(daemon);
}

/* ---- mistakes, and who may ------------------------------------------------------------------- */

static const struct {
    const char *command, *name, *request, *errors;
    int status;
} mistakes[] = {
    {"backtrace", "test", "7", "no request 7 runs in \"test\"", 1},
    {"cancel", "test", "0", "no request 0 runs in \"test\"", 1},
    {"cancel", "tets", "1", "there is no listener \"tets\"; did you mean \"test\"?", 1},
    {"cancel", "test", "first", "\"first\" is no request; expected a number", 64},
    {"backtrace", "test", "-1", "unknown option -1", 64},
    {"cancel", "test", "99999999999999999999", "is no request", 64},
};

static void
mistakes_name_the_remedy(void **state)
{
    struct daemon *daemon = serve();

    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct outcome outcome =
            CTL(daemon, mistakes[i].command, mistakes[i].name, mistakes[i].request);
        assert_contains(outcome.errors, mistakes[i].errors);
        assert_int_equal(outcome.status, mistakes[i].status);
    }
    assert_contains(CTL(daemon, "requests", "nobody").errors, "there is no listener \"nobody\"");
    daemon_expect_stop(daemon);
}

/* Whoever waits for an answer may leave, and the next one is answered. */
static void
one_who_asks_may_leave(void **state)
{
    struct daemon *daemon;

    (void)state;
    need_signals();
    daemon = serve_mixin("coroutine", "spin_limit = \"none\"; drain_timeout = \"0.2s\";");
    (void)client_of(daemon, "look");
    wait_stage(daemon, "waiting");
    (void)client_of(daemon, "spin");
    WAIT_UNTIL(control_figure(daemon, "test", "active") == 2);
    /* Nobody answers for the first: the second holds up its loop. */
    int fd = control_connect(daemon);
    control_send(fd, CALL("GetBacktrace", "\"listener\":\"test\",\"number\":1"));
    WAIT_UNTIL(strstr(control_ask(control_connect(daemon),
                                  CALL("GetBacktrace", "\"listener\":\"test\",\"number\":2")),
                      "somebody else") != NULL);
    client_close(fd);
    WAIT_UNTIL(strstr(CTL(daemon, "backtrace", "test", "2").output, "spin_for_ever") != NULL);
    assert_contains(CTL(daemon, "backtrace", "test", "1").errors, "holds up its event loop");
    client_close_all();
    assert_int_equal(CTL(daemon, "stop", "test").status, 0);
    daemon_expect_stop_after_fault(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(each_request_is_listed_with_what_it_does, "tcp"),
          TEST_EACH_MIXIN(a_stage_is_younger_than_its_request, "tcp"),
          TEST(those_of_a_generation_that_drains_are_listed), TEST(any_number_is_listed),
          TEST_EACH_MIXIN(a_handler_that_waits_says_where, "tcp"),
          TEST_EACH_MIXIN(a_handler_that_computes_says_where, "tcp"),
          TEST(each_event_loop_is_asked),
          TEST_EACH_MIXIN(a_cancelled_request_ends_and_no_other, "tcp"),
          TEST_EACH_MIXIN(a_cancelled_handler_that_spins_on_is_ended, "tcp"),
          TEST_EACH_MIXIN(a_cancelled_datagram_ends, "udp"),
          TEST_CASE(a_cancelled_program_ends, "tcp", "threading"),
          TEST_CASE(a_cancelled_program_ends, "tcp", "forking"),
          TEST_CASE(a_cancelled_program_ends, "tcp", "coroutine"), TEST(mistakes_name_the_remedy),
          TEST(one_who_asks_may_leave))
