/* SPDX-License-Identifier: MIT */
/*
 * test_forward_peers.c - the plugin `forward` between other people's programs
 *
 * HAProxy, nginx, openssl(1), curl and socat are on one side or the other, where they are
 * installed; else the test is skipped by name.
 */
#include "forward_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "support/command.h"
#include "support/peer.h"
#include "support/tls.h"

/* HOST:PORT where nobody listens at present; it is there when it can be connected to. */
static const char *
free_place(void)
{
    return nowhere("tcp", "") + strlen("tcp://");
}

static void
await_place(const char *place)
{
    int fd = -1;

    WAIT_UNTIL(client_try_connect(text_of("tcp://%s", place), true, &fd) == 0);
    client_close(fd);
}

static const struct server_case coroutine = {"tcp", "coroutine"};

static const char *
host_and_port(struct daemon *daemon)
{
    return daemon_address(daemon, "test") + strlen("tcp://");
}

/* ---- PROXY headers -------------------------------------------------------------------------- */

/* The client, this plugin, HAProxy, and a target that sees what HAProxy says of the client. */
static void
haproxy_believes_the_header(void **state)
{
    const char *program = need_program("haproxy"), *place = free_place();
    struct place target = open_place("tcp", "");
    const char *file =
        test_file("haproxy.cfg",
                  text_of("defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n"
                          " timeout server 20s\nlisten test\n bind %s accept-proxy\n server one %s "
                          "send-proxy\n",
                          place, target.address + strlen("tcp://")));

    (void)PEER_START(program, "-db", "-f", file);
    await_place(place);
    struct daemon *daemon = serve_forward(
        &coroutine, text_of("\"tcp://%s\"", place),
        text_of("proxy_protocol = \"%s\";", (const char *)*state),
        "proxy = { trusted = [ \"127.0.0.1\", \"local\" ]; }; drain_timeout = \"50ms\";");
    int client = connect_to(daemon);
    client_send(client, "PROXY TCP4 192.0.2.7 198.51.100.1 4000 7\r\none");
    for (;;) { /* what awaited HAProxy's port came before */
        int there = client_accept(target.fd);
        const char *line = client_receive_line(there);
        if (strncmp(line, "PROXY TCP4 192.0.2.7 127.0.0.1 4000 ", 36) == 0) {
            client_expect(there, "one");
            client_send(there, "two");
            break;
        }
        client_close(there);
    }
    client_expect(client, "two");
    (void)daemon_stop(daemon);
}

/* HAProxy, this plugin, nginx, and back. */
static void
a_page_of_nginx_comes_through(void **state)
{
    const char *haproxy = need_program("haproxy"), *nginx = need_program("nginx");
    const char *curl = need_program("curl"), *place = free_place(), *page = free_place();
    const char *file =
        test_file("nginx.conf",
                  text_of("daemon off; master_process off; pid %s; error_log stderr;\nevents { }\n"
                          "http { access_log off; server { listen %s proxy_protocol; location / { "
                          "return 200 \"$proxy_protocol_addr said hello\\n\"; } } }\n",
                          test_path("nginx.pid"), page));

    (void)state;
    (void)PEER_START(nginx, "-p", test_folder(), "-c", file);
    await_place(page);
    struct daemon *daemon =
        serve_forward(&coroutine, text_of("\"tcp://%s\"", page), "proxy_protocol = \"v2\";",
                      "proxy = { trusted = [ \"127.0.0.1\", \"local\" ]; };");
    file = test_file("haproxy.cfg",
                     text_of("defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n"
                             " timeout server 20s\nlisten test\n bind %s\n server one %s "
                             "send-proxy-v2\n",
                             place, host_and_port(daemon)));
    (void)PEER_START(haproxy, "-db", "-f", file);
    await_place(place);
    struct outcome outcome =
        command_run(curl, "", (const char *const[]){"-s", text_of("http://%s/", place), NULL});
    assert_string_equal(outcome.output, "127.0.0.1 said hello\n");
    (void)daemon_stop(daemon);
}

/* ---- TLS ------------------------------------------------------------------------------------ */

/* A certificate for localhost and its key: their path without ".pem" and ".key". */
static const char *
make_certificate(void)
{
    const char *name = test_path("own");

    if (access(CERTIFICATE_PROGRAM, X_OK) < 0) {
        print_message("skipped: this build has no TLS\n");
        skip();
    }
    TLS_MAKE(name, "ec", "localhost", "-1", "30", "-", "DNS:localhost");
    assert_return_code(chmod(test_folder(), 0755), errno);
    assert_return_code(chmod(text_of("%s.pem", name), 0644), errno);
    return name;
}

/* s_server answers each line backwards. */
static void
openssl_is_spoken_to(void **state)
{
    const char *program = need_program("openssl"), *place = free_place();
    const char *name = make_certificate();
    const char *version = *state;

    (void)PEER_START(program, "s_server", "-rev", version, "-accept", place, "-cert",
                     text_of("%s.pem", name), "-key", text_of("%s.key", name));
    await_place(place);
    struct daemon *daemon =
        serve_forward(&coroutine, text_of("\"tcp://%s\"", place),
                      text_of("tls = true; tls_name = \"localhost\"; tls_ca = \"%s.pem\";", name),
                      "drain_timeout = \"50ms\";");
    int client = connect_to(daemon);
    client_send(client, "stressed\n");
    client_expect(client, "desserts\n");
    client_send(client, "drawer\n");
    client_expect(client, "reward\n");
    client_half_close(client);
    client_expect_end(client);
    daemon_expect_stop(daemon);
}

/* What s_client says of a target that answers with this and ends, by a reset or well. */
static const char *
seen_by_a_client(struct daemon *daemon, struct place place, bool reset)
{
    const char *seen = test_path("seen");

    (void)unlink(seen);
    (void)PEER_START("/bin/sh", "-c",
                     text_of("openssl s_client -quiet -connect %s >%s.part 2>&1 </dev/null; "
                             "mv %s.part %s",
                             host_and_port(daemon), seen, seen, seen));
    int target = client_accept(place.fd);
    client_send(target, "half an answer");
    /* A reset that came before would look like a connection that could not be made. */
    WAIT_UNTIL(strstr(file_text(text_of("%s.part", seen)), "half an answer") != NULL);
    if (reset)
        client_reset(target);
    else
        client_close(target);
    WAIT_UNTIL(access(seen, F_OK) == 0);
    return file_text(seen);
}

/* An answer that was broken off does not look complete. */
static void
a_broken_answer_has_no_goodbye(void **state)
{
    (void)need_program("openssl");
    const char *name = make_certificate();
    struct place place = open_place("tcp", "");
    struct daemon *daemon = serve_forward(
        *state, quote(place.address), "",
        text_of("tls = { certificate = \"%s.pem\"; key = \"%s.key\"; };", name, name));

    const char *seen = seen_by_a_client(daemon, place, false);
    assert_contains(seen, "half an answer");
    assert_lacks(seen, "unexpected eof");
    seen = seen_by_a_client(daemon, place, true);
    assert_contains(seen, "unexpected eof");
    daemon_expect_stop(daemon);
}

/* ---- socat ---------------------------------------------------------------------------------- */

static void
socat_answers_datagrams(void **state)
{
    const char *program = need_program("socat"), *address = nowhere("udp", "");
    const struct server_case server = {"udp", "coroutine"};

    (void)state;
    (void)PEER_START(program,
                     text_of("UDP-RECVFROM:%s,bind=127.0.0.1,fork", strrchr(address, ':') + 1),
                     "EXEC:/bin/cat");
    struct daemon *daemon = serve_forward(&server, quote(address), "", "drain_timeout = \"50ms\";");
    int client = connect_to(daemon);
    double give_up = clock_now() + DEADLINE;
    do { /* until socat is there */
        assert_true(clock_now() < give_up);
        client_send(client, "hello");
    } while (!client_readable(client, 0.2));
    client_expect(client, "hello");
    (void)daemon_stop(daemon);
}

RUN_TESTS(TEST_ROW(haproxy_believes_the_header, "v1", "v1"),
          TEST_ROW(haproxy_believes_the_header, "v2", "v2"), TEST(a_page_of_nginx_comes_through),
          TEST_ROW(openssl_is_spoken_to, "-tls1_2", "1.2"),
          TEST_ROW(openssl_is_spoken_to, "-tls1_3", "1.3"),
          TEST_EACH_MIXIN(a_broken_answer_has_no_goodbye, "tcp"), TEST(socat_answers_datagrams))
