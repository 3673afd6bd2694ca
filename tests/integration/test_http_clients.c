/* SPDX-License-Identifier: MIT */
/*
 * test_http_clients.c - the plugin `http` and real clients: curl, Python's http.client, wrk; its
 * example; nginx beside it
 *
 * A client that is not installed is skipped by its name.
 */
#include "http_fixture.h"

#include "support/peer.h"

#define CURL   "/usr/bin/curl"
#define PYTHON "/usr/bin/python3"
#define WRK    "/usr/bin/wrk"

static const char *
url(struct daemon *daemon, const char *path)
{
    return text_of("http://%s%s", strstr(daemon_address(daemon, "test"), "://") + 3, path);
}

/* What curl writes, and its exit status. */
#define RUN_CURL(...)                                                                              \
    command_run(CURL, "", (const char *const[]){"-sS", "--max-time", "60", __VA_ARGS__, NULL})

static void
curl_fetches_and_continues(void **state)
{
    need_program(CURL);
    struct daemon *daemon = serve_files(*state, "", "");
    const char *big = url(daemon, "/big.bin"), *to = test_path("got");

    assert_int_equal(RUN_CURL("-o", to, "-r", "0-99999", big).status, 0);
    assert_int_equal(RUN_CURL("-o", to, "-C", "-", big).status, 0);
    struct outcome same =
        command_run("/usr/bin/cmp", "", (const char *const[]){to, www("big.bin"), NULL});
    assert_int_equal(same.status, 0);
    assert_string_equal(RUN_CURL("-r", "2-4", url(daemon, "/a.txt")).output, "234");
    assert_string_equal(RUN_CURL("--compressed", url(daemon, "/a.txt")).output, DIGITS);
    assert_string_equal(
        RUN_CURL("-z", CHANGED_TEXT, "-w", "%{http_code}", url(daemon, "/a.txt")).output, "304");
    assert_string_equal(RUN_CURL("-L", url(daemon, "/site")).output, "index");
    assert_string_equal(RUN_CURL("-0", url(daemon, "/a.txt")).output, DIGITS);
    assert_string_equal(
        RUN_CURL("-w", "%{num_connects}", url(daemon, "/a.txt"), url(daemon, "/a.txt")).output,
        DIGITS "1" DIGITS "0");
    assert_string_equal(RUN_CURL("-T", www("a.txt"), "-o", "/dev/null", "-w", "%{http_code}",
                                 url(daemon, "/new.txt"))
                            .output,
                        "405");
    daemon_expect_stop(daemon);
}

/* ---- compressed files, beside nginx ---------------------------------------------------------- */

static void
put_zipped(void)
{
    put_file("z.txt", DIGITS);
    struct outcome zipped =
        command_run(need_program("gzip"), "", (const char *const[]){"-k", www("z.txt"), NULL});
    assert_int_equal(zipped.status, 0);
}

static void
curl_unpacks_what_it_gets(void **state)
{
    need_program(CURL);
    struct daemon *daemon = serve_files(*state, "gzip_static = true;", "");

    put_zipped();
    assert_string_equal(
        RUN_CURL("--compressed", "-w", " %header{content-encoding}", url(daemon, "/z.txt")).output,
        DIGITS " gzip");
    assert_string_equal(RUN_CURL("-w", " %header{content-encoding}", url(daemon, "/z.txt")).output,
                        DIGITS " ");
    daemon_expect_stop(daemon);
}

static unsigned
start_nginx(void)
{
    unsigned port = peer_free_port();
    const char *program = need_program("nginx");
    const char *file = test_file(
        "nginx.conf",
        text_of("daemon off; master_process off; pid %s; error_log stderr;%s\nevents { }\n"
                "http { access_log off; types { text/plain txt; application/gzip gz; }\n"
                "charset utf-8; gzip_static on; gzip_vary on; gzip_http_version 1.0;\n"
                "server { listen 127.0.0.1:%u; root %s; } }\n",
                test_path("nginx.pid"), getuid() == 0 ? " user root;" : "", port, www("")));

    (void)peer_start(program, (const char *const[]){program, "-p", test_folder(), "-c", file, NULL},
                     port);
    return port;
}

/* What a client is told there of the file. */
static const char *
fetch(const char *place, const char *method, const char *fields)
{
    static const char *const names[] = {"HTTP/1.1 ",      "Content-Encoding: ", "Vary: ",
                                        "Content-Type: ", "Content-Length: ",   "Content-Range: "};
    const char *answer = client_ask(
        text_of("tcp://%s", place),
        text_of("%s /z.txt HTTP/1.1\r\nHost: test\r\nConnection: close\r\n%s\r\n", method, fields));
    const char *told = "";

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *at = strstr(answer, names[i]);
        if (at != NULL)
            told = text_of("%s%.*s\n", told, (int)strcspn(at, "\r"), at);
    }
    return told;
}

/* But for "*", which nginx takes for no gzip, and for parts of the compressed file, which it does
 * not send. */
static void
a_compressed_file_is_answered_as_by_nginx(void **state)
{
    static const char *const fields[] = {
        "",
        "Accept-Encoding: gzip\r\n",
        "Accept-Encoding: gzip, deflate, br\r\n",
        "Accept-Encoding: deflate, br\r\n",
        "Accept-Encoding: gzip;q=0\r\n",
        "Accept-Encoding: gzip;q=0.5\r\n",
        "Accept-Encoding: identity\r\nRange: bytes=2-4\r\n",
        "Accept-Encoding: gzip\r\nIf-Modified-Since: " CHANGED_TEXT "\r\n",
    };
    need_program("nginx");
    struct daemon *daemon = serve_files(*state, "gzip_static = true;", "");
    const char *ours = url(daemon, "") + strlen("http://");

    put_zipped();
    const char *theirs = text_of("127.0.0.1:%u", start_nginx());
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        assert_string_equal(fetch(ours, "GET", fields[i]), fetch(theirs, "GET", fields[i]));
        if (strstr(fields[i], "Range") == NULL) /* we heed it for GET only, as RFC 9110 says */
            assert_string_equal(fetch(ours, "HEAD", fields[i]), fetch(theirs, "HEAD", fields[i]));
    }
    daemon_expect_stop(daemon);
}

/* ---- others ---------------------------------------------------------------------------------- */

static void
curl_comes_from_behind_a_balancer(void **state)
{
    need_program(CURL);
    struct daemon *daemon = serve_files(*state, "", "proxy = { trusted = \"local\"; };");

    assert_string_equal(RUN_CURL("--haproxy-protocol", url(daemon, "/a.txt")).output, DIGITS);
    int client = browser(daemon);
    client_send(client, "PROXY TCP4 192.0.2.7 198.51.100.1 4000 80\r\n" GET("/a.txt"));
    const char *body;
    expect_status(receive_answer(client, &body), 200);
    client_close(client);
    (void)daemon_wait_log(daemon, "192.0.2.7:4000: GET /a.txt 200, ");
    daemon_expect_stop(daemon);
}

static const char python_client[] =
    "import http.client, sys\n"
    "c = http.client.HTTPConnection(sys.argv[1], timeout=60)\n"
    "for i in range(20):\n"
    "    c.request('GET', '/a.txt'); r = c.getresponse()\n"
    "    assert (r.status, r.read()) == (200, b'0123456789'), r.status\n"
    "    c.request('HEAD', '/big.bin'); r = c.getresponse()\n"
    "    assert (r.status, r.getheader('Content-Length'), r.read()) == (200, '300000', b'')\n"
    "    c.request('POST', '/a.txt', b'x' * 1000); r = c.getresponse(); r.read()\n"
    "    assert r.status == 405\n"
    "    c.request('GET', '/big.bin'); r = c.getresponse()\n"
    "    assert len(r.read()) == 300000\n"
    "print('fine')\n";

static void
pythons_client_is_content(void **state)
{
    need_program(PYTHON);
    struct daemon *daemon = serve_files(*state, "", "");
    struct outcome outcome = command_run(
        PYTHON, "", (const char *const[]){"-c", python_client, url(daemon, "") + 7, NULL});

    assert_string_equal(outcome.errors, "");
    assert_string_equal(outcome.output, "fine\n");
    daemon_expect_stop(daemon);
}

static void
wrk_finds_no_error(void **state)
{
    need_program(WRK);
    struct daemon *daemon = serve_files(*state, "max_requests = 100;", "max_connections = 64;");
    struct outcome outcome = command_run(
        WRK, "", (const char *const[]){"-t1", "-c8", "-d1s", url(daemon, "/a.txt"), NULL});

    assert_int_equal(outcome.status, 0);
    assert_contains(outcome.output, "requests in");
    assert_lacks(outcome.output, "Non-2xx");
    assert_lacks(outcome.output, "timeout 1");
    daemon_expect_stop(daemon);
}

static void
the_example_is_a_good_file_and_serves(void **state)
{
    (void)state;
    const char *example = SOURCE_DIR "/conf/examples/http.conf";
    struct outcome check = COMMAND("", "--plugin-path", SHIPPED_PLUGINS, "--check", "-c", example);

    assert_string_equal(check.errors, "");
    assert_int_equal(check.status, 0);
    char *text = keep(strdup(strstr(file_text(example), "    documents = {")));
    memcpy(strstr(text, "8080"), "0000", 4);
    struct daemon *daemon = daemon_start("listeners = {\n%s", text);
    const char *answer = client_ask(daemon_address(daemon, "documents"), GET("/"));
    assert_starts(answer, "HTTP/1.1 200 OK\r\n");
    assert_contains(answer, "</html>");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(curl_fetches_and_continues, "tcp"),
          TEST_CASE(curl_unpacks_what_it_gets, "tcp", "coroutine"),
          TEST_CASE(a_compressed_file_is_answered_as_by_nginx, "tcp", "coroutine"),
          TEST_CASE(curl_comes_from_behind_a_balancer, "tcp", "threading"),
          TEST_CASE(curl_comes_from_behind_a_balancer, "tcp", "coroutine"),
          TEST_CASE(pythons_client_is_content, "tcp", "threading"),
          TEST_CASE(pythons_client_is_content, "tcp", "coroutine"),
          TEST_CASE(wrk_finds_no_error, "tcp", "coroutine"),
          TEST(the_example_is_a_good_file_and_serves))
