/* SPDX-License-Identifier: MIT */
/*
 * test_library.c - <sockserver/test.h> itself, on a plugin that is linked with it
 *
 * The plugin does what each line says. A test of which the library says that it fails ends in
 * failed(), which jumps back to who expects that.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sockserver/test.h>

#include "under.h"

/* ---- the plugin ------------------------------------------------------------------------- */

static const struct ss_option options[] = {
    {.name = "greeting", .type = SS_STRING, .fallback = "", .help = "sent first"},
    {.name = "limit", .type = SS_INTEGER, .fallback = "5", .min = 1, .max = 10, .help = "unused"},
    {0},
};

SS_PLUGIN(.name = "obey", .summary = "does what each line says",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = options)

static pthread_barrier_t both;
static int serviced, timed_out;

static int
obey(struct ss_request *request, const char *line)
{
    long number = strtol(strchr(line, ' ') != NULL ? strchr(line, ' ') : "0", NULL, 10);
    int *counter = ss_server_data(ss_server(request));
    char zeros[1000] = {0};

    if (strncmp(line, "echo ", 5) == 0)
        return ss_printf(request, "%s", line + 5);
    if (strncmp(line, "fail ", 5) == 0)
        return -(int)number;
    if (strncmp(line, "sleep ", 6) == 0)
        return ss_printf(request, "%d\n", ss_sleep(request, (double)number));
    if (strncmp(line, "nap", 3) == 0)
        return usleep(2000000);
    if (strncmp(line, "count", 5) == 0)
        return ss_printf(request, "%d\n", ++*counter);
    if (strncmp(line, "meet", 4) == 0)
        return pthread_barrier_wait(&both) > 0 ? -EIO : ss_printf(request, "met\n");
    if (strncmp(line, "open", 4) == 0)
        return open("/dev/null", O_RDONLY | O_CLOEXEC) < 0 ? -errno : 0;
    if (strncmp(line, "wake", 4) == 0)
        return ss_waker(request) == NULL ? -ENOMEM : 0;
    if (strncmp(line, "poll", 4) == 0)
        return ss_printf(request, "%s\n", poll(NULL, 0, -1) < 0 ? strerror(errno) : "?");
    if (strncmp(line, "die", 3) == 0)
        _exit(3);
    if (strncmp(line, "log ", 4) == 0)
        ss_log(LOG_NOTICE, "%.10s", line + 4);
    for (long i = 0; strncmp(line, "zeros ", 6) == 0 && i < number; i++)
        (void)ss_write(request, zeros, sizeof(zeros));
    return 0;
}

bool
verify_request(struct ss_request *request)
{
    (void)request;
    return true;
}

int
setup(struct ss_request *request)
{
    return ss_printf(request, "%s", ss_option_string(ss_server(request), "greeting"));
}

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size;
    int error = 0;

    while (error >= 0 && (size = ss_readline(request, &line)) > 0)
        error = obey(request, line);
    return error < 0 ? error : (int)size;
}

void
finish(struct ss_request *request)
{
    (void)request;
}

void
handle_error(struct ss_request *request, int error)
{
    (void)request;
    ss_log(LOG_NOTICE, "told of error %d", error);
}

int
server_activate(struct ss_server *server)
{
    static int counter;

    counter = 0;
    ss_server_set_data(server, &counter);
    return 0;
}

void
service_actions(struct ss_server *server)
{
    (void)server;
    serviced++;
}

void
handle_timeout(struct ss_server *server)
{
    (void)server;
    timed_out++;
}

/* ---- tests that fail -------------------------------------------------------------------- */

static jmp_buf back;
static char message[100000];

static void
failed(const char *text)
{
    (void)snprintf(message, sizeof(message), "%s", text);
    longjmp(back, 1);
}

/* Whether what follows fails; it does so where the message says. */
#define FAILS(what)                                                                                \
    do {                                                                                           \
        ss_test_on_failure(failed);                                                                \
        if (setjmp(back) == 0) {                                                                   \
            what;                                                                                  \
            ss_test_on_failure(NULL);                                                              \
            fail_msg("%s does not fail", #what);                                                   \
        }                                                                                          \
        ss_test_on_failure(NULL);                                                                  \
    } while (0)

static void
assert_said(const char *text)
{
    if (strstr(message, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, message);
}

static struct ss_test *
obey_under(const char *mixin)
{
    struct ss_test *test = ss_test_new();

    ss_test_set(test, "mixin", mixin);
    return test;
}

static void
a_difference_is_told_with_place_bytes_and_log(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_send(test, "log said\necho one\n");
    FAILS(ss_test_expect(test, "ore\t\n"));
    assert_said("test_library.c:");
    assert_said("ss_test_expect(): what came differs from byte 1 on");
    assert_said("came:     \"one\\n\"");
    assert_said("expected: \"ore\\t\\n\"");
    assert_said("notice: [obey/1] said");
    ss_test_expect(test, "one\n");
    FAILS(ss_test_expect(test, "two\n"));
    assert_said("nothing came");
    FAILS(ss_test_expect_end(test));
    FAILS(ss_test_expect_outcome(test, "done"));
    assert_said("the request has not ended");
    FAILS(ss_test_expect_log(test, "unsaid"));
    FAILS(ss_test_check(test, 1 == 2));
    assert_said("expected 1 == 2");
    ss_test_send(test, "echo more\n");
    FAILS(ss_test_expect_nothing(test));
    ss_test_done(test);
}

static void
how_a_request_ended_is_compared(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_send(test, "fail 5\n");
    ss_test_expect_end(test);
    FAILS(ss_test_expect_nothing(test));
    assert_said("the request has ended");
    FAILS(ss_test_expect_outcome(test, "done"));
    assert_said("the request has ended in another way");
    FAILS(ss_test_expect_error(test, -EPROTO));
    assert_said("came:     -5 (-EIO)");
    FAILS(ss_test_expect_error(test, 0));
    FAILS(ss_test_expect_calls(test, "finish", 2));
    assert_said("finish was called 1 times, and 2 were expected");
    FAILS(ss_test_expect_calls(test, "finnish", 0));
    assert_said("\"finnish\" is no hook of a request");
    ss_test_done(test);
}

static void
a_plugin_that_starts_is_not_refused(void **state)
{
    struct ss_test *test = obey_under(*state);

    FAILS(ss_test_expect_refused(test, ""));
    assert_said("the plugin starts");
    ss_test_done(test);
    test = obey_under(*state);
    ss_test_option(test, "limit", "11");
    FAILS(ss_test_expect_refused(test, "limits"));
    assert_said("other mistakes were told");
    ss_test_done(test);
}

static void
a_descriptor_that_is_left_open_is_told(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_send(test, "open\n");
    FAILS(ss_test_done(test));
    assert_said("/dev/null, was left open");
}

static void
a_call_that_blocks_coroutines_is_named(void **state)
{
    struct ss_test *test = obey_under("coroutine");

    (void)state;
    (void)setenv("SS_TEST_PATIENCE", "0.5", 1);
    FAILS(ss_test_send(test, "nap\n"));
    (void)unsetenv("SS_TEST_PATIENCE");
    assert_said("neither waits by a call of ss_*() nor ends: it is in system call");
    ss_test_done(test);
}

static void
mistakes_are_those_of_a_configuration(void **state)
{
    struct ss_test *test = ss_test_new();

    (void)state;
    ss_test_option(test, "limit", "11");
    ss_test_option(test, "limits", "1");
    FAILS(ss_test_start(test));
    assert_said("test_library.c:");
    assert_said("listeners.obey.options.limit: found \"11\"; expected an integer, from 1 to 10");
    ss_test_done(test);
    test = ss_test_new();
    ss_test_set(test, "mixin", "treading");
    ss_test_expect_refused(test, "did you mean \"threading\"?");
    ss_test_done(test);
}

/* ---- what a client does ------------------------------------------------------------------ */

static void
options_and_hooks_are_the_plugins(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_option(test, "greeting", "hello\n");
    assert_string_equal(ss_test_plugin(test)->name, "obey");
    assert_string_equal(ss_test_expect_line(test, "h*o"), "hello");
    ss_test_pieces(test, 1);
    ss_test_send(test, "fail 71\n");
    ss_test_expect_end(test);
    ss_test_expect_error(test, -EPROTO);
    ss_test_expect_outcome(test, "failed");
    ss_test_expect_log(test, "told of error -71");
    ss_test_expect_calls(test, "verify_request", 1);
    ss_test_expect_calls(test, "finish", 1);
    ss_test_expect_calls(test, "handle_error", 1);
    ss_test_done(test);
}

static void
resets_and_ends_are_told_apart(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_send(test, "echo one");
    ss_test_reset(test);
    ss_test_expect_outcome(test, "client went away");
    ss_test_expect_error(test, -ECONNRESET);
    ss_test_connect(test);
    ss_test_send(test, "echo one");
    ss_test_shutdown(test);
    ss_test_expect(test, "one");
    ss_test_expect_end(test);
    ss_test_expect_outcome(test, "done");
    ss_test_break_after(test, 1500);
    ss_test_connect(test);
    ss_test_send(test, "zeros 2\necho x\n");
    ss_test_expect_outcome(test, "client went away");
    ss_test_done(test);
}

static void
time_goes_by_only_in_pauses(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_set(test, "request_timeout", "1h");
    ss_test_set(test, "timeout", "10s");
    ss_test_set(test, "service_interval", "1s");
    serviced = timed_out = 0;
    ss_test_send(test, "sleep 50\n");
    ss_test_pause(test, 49.5);
    ss_test_expect_nothing(test);
    ss_test_pause(test, 0.5);
    ss_test_expect(test, "0\n");
    ss_test_send(test, "sleep 5000\n");
    ss_test_pause(test, 3550);
    ss_test_expect_outcome(test, "request_timeout is over");
    assert_int_equal(serviced, 3600);
    assert_int_equal(timed_out, 0);
    ss_test_pause(test, 20);
    assert_int_equal(timed_out, 2);
    ss_test_done(test);
}

static void
a_client_that_takes_nothing_is_given_up(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_set(test, "write_timeout", "7s");
    ss_test_connect(test);
    ss_test_hold(test, true);
    ss_test_send(test, "zeros 100\n");
    ss_test_pause(test, 6.9);
    ss_test_hold(test, false);
    ss_test_pause(test, 100); /* of read_timeout: it was */
    size_t size;
    (void)ss_test_take(test, &size);
    assert_int_equal(size, 100000);
    ss_test_connect(test);
    ss_test_hold(test, true);
    ss_test_send(test, "zeros 100\n");
    ss_test_pause(test, 7);
    ss_test_expect_outcome(test, "idle for too long");
    ss_test_done(test);
}

static void
short_writes_change_nothing(void **state)
{
    struct ss_test *test = obey_under(*state);
    const char zeros[3000] = {0};

    ss_test_short_writes(test, 7);
    ss_test_send(test, "zeros 3\necho end\n");
    ss_test_expect_bytes(test, zeros, sizeof(zeros));
    ss_test_expect(test, "end\n");
    ss_test_done(test);
}

/* ---- what happens meanwhile --------------------------------------------------------------- */

static void
drains_cuts_wakes_and_signals_come(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_send(test, "sleep 9\n");
    ss_test_wake(test);
    ss_test_expect_nothing(test);
    ss_test_pause(test, 9);
    ss_test_expect(test, "0\n");
    ss_test_send(test, "wake\nsleep 9\n");
    ss_test_wake(test);
    ss_test_expect(test, "-4\n");
    ss_test_send(test, "sleep 9\n");
    ss_test_drain(test);
    ss_test_expect_nothing(test);
    ss_test_cut(test);
    ss_test_expect_outcome(test, "cut by the drain's deadline");
    ss_test_done(test);
}

static void
a_signal_interrupts_a_call_of_the_handlers_own(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_send(test, "poll\n");
    ss_test_interrupt(test);
    ss_test_expect(test, "Interrupted system call\n");
    ss_test_done(test);
}

/* ---- the rules of mixins ------------------------------------------------------------------- */

static void
forked_children_have_copies(void **state)
{
    const char *expected = strcmp(*state, "forking") == 0 ? "1\n" : "2\n";
    struct ss_test *test = obey_under(*state);
    struct ss_test *other = ss_test_another(test);

    ss_test_send(test, "count\n");
    ss_test_expect(test, "1\n");
    ss_test_close(test);
    ss_test_send(other, "count\n");
    ss_test_expect(other, expected);
    ss_test_done(test);
}

static void
threads_run_at_once(void **state)
{
    struct ss_test *test = obey_under("threading");
    struct ss_test *other = ss_test_another(test);

    (void)state;
    (void)pthread_barrier_init(&both, NULL, 2);
    ss_test_send(test, "meet\n");
    ss_test_send(other, "meet\n");
    ss_test_expect(other, "met\n");
    ss_test_expect(test, "met\n");
    ss_test_done(test);
}

static void
none_serves_one_after_the_other(void **state)
{
    struct ss_test *test = obey_under("none");
    struct ss_test *other = ss_test_another(test);

    (void)state;
    ss_test_send(test, "echo one\n");
    ss_test_connect(other);
    FAILS(ss_test_expect(other, "x"));
    assert_said("waits for its turn");
    ss_test_expect(test, "one\n");
    ss_test_close(test);
    ss_test_send(other, "echo two\n");
    ss_test_expect(other, "two\n");
    ss_test_done(test);
}

static void
each_datagram_is_a_request(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_set(test, "address", "unixgram:@obey");
    ss_test_send(test, "echo one\necho two\n");
    ss_test_send(test, "fail 5\n");
    ss_test_expect_error(test, -EIO);
    ss_test_send(test, "echo three\n");
    ss_test_expect(test, "one\ntwo\n");
    ss_test_expect(test, "three\n");
    ss_test_expect_nothing(test);
    ss_test_done(test);
}

static void
lines_of_datagrams_are_whole(void **state)
{
    struct ss_test *test = obey_under(*state);

    ss_test_set(test, "address", "unixgram:@obey");
    ss_test_send(test, "echo one\necho two\n");
    ss_test_expect_line(test, "one");
    ss_test_expect_line(test, "two");
    ss_test_send(test, "echo th");
    FAILS(ss_test_expect_line(test, "th*"));
    assert_said("no whole line came");
    FAILS(ss_test_expect_end(test));
    ss_test_expect(test, "th");
    ss_test_send(test, "echo ree\n");
    ss_test_expect_line(test, "ree");
    ss_test_expect_nothing(test);
    ss_test_done(test);
}

/* Also when its client has had another request since. */
static void
a_child_that_died_is_told(void **state)
{
    struct ss_test *test = obey_under("forking");

    (void)state;
    ss_test_send(test, "die\n");
    ss_test_expect_end(test);
    ss_test_connect(test);
    ss_test_send(test, "echo one\n");
    ss_test_expect(test, "one\n");
    FAILS(ss_test_done(test));
    assert_said("a request's process");
}

static void
any_bytes_are_a_conversation(void **state)
{
    struct ss_test *test = ss_test_new();
    unsigned char bytes[64];

    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        for (size_t j = 0; j < sizeof(bytes); j++)
            bytes[j] = (unsigned char)(i * 31 + j * j * 7);
        (void)memcpy(bytes, "echo x\nzeros 99\nsleep 99\n", i % 26);
        ss_test_fuzz(test, bytes, i % sizeof(bytes));
    }
    FAILS(ss_test_fuzz(test, "open\n", 5));
    assert_said("which is /dev/null, was left open");
    (void)close(atoi(strstr(message, "descriptor ") + strlen("descriptor ")));
    ss_test_done(test);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        UNDER_EACH(a_difference_is_told_with_place_bytes_and_log),
        UNDER_EACH(how_a_request_ended_is_compared),
        UNDER_EACH(a_plugin_that_starts_is_not_refused),
        UNDER_EACH(options_and_hooks_are_the_plugins),
        UNDER_EACH(resets_and_ends_are_told_apart),
        UNDER_EACH(time_goes_by_only_in_pauses),
        UNDER_EACH(a_client_that_takes_nothing_is_given_up),
        UNDER_EACH(short_writes_change_nothing),
        UNDER_EACH(drains_cuts_wakes_and_signals_come),
        UNDER(a_signal_interrupts_a_call_of_the_handlers_own, "none"),
        UNDER(a_signal_interrupts_a_call_of_the_handlers_own, "threading"),
        UNDER(a_signal_interrupts_a_call_of_the_handlers_own, "forking"),
        UNDER_EACH(forked_children_have_copies),
        cmocka_unit_test(threads_run_at_once),
        cmocka_unit_test(none_serves_one_after_the_other),
        UNDER_EACH(each_datagram_is_a_request),
        UNDER_EACH(lines_of_datagrams_are_whole),
        cmocka_unit_test(a_child_that_died_is_told),
        cmocka_unit_test(mistakes_are_those_of_a_configuration),
        cmocka_unit_test(a_call_that_blocks_coroutines_is_named),
        cmocka_unit_test(any_bytes_are_a_conversation),
        UNDER_EACH(a_descriptor_that_is_left_open_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
