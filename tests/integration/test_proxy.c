/* SPDX-License-Identifier: MIT */
/*
 * test_proxy.c - clients that a balancer announces by a PROXY header
 *
 * This program is the balancer: 127.0.0.1 and its own user are trusted, other
 * addresses of 127.0.0.0/8 are not.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/client.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/proxy.h"
#include "support/test.h"

#define TRUSTED "proxy = { trusted = [ \"127.0.0.1\", \"local\" ]; timeout = \"60s\"; };"
#define BRIEF   "proxy = { trusted = [ \"127.0.0.1\", \"local\" ]; timeout = \"1s\"; };"

#define LINE  "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n"
#define BLOCK "\xc0\x00\x02\x07\xc6\x33\x64\x01\xc8\x22\x01\xbb" /* the same in binary */

static long
figure(struct daemon *daemon, const char *member)
{
    return control_figure(daemon, "test", member);
}

static void
send_header(int fd, const char *command, const char *family, const void *block, size_t size)
{
    char header[512];

    client_send_bytes(fd, header, proxy_header(header, command, family, block, size));
}

static void
expect_announced(int client)
{
    client_expect(client, "client 192.0.2.7:51234\n");
    client_send(client, "sockaddr\n");
    client_expect(client, text_of("sockaddr %d %zu\n", AF_INET, sizeof(struct sockaddr_in)));
    client_send(client, "credentials\n");
    client_expect(client, text_of("error %d\n", -ENOTSUP));
}

/* ---- who is announced ----------------------------------------------------------------------- */

static void
the_handler_sees_the_announced_client(void **state)
{
    const struct server_case *row = *state;
    bool tcp = strcmp(row->scheme, "tcp") == 0;
    struct daemon *daemon =
        daemon_start("log = { access = true; };\nlisteners = {\n%s};",
                     listener_text("test", row->scheme, row->mixin, "good_command", TRUSTED));
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address);

    client_send(client, LINE);
    client_send(client, "client\n");
    expect_announced(client);
    client_send(client, "peer\n");
    client_expect(client,
                  tcp ? text_of("peer %d %zu 127.0.0.1\n", AF_INET, sizeof(struct sockaddr_in))
                      : text_of("peer %d 2 \n", AF_UNIX));
    client_close(client);
    client = client_connect(address);
    send_header(client, PROXY_ANNOUNCE, PROXY_TCP4, BLOCK, 12);
    client_send(client, "client\n");
    expect_announced(client);
    client_close(client);
    (void)daemon_wait_log(daemon, "192.0.2.7:51234: done, 33 bytes in");
    (void)daemon_wait_log(daemon, "192.0.2.7:51234: done, 28 bytes in");
    WAIT_UNTIL(figure(daemon, "accepted") == 2 && figure(daemon, "active") == 0);
    assert_int_equal(figure(daemon, "refused") + figure(daemon, "failed"), 0);
    daemon_expect_stop(daemon);
}

/* Nothing of what follows the header is lost, and nothing of it is waited for. */
static void
what_follows_the_header_is_the_handlers(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve(row->scheme, row->mixin, "good_command", TRUSTED);
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address);

    client_send(client, LINE "client\necho one\necho two\n");
    client_expect(client, "client 192.0.2.7:51234\none\ntwo\n");
    client_close(client);
    client = client_connect(address); /* byte by byte, each in a segment of its own */
    for (const char *byte = LINE "client\n"; *byte != '\0'; byte++)
        client_send_bytes(client, byte, 1);
    client_expect(client, "client 192.0.2.7:51234\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

/* The smallest buffer of a listener is smaller than a header may be. */
static void
the_longest_header_needs_no_larger_read_buffer(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve("tcp", row->mixin, "good_command", "read_buffer = 512; " TRUSTED);
    char block[2048] = BLOCK, header[2064];
    int client = client_connect(daemon_address(daemon, "test"));

    block[12] = (char)0xe7; /* an unknown TLV of 2033 bytes */
    block[13] = 2033 >> 8;
    block[14] = (char)(2033 & 255);
    size_t size = proxy_header(header, PROXY_ANNOUNCE, PROXY_TCP4, block, sizeof(block));
    for (size_t i = 0; i < size; i += 516)
        client_send_bytes(client, header + i, 516);
    client_send(client, "client\n");
    client_expect(client, "client 192.0.2.7:51234\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
unix_clients_can_be_announced(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve(row->scheme, row->mixin, "good_command", TRUSTED);
    const char *address = daemon_address(daemon, "test");
    char block[216] = "/run/a\nclient";
    int client = client_connect(address);

    send_header(client, PROXY_ANNOUNCE, PROXY_UNIX, block, sizeof(block));
    client_send(client, "client\ncredentials\n");
    client_expect(client, text_of("client /run/a?client\nerror %d\n", -ENODATA));
    client_close(client);
    memset(block, 0, sizeof(block));
    client = client_connect(address);
    send_header(client, PROXY_ANNOUNCE, PROXY_UNIX, block, sizeof(block));
    client_send(client, "client\n");
    client_expect(client, "client unnamed Unix socket\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

/* The lists judge the balancer first, and then whom it announces. */
static void
allow_and_deny_judge_the_announced_client(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve("tcp", row->mixin, "good_command",
                     TRUSTED " deny = \"192.0.2.0/24\"; allow = [ \"192.0.2.7\", \"127.0.0.1\" ];");
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address);

    client_send(client, LINE "client\n");
    client_expect(client, "client 192.0.2.7:51234\n");
    client_close(client);
    client = client_connect(address);
    client_send(client, "PROXY TCP6 ::ffff:192.0.2.8 ::1 1 2\r\nclient\n");
    client_expect_gone(client);
    client = client_connect(address);
    client_send(client, "PROXY TCP4 127.0.0.9 127.0.0.1 1 2\r\nclient\n");
    client_expect_gone(client);
    client_expect_gone(client_connect_from("127.0.0.2", address));
    WAIT_UNTIL(figure(daemon, "denied") == 3);
    assert_int_equal(figure(daemon, "unannounced"), 0);
    assert_contains(daemon_wait_log(daemon, "turned away by deny"), "192.0.2.8:1");
    daemon_expect_stop(daemon);
}

/* ---- who announces nobody ------------------------------------------------------------------- */

/* Sends the bytes, and no more: it must see an ordinary end. */
static void
expect_polite_end(const char *address, const void *bytes, size_t size, bool half_close)
{
    int client = client_connect(address);

    client_send_bytes(client, bytes, size);
    if (half_close)
        client_half_close(client);
    client_expect_end(client);
    client_close(client);
}

static void
a_health_check_is_no_client(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_start("log = { access = true; };\nlisteners = {\n%s};",
                     listener_text("test", row->scheme, row->mixin, "good_command", BRIEF));
    const char *address = daemon_address(daemon, "test");
    char local[64], unspecified[64];
    size_t local_size = proxy_header(local, PROXY_LOCAL, PROXY_TCP4, BLOCK, 12);
    size_t size = proxy_header(unspecified, PROXY_ANNOUNCE, PROXY_NOBODY, "", 0);

    expect_polite_end(address, local, local_size, true);
    expect_polite_end(address, local, local_size, false);
    expect_polite_end(address, unspecified, size, true);
    expect_polite_end(address, "PROXY UNKNOWN\r\n", 15, true);
    expect_polite_end(address, "PROXY UNKNOWN some thing\r\n", 26, true);
    WAIT_UNTIL(figure(daemon, "active") == 0);
    assert_int_equal(figure(daemon, "accepted") + figure(daemon, "refused"), 0);
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "bytes in");
}

/* A check that wants an answer, or a client of whom the balancer knows no address. */
static void
what_follows_local_is_served_as_the_peers(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve(row->scheme, row->mixin, "good_command", TRUSTED);
    const char *address = daemon_address(daemon, "test");
    bool tcp = strcmp(row->scheme, "tcp") == 0;
    const char *name = tcp ? "client 127.0.0.1:" : "client pid ";
    int client = client_connect(address);

    client_send(client, "PROXY UNKNOWN\r\nclient\n");
    assert_starts(client_receive_line(client), name);
    client_close(client);
    client = client_connect(address);
    send_header(client, PROXY_LOCAL, PROXY_NOBODY, "", 0);
    client_send(client, "client\n");
    assert_starts(client_receive_line(client), name);
    client_close(client);
    WAIT_UNTIL(figure(daemon, "accepted") == 2);
    daemon_expect_stop(daemon);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void
who_sends_no_good_header_is_refused(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_start("log = { access = true; };\nlisteners = {\n%s};",
                     listener_text("test", row->scheme, row->mixin, "good_hooks", BRIEF));
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address), silent;

    client_send(client, "GET / HTTP/1.0\r\n\r\n");
    client_expect_gone(client);
    client = client_connect(address);
    client_send(client, "PROXY TCP4 192.0.2.7 198.51.100.1 051234 443\r\nmore");
    client_expect_gone(client);
    client = client_connect(address);
    client_send(client, "PROXY TCP4 192.0.2.7");
    client_half_close(client);
    client_expect_gone(client);
    silent = client_connect(address);
    client = client_connect(address);
    client_send(client, "PROXY TCP4 192.0.2.7");
    client_expect_gone(client);
    client_expect_gone(silent);
    (void)daemon_wait_log(daemon, ": refused: no PROXY header, ");
    (void)daemon_wait_log_times(daemon, ": refused: PROXY header is malformed, ", 2);
    (void)daemon_wait_log_times(daemon, ": refused: PROXY header did not come in time, ", 2);
    WAIT_UNTIL(figure(daemon, "unannounced") == 5);
    assert_int_equal(figure(daemon, "refused"), 5);
    assert_int_equal(figure(daemon, "failed") + figure(daemon, "idle_ended"), 0);
    daemon_expect_stop(daemon);
    assert_contains(daemon_log(daemon), "found byte 0x47 at 0; expected \"PROXY \"");
    assert_in_range(daemon_count_log(daemon, "requires a PROXY header of everybody"), 1, 2);
    assert_lacks(daemon_log(daemon), "verify_request"); /* good_hooks tells of each of its own */
}

static void
who_is_not_trusted_is_not_asked(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_start("log = { access = true; };\nlisteners = {\n%s};",
                     listener_text("test", "tcp", row->mixin, "good_hooks",
                                   "proxy = { trusted = [ \"127.0.0.1\", \"user:0\" ]; };"));
    const char *address = daemon_address(daemon, "test");

    for (int i = 0; i < 3; i++) {
        int client = client_connect_from("127.0.0.2", address);
        if (i > 0)
            (void)!send(client, LINE, strlen(LINE), MSG_NOSIGNAL);
        client_expect_gone(client);
    }
    WAIT_UNTIL(figure(daemon, "unannounced") == 3);
    assert_int_equal(figure(daemon, "refused"), 3);
    assert_contains(daemon_wait_log(daemon, "refused: not in proxy.trusted, 0 bytes in"),
                    "127.0.0.2:");
    assert_contains(daemon_wait_log(daemon, "turned away as not in proxy.trusted"), "127.0.0.2:");
    daemon_expect_stop(daemon);
    assert_lacks(daemon_log(daemon), "verify_request");
}

static void
a_unix_balancer_is_trusted_by_its_user(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};",
                     listener_text("test", "unix", row->mixin, "good_command",
                                   text_of("proxy = { trusted = \"user:%u\"; };", getuid())),
                     listener_text("other", "unix", row->mixin, "good_command",
                                   text_of("proxy = { trusted = [ \"user:%u\", \"group:%u\" ]; };",
                                           getuid() + 4242, getgid() + 4242)));
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, LINE "client\n");
    client_expect(client, "client 192.0.2.7:51234\n");
    client_close(client);
    client_expect_gone(client_connect(daemon_address(daemon, "other")));
    WAIT_UNTIL(control_figure(daemon, "other", "unannounced") == 1);
    daemon_expect_stop(daemon);
}

/* ---- while a header is awaited --------------------------------------------------------------- */

/* Those who have said nothing are let go at once, not after proxy.timeout or drain_timeout. */
static void
a_stop_waits_for_no_header(void **state)
{
    const struct server_case *row = *state;
    bool alone = strcmp(row->mixin, "none") == 0;
    struct daemon *daemon =
        daemon_serve(row->scheme, row->mixin, "good_command", "drain_timeout = \"300s\"; " TRUSTED);
    const char *address = daemon_address(daemon, "test");
    int silent = client_connect(address), check = alone ? -1 : client_connect(address);

    if (!alone)
        client_send(check, "PROXY UNKNOWN\r\n");
    WAIT_UNTIL(figure(daemon, "active") == (alone ? 1 : 2));
    daemon_expect_stop(daemon);
    client_expect_gone(silent);
    if (!alone)
        client_expect_end(check);
}

/* A header that has begun to come is waited for; what is in it is served. */
static void
a_drain_serves_whose_header_has_begun(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve("tcp", row->mixin, "good_command", TRUSTED);
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "PROXY TCP4 192.0.2.7 198");
    WAIT_UNTIL(figure(daemon, "bytes_in") == 0 && figure(daemon, "active") == 1);
    clock_pause(); /* so that the bytes are read before the drain, most often */
    daemon_signal(daemon, SIGTERM);
    (void)daemon_wait_log(daemon, "running requests may finish");
    client_send(client, ".51.100.1 51234 443\r\nclient\n");
    client_expect(client, "client 192.0.2.7:51234\n");
    client_close(client);
    daemon_expect_exit(daemon, 0);
}

static void
silent_connections_hold_up_nobody(struct daemon *daemon, int count)
{
    const char *address = daemon_address(daemon, "test");
    int *silent = keep(calloc((size_t)count, sizeof(int)));

    for (int i = 0; i < count; i++) {
        silent[i] = client_connect(address);
        if (i % 2 == 0)
            client_send_bytes(silent[i], LINE, (size_t)(i % 40));
    }
    for (int i = 0; i < 20; i++) {
        int client = client_connect(address);
        /* Each from elsewhere: the one before may still have its place, and few are left. */
        client_send(client, text_of("PROXY TCP4 192.0.2.%d 198.51.100.1 51234 443\r\nclient\n", i));
        client_expect(client, text_of("client 192.0.2.%d:51234\n", i));
        client_close(client);
    }
    for (int i = 0; i < count; i++)
        client_close(silent[i]);
    daemon_expect_stop(daemon);
}

static void
a_thousand_silent_coroutines_hold_up_nobody(void **state)
{
    struct rlimit limit;
    int count = 1000;

    (void)state;
    assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
    if (limit.rlim_cur < 2048) {
        print_message("skipped: a thousand connections need more descriptors than %lu\n",
                      (unsigned long)limit.rlim_cur);
        skip();
    }
    silent_connections_hold_up_nobody(
        daemon_serve("tcp", "coroutine", "good_command", "max_connections = 1100; " TRUSTED),
        count);
}

static void
silent_threads_hold_up_nobody(void **state)
{
    (void)state;
    silent_connections_hold_up_nobody(
        daemon_serve("tcp", "threading", "good_command", "max_connections = 100; " TRUSTED), 98);
}

RUN_TESTS(TEST_EACH_STREAM(the_handler_sees_the_announced_client),
          TEST_EACH_MIXIN(what_follows_the_header_is_the_handlers, "tcp"),
          TEST_EACH_MIXIN(the_longest_header_needs_no_larger_read_buffer, "tcp"),
          TEST_EACH_MIXIN(unix_clients_can_be_announced, "tcp"),
          TEST_CASE(unix_clients_can_be_announced, "unix", "coroutine"),
          TEST_EACH_MIXIN(allow_and_deny_judge_the_announced_client, "tcp"),
          TEST_EACH_MIXIN(a_health_check_is_no_client, "tcp"),
          TEST_CASE(a_health_check_is_no_client, "unix", "threading"),
          TEST_EACH_MIXIN(what_follows_local_is_served_as_the_peers, "tcp"),
          TEST_CASE(what_follows_local_is_served_as_the_peers, "unix", "forking"),
          TEST_EACH_MIXIN(who_sends_no_good_header_is_refused, "tcp"),
          TEST_CASE(who_sends_no_good_header_is_refused, "unix", "none"),
          TEST_EACH_MIXIN(who_is_not_trusted_is_not_asked, "tcp"),
          TEST_EACH_MIXIN(a_unix_balancer_is_trusted_by_its_user, "unix"),
          TEST_EACH_MIXIN(a_stop_waits_for_no_header, "tcp"),
          TEST_CASE(a_stop_waits_for_no_header, "unix", "coroutine"),
          TEST_EACH_MIXIN(a_drain_serves_whose_header_has_begun, "tcp"),
          TEST(a_thousand_silent_coroutines_hold_up_nobody), TEST(silent_threads_hold_up_nobody))
