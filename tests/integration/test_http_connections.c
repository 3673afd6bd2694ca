/* SPDX-License-Identifier: MIT */
/*
 * test_http_connections.c - the plugin `http`: connections that are kept, slow, idle, drained or
 * cut, and files and folders that change meanwhile
 */
#include "http_fixture.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CLOSE_ME "GET /a.txt HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"

/* ---- one request after the other ------------------------------------------------------------- */

static void
expect_digits(int client)
{
    const char *body;

    expect_status(receive_answer(client, &body), 200);
    assert_string_equal(body, DIGITS);
}

static void
a_connection_is_kept(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");
    int client = browser(daemon);
    const char *body;

    for (int i = 0; i < 3; i++) {
        client_send(client, GET("/a.txt"));
        expect_digits(client);
        client_send(client, GET("/nowhere"));
        expect_status(receive_answer(client, &body), 404);
        client_send(client, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody");
        expect_status(receive_answer(client, &body), 405);
    }
    client_send(client, CLOSE_ME);
    assert_contains(client_receive_all(client), "\r\nConnection: close\r\n");
    (void)daemon_wait_log(daemon, ": GET /a.txt 200 (10 requests), ");
    daemon_expect_stop(daemon);
}

/* Three requests, one of them with a body, in every two pieces that they can be cut into. */
static void
requests_may_be_cut_anywhere(void **state)
{
    static const char requests[] = GET("/a.txt") "GET /site/ HTTP/1.1\r\nHost: test\r\n"
                                                 "Content-Length: 5\r\n\r\n12345" CLOSE_ME;
    struct daemon *daemon = serve_files(*state, "", "");
    const size_t size = sizeof(requests) - 1;

    for (size_t cut = 1; cut < size; cut++) {
        int client = browser(daemon);
        const char *body;

        client_send_bytes(client, requests, cut);
        if (cut > sizeof(GET("/a.txt")) - 1)
            expect_digits(client); /* what is whole is answered before the rest has come */
        client_send_bytes(client, requests + cut, size - cut);
        if (cut <= sizeof(GET("/a.txt")) - 1)
            expect_digits(client);
        expect_status(receive_answer(client, &body), 200);
        assert_string_equal(body, "index");
        expect_digits(client);
        client_expect_end(client);
        client_close(client);
    }
    daemon_expect_stop(daemon);
}

static void
many_requests_at_once_are_answered_in_order(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");
    int client = browser(daemon);
    char all[200 * sizeof(GET("/a.txt"))] = "";
    const char *body;

    for (int i = 0; i < 200; i++)
        (void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s",
                       i % 3 != 0 ? GET("/a.txt") : GET("/site/"));
    client_send(client, all);
    for (int i = 0; i < 200; i++) {
        expect_status(receive_answer(client, &body), 200);
        assert_string_equal(body, i % 3 != 0 ? DIGITS : "index");
    }
    daemon_expect_stop(daemon);
}

static void
a_connection_has_so_many_requests(void **state)
{
    struct daemon *daemon = serve_files(*state, "max_requests = 2; log_requests = true;", "");
    int client = browser(daemon);

    client_send(client, GET("/a.txt") GET("/a.txt") GET("/a.txt"));
    expect_digits(client);
    assert_contains(client_receive_all(client), "\r\nConnection: close\r\n");
    (void)daemon_wait_log_times(daemon, ": GET /a.txt 200\n", 2);
    (void)daemon_wait_log(daemon, ": GET /a.txt 200 (2 requests), ");
    daemon_expect_stop(daemon);
}

static void
nobody_forges_a_line_of_the_log(void **state)
{
    struct daemon *daemon = serve_files(*state, "log_requests = true;", "");

    expect_status(answer_to(daemon, GET("/a%0Asockserverd:%20forged")), 400);
    expect_status(answer_to(daemon, "GET /a\nforged HTTP/1.1\r\n\r\n"), 400);
    (void)daemon_wait_log_times(daemon, "bytes out", 2);
    assert_null(strstr(daemon_log(daemon), "\nforged"));
    assert_null(strstr(daemon_log(daemon), "\nsockserverd: forged"));
    daemon_expect_stop(daemon);
}

/* ---- too much, and too slow ------------------------------------------------------------------ */

static char *
filled(size_t size)
{
    char *text = keep(malloc(size + 1));

    memset(text, 'x', size);
    text[size] = '\0';
    return text;
}

static void
huge_heads_are_refused(void **state)
{
    struct daemon *daemon = serve_files(*state, "max_head = 1024;", "");
    const char *fields = "";

    for (int i = 0; i < 130; i++)
        fields = text_of("%sX:\r\n", fields);
    const struct {
        const char *request;
        int status;
    } rows[] = {
        {text_of("GET /%s HTTP/1.1\r\nHost: test\r\n\r\n", filled(2000)), 414},
        {text_of("GET /%s", filled(100000)), 414},
        {text_of("GET /%s HTTP/1.1\r\nHost: test\r\n\r\n", filled(300)), 404},
        {text_of("GET /a.txt HTTP/1.1\r\nHost: test\r\nX: %s\r\n\r\n", filled(1000)), 431},
        {text_of("GET /a.txt HTTP/1.1\r\nHost: test\r\nX: %s", filled(100000)), 431},
        {text_of("GET /a.txt HTTP/1.1\r\nHost: test\r\n%s\r\n", fields), 431},
        {"GET /a.txt HTTP/1.1\r\nHost: te", 400},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *answer = answer_to(daemon, rows[i].request);

        expect_status(answer, rows[i].status);
        if (rows[i].status != 404)
            assert_contains(answer, "\r\nConnection: close\r\n");
    }
    daemon_expect_stop(daemon);
}

static void
a_slow_head_is_ended(void **state)
{
    struct daemon *daemon = serve_files(*state, "head_timeout = \"300ms\";", "");
    int silent = browser(daemon);

    client_expect_end(silent);
    (void)daemon_wait_log(daemon, ": the handler's deadline is over, 0 bytes in");
    int slow = browser(daemon);
    double began = clock_now();
    client_send(slow, "GET /a.txt HTTP/1.1\r\n");
    while (!client_readable(slow, 0.05))
        (void)send(slow, "X: y\r\n", 6, MSG_NOSIGNAL);
    assert_true(clock_now() - began > 0.2);
    expect_status(client_receive_line(slow), 408);
    (void)daemon_wait_log_times(daemon, ": the handler's deadline is over, ", 2);
    assert_contains(CTL(daemon, "status", "test").output, "slow");
    daemon_expect_stop(daemon);
}

static void
an_idle_connection_is_ended(void **state)
{
    struct daemon *daemon = serve_files(*state, "idle_timeout = \"100ms\";", "");
    int client = browser(daemon);

    client_send(client, GET("/a.txt"));
    expect_digits(client);
    client_expect_end(client);
    (void)daemon_wait_log(daemon, ": GET /a.txt 200, ");
    daemon_expect_stop(daemon);
}

static void
a_client_that_says_nothing_and_goes_is_no_error(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");

    assert_string_equal(answer_to(daemon, ""), "");
    (void)daemon_wait_log(daemon, ": done, 0 bytes in");
    client_reset(browser(daemon));
    expect_status(answer_to(daemon, GET("/a.txt")), 200);
    daemon_expect_stop(daemon);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
a_drain_ends_idle_connections_at_once(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "drain_timeout = \"60s\";");
    int client = browser(daemon);

    client_send(client, GET("/a.txt"));
    expect_digits(client);
    daemon_signal(daemon, SIGTERM);
    client_expect_end(client);
    daemon_expect_exit(daemon, 0);
}

/* The file is larger than what the kernel holds for a client that does not read. */
#define ENDLESS (32l << 20)

static void
a_drain_waits_for_a_running_answer(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "drain_timeout = \"60s\";");

    put_file("endless.bin", "");
    assert_return_code(truncate(www("endless.bin"), ENDLESS), errno);
    int client = browser(daemon);
    const char *body;
    client_send(client, GET("/endless.bin") GET("/a.txt"));
    assert_int_equal(length_of(receive_head(client)), ENDLESS);
    daemon_signal(daemon, SIGTERM);
    WAIT_UNTIL(strcmp(control_state(daemon, "test"), "draining") == 0);
    char *bytes = keep(malloc(ENDLESS));
    assert_int_equal(client_receive_bytes(client, bytes, ENDLESS), ENDLESS);
    assert_contains(receive_answer(client, &body), "\r\nConnection: close\r\n");
    assert_string_equal(body, DIGITS);
    client_expect_end(client);
    daemon_expect_exit(daemon, 0);
}

static void
a_file_that_becomes_shorter_is_cut_off(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");

    put_file("endless.bin", "");
    assert_return_code(truncate(www("endless.bin"), ENDLESS), errno);
    int client = browser(daemon);
    client_send(client, GET("/endless.bin") GET("/a.txt"));
    assert_int_equal(length_of(receive_head(client)), ENDLESS);
    assert_return_code(truncate(www("endless.bin"), 100), errno);
    char *bytes = keep(malloc(ENDLESS));
    assert_true(client_receive_bytes(client, bytes, ENDLESS) < ENDLESS);
    (void)daemon_wait_log(daemon, "/endless.bin: the file cannot be read to the end");
    expect_status(answer_to(daemon, GET("/a.txt")), 200);
    daemon_expect_stop(daemon);
}

static void
a_file_may_be_larger_than_four_gigabytes(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");

    put_file("huge.bin", "");
    assert_return_code(truncate(www("huge.bin"), 5000000000), errno);
    int fd = open(www("huge.bin"), O_WRONLY);
    assert_int_equal(pwrite(fd, "end", 3, 4999999997), 3);
    assert_return_code(close(fd), errno);
    assert_contains(answer_to(daemon, "HEAD /huge.bin HTTP/1.1\r\nHost: test\r\n\r\n"),
                    "\r\nContent-Length: 5000000000\r\n");
    const char *answer =
        answer_to(daemon, "GET /huge.bin HTTP/1.1\r\nHost: test\r\nRange: bytes=-3\r\n\r\n");
    assert_contains(answer, "\r\nContent-Range: bytes 4999999997-4999999999/5000000000\r\n");
    assert_contains(answer, "\r\n\r\nend");
    daemon_expect_stop(daemon);
}

static void
who_takes_no_answer_is_ended(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "write_timeout = \"300ms\";");

    put_file("endless.bin", "");
    assert_return_code(truncate(www("endless.bin"), ENDLESS), errno);
    int client = browser(daemon);
    client_send(client, GET("/endless.bin"));
    (void)daemon_wait_log(daemon, ": idle for too long, ");
    daemon_expect_stop(daemon);
}

/* The connections use up the descriptors that the worker may have: none is left for a file. */
static void
too_few_descriptors_are_a_passing_trouble(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "limits = { nofile = 24; };");
    int clients[24];
    const char *body;

    for (int i = 0; i < 24; i++)
        clients[i] = browser(daemon);
    (void)daemon_wait_log(daemon, "cannot accept: Too many open files");
    client_send(clients[0], GET("/a.txt"));
    const char *head = receive_answer(clients[0], &body);
    expect_status(head, 503);
    assert_contains(head, "\r\nRetry-After: 1\r\n");
    (void)daemon_wait_log(daemon, "/a.txt: cannot open it: Too many open files");
    for (int i = 1; i < 24; i++)
        client_close(clients[i]);
    (void)daemon_wait_log(daemon, "accepting again");
    WAIT_UNTIL((client_send(clients[0], GET("/a.txt")),
                strncmp(receive_answer(clients[0], &body), "HTTP/1.1 200", 12) == 0));
    daemon_expect_stop(daemon);
}

/* Files of the kernel, the first of which refuses every read, and the second of which has fewer
 * bytes than it says. */
static void
a_file_that_cannot_be_read_is_named(void **state)
{
#define LOOPBACK "/sys/devices/virtual/net/lo"
    const struct server_case *server = *state;
    char byte;
    int fd = open(LOOPBACK "/speed", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, &byte, 1) >= 0) {
        print_message("skipped: " LOOPBACK "/speed is not there, or can be read\n");
        skip();
    }
    const char *why = strerror(errno);
    (void)close(fd);
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s};", listener_text("test", server->scheme, server->mixin, "http",
                                             "options = { root = \"" LOOPBACK "\"; };"));
    expect_status(answer_to(daemon, GET("/speed")), 500);
    (void)daemon_wait_log(daemon, text_of("/speed: cannot read the file: %s", why));
    const char *answer = answer_to(daemon, GET("/mtu"));
    expect_status(answer, 503);
    assert_contains(answer, "\r\nRetry-After: 1\r\n");
    (void)daemon_wait_log(daemon, "/mtu: cannot read the file: it has fewer bytes than its size");
    assert_int_equal(daemon_count_log(daemon, "/speed: "), 1);
    daemon_expect_stop(daemon);
}

/* ---- folders and links ----------------------------------------------------------------------- */

static void
a_listing_shows_what_can_be_fetched(void **state)
{
    struct daemon *daemon = serve_files(*state, "listing = true;", "");
    const char *answer = answer_to(daemon, GET("/"));

    expect_status(answer, 200);
    assert_contains(answer, "\r\nContent-Type: text/html; charset=utf-8\r\n");
    assert_contains(answer, "<a href=\"./folder/\">folder/</a>");
    assert_contains(answer, "<a href=\"./a%20b%26%3Cc%3E%22%27.txt\">"
                            "a b&amp;&lt;c&gt;&quot;&#39;.txt</a>");
    assert_contains(answer, "<a href=\"./inside\">");
    assert_true(strstr(answer, "./a.txt") < strstr(answer, "./page.html"));
    static const char *const hidden[] = {"hidden", "well-known", "outside", "absolute", "fifo"};
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        assert_lacks(answer, hidden[i]);
    assert_contains(answer_to(daemon, GET("/folder/deep%20er/")), "<a href=\"../\">");
    daemon_expect_stop(daemon);
}

static void
the_first_index_that_is_there_counts(void **state)
{
    struct daemon *daemon =
        serve_files(*state, "index = [ \"main.html\", \"index.html\" ]; charset = \"\";", "");

    assert_contains(answer_to(daemon, GET("/site/")), "\r\n\r\nindex");
    put_file("site/main.html", "main");
    const char *answer = answer_to(daemon, GET("/site/"));
    assert_contains(answer, "\r\n\r\nmain");
    assert_contains(answer, "\r\nContent-Type: text/html\r\n");
    daemon_expect_stop(daemon);
}

/* Somebody who may write below the root changes a file into a link out of it, again and again. */
static void
change_for_ever(void)
{
    const char *good = www("good"), *bad = www("bad"), *race = www("race"), *file = www("a.txt");

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        if (link(file, good) == 0)
            (void)rename(good, race);
        if (symlink("../secret.txt", bad) == 0)
            (void)rename(bad, race);
    }
}

static void
no_race_leads_out_of_the_root(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");
    pid_t child = fork();

    if (child == 0)
        change_for_ever();
    for (int i = 0; i < 200; i++)
        assert_lacks(answer_to(daemon, GET("/race")), "SECRET");
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    daemon_expect_stop(daemon);
}

/* ---- where openat2(2) is forbidden ----------------------------------------------------------- */

static void
forbid_openat2(void *userdata)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

    (void)userdata;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(99);
}

static void
without_openat2_no_link_is_followed(void **state)
{
    put_all();
    const char *file =
        daemon_configuration("listeners = {\n%s};", http_listener(*state, "listing = true;", ""));
    const char *const arguments[] = {"-c", file, NULL};
    struct daemon *daemon = daemon_run_prepared(arguments, forbid_openat2, NULL);

    (void)daemon_wait_log(daemon, "openat2(2) cannot be used here");
    expect_status(answer_to(daemon, GET("/a.txt")), 200);
    expect_status(answer_to(daemon, GET("/site/")), 200);
    expect_status(answer_to(daemon, GET("/site")), 301);
    expect_status(answer_to(daemon, GET("/folder/deep%20er/")), 200);
    static const char *const targets[] = {
        "/inside", "/outside", "/folder/up/a.txt", "/folder/out/secret.txt", "/fifo", "/nowhere"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        const char *answer =
            answer_to(daemon, text_of("GET %s HTTP/1.1\r\nHost: test\r\n\r\n", targets[i]));
        expect_status(answer, 404);
        assert_lacks(answer, "SECRET");
    }
    daemon_expect_stop(daemon);
}

/* ---- options --------------------------------------------------------------------------------- */

static void
bad_options_say_what_is_wrong(void **state)
{
    (void)state;
    put_all();
    const struct {
        const char *options, *message;
    } rows[] = {
        {"root = \"www\";", "options.root: found \"www\"; expected an absolute path"},
        {"root = \"/nowhere\";", "options.root: /nowhere: No such file or directory; it must be"},
        {text_of("root = \"%s\";", www("a.txt")), "a.txt: Not a directory; it must be a folder"},
        {text_of("root = \"%s\"; index = \"../x\";", www("")),
         "options.index: \"../x\" is no file's name"},
        {text_of("root = \"%s\"; types = \"/dev/zero\";", www("")),
         "options.types: /dev/zero: Invalid argument; it must be"},
        {text_of("root = \"%s\"; types = \"/nowhere\";", www("")),
         "options.types: /nowhere: No such file or directory; it must be"},
        {text_of("root = \"%s\"; charset = \"a b\";", www("")),
         "options.charset: \"a b\" is no name of a character set"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *file = daemon_configuration(
            "listeners = {\n%s};",
            listener_text("test", "tcp", "threading", "http",
                          text_of("%s options = { %s };", getuid() == 0 ? "user = \"root\";" : "",
                                  rows[i].options)));

        assert_contains(COMMAND("", "--check", "-c", file).errors, rows[i].message);
    }
}

RUN_TESTS(TEST_EACH_MIXIN(a_connection_is_kept, "tcp"),
          TEST_CASE(requests_may_be_cut_anywhere, "tcp", "threading"),
          TEST_CASE(requests_may_be_cut_anywhere, "tcp", "coroutine"),
          TEST_EACH_MIXIN(many_requests_at_once_are_answered_in_order, "tcp"),
          TEST_CASE(a_connection_has_so_many_requests, "tcp", "threading"),
          TEST_CASE(nobody_forges_a_line_of_the_log, "tcp", "threading"),
          TEST_CASE(huge_heads_are_refused, "tcp", "threading"),
          TEST_CASE(huge_heads_are_refused, "unix", "coroutine"),
          TEST_CASE(a_slow_head_is_ended, "tcp", "threading"),
          TEST_CASE(a_slow_head_is_ended, "tcp", "coroutine"),
          TEST_EACH_MIXIN(an_idle_connection_is_ended, "tcp"),
          TEST_EACH_MIXIN(a_client_that_says_nothing_and_goes_is_no_error, "tcp"),
          TEST_EACH_MIXIN(a_drain_ends_idle_connections_at_once, "tcp"),
          TEST_CASE(a_drain_waits_for_a_running_answer, "tcp", "threading"),
          TEST_CASE(a_drain_waits_for_a_running_answer, "tcp", "coroutine"),
          TEST_CASE(a_file_that_becomes_shorter_is_cut_off, "tcp", "threading"),
          TEST_CASE(a_file_that_becomes_shorter_is_cut_off, "tcp", "coroutine"),
          TEST_CASE(a_file_may_be_larger_than_four_gigabytes, "tcp", "coroutine"),
          TEST_CASE(who_takes_no_answer_is_ended, "tcp", "threading"),
          TEST_CASE(who_takes_no_answer_is_ended, "tcp", "coroutine"),
          TEST_CASE(too_few_descriptors_are_a_passing_trouble, "tcp", "coroutine"),
          TEST_CASE(a_file_that_cannot_be_read_is_named, "tcp", "coroutine"),
          TEST_CASE(a_listing_shows_what_can_be_fetched, "tcp", "coroutine"),
          TEST_CASE(the_first_index_that_is_there_counts, "tcp", "threading"),
          TEST_CASE(no_race_leads_out_of_the_root, "tcp", "threading"),
          TEST_CASE(without_openat2_no_link_is_followed, "tcp", "threading"),
          TEST(bad_options_say_what_is_wrong))
