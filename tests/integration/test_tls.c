/* SPDX-License-Identifier: MIT */
/*
 * test_tls.c - what a TLS client and a listener agree on, with openssl s_client as the client
 */
#include "tls_fixture.h"

#include <signal.h>
#include <sys/stat.h>

static int
has_openssl(void)
{
    need_program(OPENSSL);
    return 0;
}

static void
a_handler_is_told_what_was_agreed_on(void **state)
{
    const struct server_case *server = *state;
    struct daemon *daemon = serve_tls(server->mixin, "alpn = [ \"one\", \"two\" ];", "");

    (void)has_openssl();
    const char *found = S_CLIENT(daemon, "tls\nquit\n", "-tls1_3", "-servername", "localhost",
                                 "-alpn", "three,two");
    assert_contains(found, "tls TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 server=localhost alpn=two "
                           "resumed=0 subject=none issuer=none fingerprint=none\n");
    found = S_CLIENT(daemon, "tls\nfd\nquit\n", "-tls1_2", "-noservername");
    assert_contains(found,
                    "tls TLSv1.2 cipher=ECDHE-ECDSA-AES256-GCM-SHA384 server=none alpn=none");
    assert_contains(found, "error -95\n");
    assert_contains(found, "Compression: NONE");
    daemon_expect_stop(daemon);
}

static void
a_connection_without_tls_says_so(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "threading", "good_command", "");

    (void)state;
    if (tests_over_tls())
        skip();
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "tls\n"), "tls none\n");
    daemon_expect_stop(daemon);
}

/* A client that is turned away: what the log says of it. */
static void
expect_refused(struct daemon *daemon, const char *client, const char *why)
{
    assert_lacks(client, "tls TLSv");
    (void)daemon_wait_log(daemon, text_of("refused: handshake: %s", why));
}

static void
what_is_too_old_or_unknown_is_refused(void **state)
{
    struct daemon *daemon =
        daemon_start("log = { target = \"stderr\"; access = true; }; listeners = {\n%s};",
                     listener_text("test", "tcp", "threading", "good_command",
                                   text_of("tls = { %s alpn = [ \"one\" ]; };", own_files())));

    (void)state;
    expect_refused(daemon, S_CLIENT(daemon, "tls\n", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
                   "the client's version of TLS is too old");
    expect_refused(daemon, S_CLIENT(daemon, "tls\n", "-tls1_2", "-fallback_scsv"),
                   "the client fell back to an older version of TLS");
    expect_refused(daemon, S_CLIENT(daemon, "tls\n", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"),
                   "no shared cipher");
    expect_refused(daemon, S_CLIENT(daemon, "tls\n", "-alpn", "two"), "no shared protocol (ALPN)");
    expect_refused(daemon, client_ask(daemon_address(daemon, "test"), "GET / HTTP/1.0\r\n\r\n"),
                   "not TLS, but an HTTP request");
    expect_refused(daemon, client_ask(daemon_address(daemon, "test"), "hello, world\n"), "not TLS");
    assert_int_equal(control_figure(daemon, "test", "handshakes_failed"), 6);
    assert_int_equal(control_figure(daemon, "test", "refused"), 6);
    /* The others are in the next warning, which comes ten seconds later. */
    assert_int_equal(daemon_count_log(daemon, "was turned away as the TLS handshake failed"), 1);
    daemon_expect_stop(daemon);
}

static void
minimum_leaves_out_tls_1_2(void **state)
{
    struct daemon *daemon = serve_tls("threading", "minimum = \"1.3\";", "");

    (void)state;
    assert_lacks(S_CLIENT(daemon, "tls\nquit\n", "-tls1_2"), "tls TLSv1.2");
    assert_contains(S_CLIENT(daemon, "tls\nquit\n", "-tls1_3"), "tls TLSv1.3");
    daemon_expect_stop(daemon);
}

static void
ciphers_and_groups_are_obeyed(void **state)
{
    struct daemon *daemon =
        serve_tls("threading",
                  "ciphers = \"ECDHE-ECDSA-CHACHA20-POLY1305\"; groups = \"P-384\"; "
                  "ciphersuites = \"TLS_AES_128_GCM_SHA256\";",
                  "");

    (void)state;
    assert_contains(S_CLIENT(daemon, "tls\nquit\n", "-tls1_2"),
                    "cipher=ECDHE-ECDSA-CHACHA20-POLY1305");
    const char *found = S_CLIENT(daemon, "tls\nquit\n", "-tls1_3");
    assert_contains(found, "cipher=TLS_AES_128_GCM_SHA256");
    assert_contains(found, "secp384r1");
    daemon_expect_stop(daemon);
}

static void
renegotiation_is_refused(void **state)
{
    struct daemon *daemon = serve_tls("threading", "", "");

    (void)state;
    const char *const arguments[] = {"s_client", "-connect", host_and_port(daemon), "-tls1_2",
                                     NULL};
    struct outcome outcome = command_run(OPENSSL, "R\n", arguments);
    assert_contains(text_of("%s%s", outcome.output, outcome.errors), "RENEGOTIATING");
    assert_contains(outcome.errors, "no renegotiation");
    daemon_expect_stop(daemon);
}

static void
reload(struct daemon *daemon)
{
    struct outcome outcome = CTL(daemon, "reload");

    if (outcome.status != 0)
        fail_msg("cannot reload: %s%s", outcome.output, outcome.errors);
}

/* ---- names ------------------------------------------------------------------------ */

static const char *
name_text(const char *name, const char *key, const char *alternative)
{
    const char *file = test_path(text_of("%s-%s", name[0] == '*' ? "wild" : name, key));

    TLS_MAKE(file, key, text_of("%s %s", name, key), "-1", "30", "-", alternative);
    return text_of("{ name = \"%s\"; certificate = \"%s.pem\"; key = \"%s.key\"; }", name, file,
                   file);
}

static void
the_name_decides_on_the_certificate(void **state)
{
    static const struct {
        const char *asked, *subject;
    } rows[] = {
        {"www.example.org", "CN = www.example.org ec"},
        {"WWW.Example.ORG", "CN = www.example.org ec"},
        {"a.example.org", "CN = *.example.org ec"},
        {"x.a.example.org", "CN = localhost"},
        {"example.org", "CN = localhost"},
        {"other.example", "CN = localhost"},
    };
    struct daemon *daemon = serve_tls(
        "threading",
        text_of("names = ( %s, %s, %s );", name_text("*.example.org", "ec", "DNS:*.example.org"),
                name_text("www.example.org", "ec", "DNS:www.example.org"),
                name_text("www.example.org", "rsa", "DNS:www.example.org")),
        "");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_contains(S_CLIENT(daemon, "quit\n", "-servername", rows[i].asked, "-tls1_2",
                                 "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"),
                        text_of("subject=%s\n", rows[i].subject));
    assert_contains(S_CLIENT(daemon, "quit\n", "-servername", "www.example.org", "-tls1_2",
                             "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"),
                    "subject=CN = www.example.org rsa\n");
    daemon_expect_stop(daemon);
}

/* ---- clients' certificates ---------------------------------------------------------- */

/* Files "ca", "alice", "mallory" (revoked), "stranger" (of another CA), and the list "revoked". */
static void
make_clients(void)
{
    const char *ca = test_path("ca"), *mallory = test_path("mallory");

    TLS_MAKE(ca, "ec", "Test CA", "-1", "30", "ca");
    TLS_MAKE(test_path("alice"), "ec", "alice", "-1", "30", ca, "DNS:alice.example",
             "email:alice@example.org", "IP:192.0.2.1");
    TLS_MAKE(mallory, "ec", "mallory", "-1", "30", ca);
    TLS_MAKE(test_path("stranger"), "ec", "stranger", "-1", "30", "-");
    TLS_MAKE("--revoke", test_path("revoked"), ca, "30", mallory);
}

static const char *
s_client_as(struct daemon *daemon, const char *who)
{
    return S_CLIENT(daemon, "tls\nquit\n", "-cert", text_of("%s.pem", test_path(who)), "-key",
                    text_of("%s.key", test_path(who)));
}

static struct daemon *
serve_clients(const char *client)
{
    make_clients();
    return daemon_start(
        "log = { target = \"stderr\"; access = true; }; listeners = {\n%s};",
        listener_text("test", "tcp", "coroutine", "good_command",
                      text_of("tls = { %s client = \"%s\"; client_ca = \"%s.pem\"; crl = "
                              "\"%s.crl\"; };",
                              own_files(), client, test_path("ca"), test_path("revoked"))));
}

static void
a_client_shows_its_certificate(void **state)
{
    struct daemon *daemon = serve_clients("required");
    const char *found = s_client_as(daemon, "alice");

    (void)state;
    assert_contains(found, "subject=CN=alice issuer=CN=Test CA fingerprint=");
    assert_contains(found, " DNS:alice.example email:alice@example.org IP Address:192.0.2.1\n");
    const char *print = strstr(found, "fingerprint=") + strlen("fingerprint=");
    assert_int_equal(strspn(print, "0123456789abcdef"), 64);
    expect_refused(daemon, s_client_as(daemon, "mallory"), "certificate revoked");
    expect_refused(daemon, s_client_as(daemon, "stranger"), "self-signed certificate");
    expect_refused(daemon, S_CLIENT(daemon, "tls\nquit\n", "-tls1_3"), "certificate required");
    expect_refused(daemon, S_CLIENT(daemon, "tls\nquit\n", "-tls1_2"), "certificate required");
    daemon_expect_stop(daemon);
}

static void
a_client_need_not_show_one_but_no_false_one(void **state)
{
    struct daemon *daemon = serve_clients("optional");

    (void)state;
    assert_contains(s_client_as(daemon, "alice"), "subject=CN=alice ");
    assert_contains(S_CLIENT(daemon, "tls\nquit\n", "-tls1_3"), "subject=none");
    expect_refused(daemon, s_client_as(daemon, "mallory"), "certificate revoked");
    daemon_expect_stop(daemon);
}

/* ---- sessions ---------------------------------------------------------------------- */

/* Whether a session that this client has just got can be resumed by the next. */
static bool
first_session(struct daemon *daemon, const char *version)
{
    const char *file = test_path("session");

    assert_contains(S_CLIENT(daemon, "tls\nquit\n", version, "-sess_out", file), "resumed=0");
    return access(file, F_OK) == 0;
}

static const char *
next_session(struct daemon *daemon, const char *version)
{
    return S_CLIENT(daemon, "tls\nquit\n", version, "-sess_in", test_path("session"));
}

static void
a_session_outlives_worker_and_reload(void **state)
{
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    const struct server_case *server = *state;
    struct daemon *daemon = serve_tls(server->mixin, "", "");

    for (int i = 0; i < 2; i++) {
        pid_t worker = daemon_worker(daemon);
        assert_true(first_session(daemon, versions[i]));
        assert_contains(next_session(daemon, versions[i]), "resumed=1");
        assert_return_code(kill(worker, SIGKILL), 0);
        (void)daemon_wait_log_times(daemon, "starting another", 1 + (size_t)i);
        WAIT_UNTIL(strcmp(control_state(daemon, "test"), "serving") == 0);
        assert_contains(next_session(daemon, versions[i]), "resumed=1");
    }
    (void)CTL(daemon, "restart", "test");
    assert_contains(next_session(daemon, "-tls1_3"), "resumed=1");
    daemon_expect_stop_after_fault(daemon);
}

static void
without_tickets_no_session_is_resumed(void **state)
{
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    struct daemon *daemon = serve_tls("threading", "tickets = false;", "");

    (void)state;
    for (int i = 0; i < 2; i++)
        if (first_session(daemon, versions[i]))
            assert_contains(next_session(daemon, versions[i]), "resumed=0");
    daemon_expect_stop(daemon);
}

/* A ticket was given to somebody who was verified by another list. */
/* A session that goes on is not verified anew, so its certificate's end must be looked at. */
static void
an_expired_client_does_not_resume(void **state)
{
    struct daemon *daemon = serve_clients("required");
    const char *file = text_of("%s.pem", test_path("brief"));
    const char *key = text_of("%s.key", test_path("brief"));
    const char *last = text_of("%ds", INSTRUMENTED ? 20 : 4);

    (void)state;
    TLS_MAKE(test_path("brief"), "ec", "brief", "-1", last, test_path("ca"));
    assert_contains(S_CLIENT(daemon, "tls\nquit\n", "-cert", file, "-key", key, "-sess_out",
                             test_path("session")),
                    "resumed=0");
    while (strstr(S_CLIENT(daemon, "tls\nquit\n", "-cert", file, "-key", key, "-sess_in",
                           test_path("session")),
                  "resumed=1 subject=CN=brief") != NULL)
        (void)usleep(100000);
    expect_refused(daemon,
                   S_CLIENT(daemon, "tls\nquit\n", "-cert", file, "-key", key, "-sess_in",
                            test_path("session")),
                   "certificate has expired");
    daemon_expect_stop(daemon);
}

static void
a_revoked_client_does_not_resume(void **state)
{
    struct daemon *daemon = serve_clients("required");
    const char *file = text_of("%s.pem", test_path("alice"));
    const char *key = text_of("%s.key", test_path("alice"));

    (void)state;
    assert_contains(S_CLIENT(daemon, "tls\nquit\n", "-cert", file, "-key", key, "-sess_out",
                             test_path("session")),
                    "resumed=0");
    assert_contains(S_CLIENT(daemon, "tls\nquit\n", "-cert", file, "-key", key, "-sess_in",
                             test_path("session")),
                    "resumed=1 subject=CN=alice");
    TLS_MAKE("--revoke", test_path("revoked"), test_path("ca"), "30", test_path("alice"));
    reload(daemon);
    expect_refused(daemon,
                   S_CLIENT(daemon, "tls\nquit\n", "-cert", file, "-key", key, "-sess_in",
                            test_path("session")),
                   "certificate revoked");
    daemon_expect_stop(daemon);
}

static void
an_ocsp_response_is_stapled_until_it_ends(void **state)
{
    const char *ca = test_path("ca"), *own = test_path("own"), *ocsp = test_path("own");

    (void)state;
    TLS_MAKE(ca, "ec", "Test CA", "-1", "30", "ca");
    TLS_MAKE(own, "ec", "localhost", "-1", "30", ca, "DNS:localhost");
    TLS_MAKE("--ocsp", ocsp, ca, own, "3");
    struct daemon *daemon = serve_tls("threading", text_of("ocsp = \"%s.ocsp\";", ocsp), "");
    assert_contains(S_CLIENT(daemon, "quit\n", "-status"), "OCSP Response Status: successful");
    TLS_MAKE("--ocsp", ocsp, ca, own, "-1");
    reload(daemon);
    assert_contains(S_CLIENT(daemon, "quit\n", "-status"), "OCSP response: no response sent");
    daemon_expect_stop(daemon);
}

/* A file of root's that nobody else can read serves a worker that is nobody. */
static void
a_key_of_root_serves_a_worker_of_nobody(void **state)
{
    struct daemon *daemon;
    struct stat status;

    (void)state;
    need_root("to change the user");
    (void)own_files();
    assert_return_code(chmod(text_of("%s.key", test_path("own")), 0600), 0);
    daemon = serve_tls("threading", "", "user = \"nobody\";");
    assert_contains(S_CLIENT(daemon, "tls\nidentity\nquit\n", "-tls1_3"), "identity 65534 65534");
    assert_contains(S_CLIENT(daemon, "fds\nquit\n", "-tls1_3"), "socket:");
    assert_lacks(S_CLIENT(daemon, "fds\nquit\n", "-tls1_3"), "memfd:tls");
    /* The kernel says by the owner of these files whether others of that user may trace it. */
    assert_return_code(stat(text_of("/proc/%d/environ", (int)daemon_worker(daemon)), &status), 0);
    assert_int_equal(status.st_uid, 0);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(a_handler_is_told_what_was_agreed_on, "tcp"),
          TEST(a_connection_without_tls_says_so), TEST(what_is_too_old_or_unknown_is_refused),
          TEST(minimum_leaves_out_tls_1_2), TEST(ciphers_and_groups_are_obeyed),
          TEST(renegotiation_is_refused), TEST(the_name_decides_on_the_certificate),
          TEST(a_client_shows_its_certificate), TEST(a_client_need_not_show_one_but_no_false_one),
          TEST_CASE(a_session_outlives_worker_and_reload, "tcp", "threading"),
          TEST_CASE(a_session_outlives_worker_and_reload, "tcp", "forking"),
          TEST(without_tickets_no_session_is_resumed), TEST(a_revoked_client_does_not_resume),
          TEST(an_expired_client_does_not_resume), TEST(an_ocsp_response_is_stapled_until_it_ends),
          TEST(a_key_of_root_serves_a_worker_of_nobody))
