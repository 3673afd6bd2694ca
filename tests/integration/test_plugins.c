/* SPDX-License-Identifier: MIT */
/*
 * test_plugins.c - each shipped plugin under every server and mixin at once
 *
 * One daemon has sixteen listeners with the same plugin file; the plugins speak
 * as their RFCs say.
 */
#include <arpa/inet.h>
#include <time.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/test.h"

static const char *const schemes[] = {"tcp", "udp", "unix", "unixgram"};
static const char *const mixins[] = {"none", "threading", "forking", "coroutine"};
#define SCHEMES (sizeof schemes / sizeof schemes[0])
#define MIXINS  (sizeof mixins / sizeof mixins[0])

/* Runs the exchange against each server of the plugin. */
static void
with_each_server(const char *plugin, const char *options,
                 void (*exchange)(const char *address, bool stream))
{
    const char *all = "";
    struct daemon *daemon;

    for (size_t s = 0; s < SCHEMES; s++) {
        for (size_t m = 0; m < MIXINS; m++)
            all = text_of("%s%s", all,
                          listener_text(text_of("%s_%s", schemes[s], mixins[m]), schemes[s],
                                        mixins[m], plugin, options));
    }
    daemon = daemon_start("listeners = {\n%s};", all);
    for (size_t s = 0; s < SCHEMES; s++) {
        for (size_t m = 0; m < MIXINS; m++)
            exchange(daemon_address(daemon, text_of("%s_%s", schemes[s], mixins[m])),
                     scheme_is_stream(schemes[s]));
    }
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "failed");
}

static void
exchange_echo(const char *address, bool stream)
{
    int client = client_connect(address);

    client_send(client, "hello");
    client_expect(client, "hello");
    client_send(client, "no newline needed");
    client_expect(client, "no newline needed");
    if (stream) {
        client_half_close(client);
        client_expect_end(client);
    }
    client_close(client);
}

static void
echo_sends_everything_back(void **state)
{
    (void)state;
    with_each_server("echo", "", exchange_echo);
}

static void
exchange_discard(const char *address, bool stream)
{
    int client = client_connect(address);

    client_send(client, "into the void\n");
    if (stream) {
        client_half_close(client);
        client_expect_end(client);
    } else {
        client_send(client, "and again\n");
        assert_false(client_readable(client, 0.03));
    }
    client_close(client);
}

static void
discard_answers_nothing(void **state)
{
    (void)state;
    with_each_server("discard", "", exchange_discard);
}

/* The datagram may hold anything; a stream gets its answer unasked. */
static const char *
ask_unasked(const char *address, bool stream)
{
    int client = client_connect(address);
    const char *answer;

    if (!stream)
        client_send(client, "?");
    answer = stream ? client_receive_all(client) : client_receive(client);
    client_close(client);
    return answer;
}

static void
exchange_daytime(const char *address, bool stream)
{
    const char *answer = ask_unasked(address, stream);
    char year[8];
    time_t now = time(NULL);
    struct tm local;

    assert_true(strftime(year, sizeof year, "%Y", localtime_r(&now, &local)) > 0);
    assert_contains(answer, year);
    assert_int_equal(strcspn(answer, "\r\n") + 2, strlen(answer));
    assert_contains(answer, "\r\n");
}

static void
daytime_tells_the_time_as_a_line(void **state)
{
    (void)state;
    with_each_server("daytime", "", exchange_daytime);
}

static void
exchange_fixed_daytime(const char *address, bool stream)
{
    assert_string_equal(ask_unasked(address, stream), "tea time 100%\r\n");
}

static void
daytime_uses_the_format_it_is_given(void **state)
{
    (void)state;
    with_each_server("daytime", "options = { format = \"tea time 100%%\"; };",
                     exchange_fixed_daytime);
}

static void
exchange_time(const char *address, bool stream)
{
    int client = client_connect(address);
    uint32_t answer = 0;
    uint32_t now;

    if (!stream)
        client_send(client, "?");
    assert_int_equal(client_receive_bytes(client, &answer, sizeof answer), sizeof answer);
    now = (uint32_t)time(NULL) + 2208988800u;
    assert_in_range(now - ntohl(answer), 0, 30);
    if (stream)
        client_expect_end(client);
    client_close(client);
}

static void
time_tells_seconds_since_1900(void **state)
{
    (void)state;
    with_each_server("time", "", exchange_time);
}

static void
exchange_chargen_stream(int client)
{
    char line[74 + 1] = "";

    for (int i = 0; i < 200; i++) {
        assert_int_equal(client_receive_bytes(client, line, 74), 74);
        for (int column = 0; column < 72; column++)
            assert_int_equal(line[column], ' ' + (i + column) % 95);
        assert_string_equal(line + 72, "\r\n");
    }
}

static void
exchange_chargen(const char *address, bool stream)
{
    int client = client_connect(address);

    if (stream) {
        exchange_chargen_stream(client);
    } else {
        const char *answer;

        /* One of 513 answers has no character, and is not sent. */
        WAIT_UNTIL((client_send(client, "?"), client_readable(client, 1)));
        answer = client_receive(client);
        assert_in_range(strlen(answer), 1, 512);
        assert_int_equal(strspn(answer, "\r\n !\"#$%&'()*+,-./0123456789:;<=>?@"
                                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
                                        "abcdefghijklmnopqrstuvwxyz{|}~"),
                         strlen(answer));
    }
    client_close(client);
}

static void
chargen_sends_the_pattern_without_end(void **state)
{
    (void)state;
    with_each_server("chargen", "", exchange_chargen);
}

static void
exchange_upper(const char *address, bool stream)
{
    (void)stream;
    assert_string_equal(client_ask(address, "hello\nworld, no newline"),
                        "HELLO\nWORLD, NO NEWLINE");
}

static void
upper_sends_lines_back_in_upper_case(void **state)
{
    (void)state;
    with_each_server("upper", "", exchange_upper);
}

RUN_TESTS(TEST(echo_sends_everything_back), TEST(discard_answers_nothing),
          TEST(daytime_tells_the_time_as_a_line), TEST(daytime_uses_the_format_it_is_given),
          TEST(time_tells_seconds_since_1900), TEST(chargen_sends_the_pattern_without_end),
          TEST(upper_sends_lines_back_in_upper_case))
