/* SPDX-License-Identifier: MIT */
/*
 * test_http.c - the plugin `http`: which request gets which answer
 */
#include "http_fixture.h"

struct row {
    const char *request;
    int status;
    const char *holds; /* the answer has it; or NULL */
    const char *body;  /* that it ends with, behind the empty line; or NULL */
};

#define WITH(target, fields) "GET " target " HTTP/1.1\r\nHost: test\r\n" fields "\r\n"
#define RAW(line)            line "\r\nHost: test\r\n\r\n"

static const struct row plain_rows[] = {
    {GET("/a.txt"), 200, "\r\nContent-Type: text/plain; charset=utf-8\r\n", DIGITS},
    {GET("/a.txt"), 200, "\r\nLast-Modified: " CHANGED_TEXT "\r\n", DIGITS},
    {GET("/a.txt"), 200, "\r\nX-Content-Type-Options: nosniff\r\n", DIGITS},
    {GET("/empty.txt"), 200, "\r\nContent-Length: 0\r\n", ""},
    {GET("/page.html?query"), 200, "\r\nContent-Type: text/html; charset=utf-8\r\n", "<p>"},
    {GET("/%61.t%78t"), 200, NULL, DIGITS},
    {GET("/a%20b&%3Cc%3E%22%27.txt"), 200, NULL, "odd"},
    {GET("//a.txt"), 200, NULL, DIGITS},
    {GET("/folder//file"), 200, "\r\nContent-Type: application/octet-stream\r\n", "file"},
    {GET("http://test/a.txt"), 200, NULL, DIGITS},
    {GET("HTTP://other:80/a.txt"), 200, NULL, DIGITS},
    {GET("/site/"), 200, "\r\nContent-Type: text/html; charset=utf-8\r\n", "index"},
    {GET("/inside"), 200, NULL, "index"},
    {GET("/folder/up/a.txt"), 200, NULL, DIGITS},
    {GET("/.well-known/acme"), 200, NULL, "acme"},
    {GET("/back%5cslash"), 200, NULL, "backslash"},
    {"\r\n" GET("/a.txt"), 200, NULL, DIGITS},
    {"GET /a.txt HTTP/1.0\r\n\r\n", 200, "\r\nConnection: close\r\n", DIGITS},
    {"GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "\r\nConnection: keep-alive\r\n",
     DIGITS},
    {"GET /a.txt HTTP/1.9\r\nHost: test\r\n\r\n", 200, NULL, DIGITS},
    {WITH("/a.txt", "Connection: close\r\n"), 200, "\r\nConnection: close\r\n", DIGITS},
    {WITH("/a.txt", "Connection: Upgrade\r\nUpgrade: websocket\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "X-Empty:\r\nX-Other: \t b \r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Content-Length: 3\r\n") "abc", 200, NULL, DIGITS},
    {WITH("/a.txt", "Content-Length: 3\r\nExpect: 100-continue\r\n"), 200,
     "\r\nConnection: close\r\n", DIGITS},
    {WITH("/a.txt", "Transfer-Encoding: chunked\r\n") "0\r\n\r\n", 200, "\r\nConnection: close\r\n",
     DIGITS},
    {GET("/site"), 301, "\r\nLocation: /site/\r\n", NULL},
    {GET("/site?a=b"), 301, "\r\nLocation: /site/?a=b\r\n", NULL},
    {GET("//site"), 301, "\r\nLocation: /site/\r\n", NULL},
    {GET("/folder/deep%20er"), 301, "\r\nLocation: /folder/deep%20er/\r\n", NULL},
    {GET("http://evil/site"), 301, "\r\nLocation: /site/\r\n", NULL},
    {GET("/folder/"), 403, NULL, "403 Forbidden\n"},
    {GET("/nowhere"), 404, NULL, "404 Not Found\n"},
    {GET("/a.txt/"), 404, NULL, NULL},
    {GET("/a.txt/b"), 404, NULL, NULL},
    {GET("/fifo"), 404, NULL, NULL},
    {RAW("POST /a.txt HTTP/1.1"), 405, "\r\nAllow: GET, HEAD\r\n", NULL},
    {RAW("OPTIONS * HTTP/1.1"), 405, "\r\nAllow: GET, HEAD\r\n", NULL},
    {RAW("DELETE /a.txt HTTP/1.1"), 405, NULL, NULL},
    {RAW("CONNECT test:443 HTTP/1.1"), 405, NULL, NULL},
    {RAW("TRACE /a.txt HTTP/1.1"), 405, NULL, NULL},
    {RAW("BREW /a.txt HTTP/1.1"), 501, NULL, NULL},
    {RAW("get /a.txt HTTP/1.1"), 501, NULL, NULL},
    {RAW("GET /a.txt HTTP/2.0"), 505, NULL, NULL},
    {RAW("GET /a.txt HTTP/0.9"), 505, NULL, NULL},
    {WITH("/a.txt", "Expect: a miracle\r\n"), 417, NULL, NULL},
};

/* Out of the root, and to what is hidden, there is no way. */
static const struct row outside_rows[] = {
    {GET("/../secret.txt"), 404, NULL, NULL},
    {GET("/folder/../../secret.txt"), 404, NULL, NULL},
    {GET("/folder/../a.txt"), 404, NULL, NULL},
    {GET("/%2e%2e/secret.txt"), 404, NULL, NULL},
    {GET("/%2E./secret.txt"), 404, NULL, NULL},
    {GET("/..%2fsecret.txt"), 404, NULL, NULL},
    {GET("/folder%2ffile"), 404, NULL, NULL},
    {GET("/%252e%252e/secret.txt"), 404, NULL, NULL},
    {GET("/..\\secret.txt"), 404, NULL, NULL},
    {GET("/..%5csecret.txt"), 404, NULL, NULL},
    {GET("/folder\\..\\..\\secret.txt"), 404, NULL, NULL},
    {GET("/%c0%ae%c0%ae/secret.txt"), 404, NULL, NULL},
    {GET("http://test/../secret.txt"), 404, NULL, NULL},
    {GET("http://../secret.txt"), 404, NULL, NULL},
    {GET("/./a.txt"), 404, NULL, NULL},
    {GET("/.hidden"), 404, NULL, NULL},
    {GET("/%2ehidden"), 404, NULL, NULL},
    {GET("/.well-known/.hidden"), 404, NULL, NULL},
    {GET("/site/.well-known"), 404, NULL, NULL},
    {GET("/outside"), 404, NULL, NULL},
    {GET("/absolute"), 404, NULL, NULL},
    {GET("/folder/out/secret.txt"), 404, NULL, NULL},
    {GET("/a%00.txt"), 400, NULL, NULL},
    {GET("/a%0d%0aX:y"), 400, NULL, NULL},
    {GET("/a%7f"), 400, NULL, NULL},
    {GET("/a%"), 400, NULL, NULL},
    {GET("/a%2"), 400, NULL, NULL},
    {GET("/a%zz"), 400, NULL, NULL},
    {GET("/a.txt#b"), 400, NULL, NULL},
    {GET("http:///a.txt"), 400, NULL, NULL},
    {GET("http://user@test/a.txt"), 400, NULL, NULL},
    {GET("ftp://test/a.txt"), 400, NULL, NULL},
    {GET("a.txt"), 400, NULL, NULL},
    {GET("*"), 400, NULL, NULL},
};

/* What two servers could read in two ways ends the connection: the second request is not heard. */
#define THEN GET("/a.txt")
static const struct row smuggling_rows[] = {
    {"GET /a.txt HTTP/1.1\r\n\r\n" THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Host: test\r\n") THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1\r\nHost: te st\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1\r\nHost: a/b\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1\r\nHost: a@b\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1\nHost: test\n\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1\r\nHost: test\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1\r\nHost: test\r\n\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1\r\nHost: test\rX: y\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1\r\nHost : test\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1\r\n Host: test\r\n\r\n" THEN, 400, NULL, NULL},
    {WITH("/a.txt", "X: y\r\n z\r\n") THEN, 400, NULL, NULL},
    {WITH("/a.txt", "X: y\r\n\tz\r\n") THEN, 400, NULL, NULL},
    {WITH("/a.txt", ": y\r\n") THEN, 400, NULL, NULL},
    {WITH("/a.txt", "X y\r\n") THEN, 400, NULL, NULL},
    {WITH("/a.txt", "X\x01: y\r\n") THEN, 400, NULL, NULL},
    {WITH("/a.txt", "X: y\x01\r\n") THEN, 400, NULL, NULL},
    {WITH("/a.txt", "X: y\x7f\r\n") THEN, 400, NULL, NULL},
    {"GET  /a.txt HTTP/1.1\r\nHost: test\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt  HTTP/1.1\r\nHost: test\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1 \r\nHost: test\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/1.1\t\r\nHost: test\r\n\r\n" THEN, 400, NULL, NULL},
    {" GET /a.txt HTTP/1.1\r\nHost: test\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET\t/a.txt\tHTTP/1.1\r\nHost: test\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a b HTTP/1.1\r\nHost: test\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /a.txt HTTP/11\r\nHost: test\r\n\r\n" THEN, 400, NULL, NULL},
    {"GET /\xc3\xa4 HTTP/1.1\r\nHost: test\r\n\r\n" THEN, 400, NULL, NULL},
    {"\r\n\r\n" THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") "abc" THEN, 400, NULL,
     NULL},
    {WITH("/a.txt", "Content-Length: 3\r\nContent-Length: 3\r\n") "abc" THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Content-Length: 3, 3\r\n") "abc" THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Content-Length: +3\r\n") "abc" THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Content-Length: -3\r\n") "abc" THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Content-Length: 0x3\r\n") "abc" THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Content-Length: 3 3\r\n") "abc" THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Content-Length:\r\n") THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Content-Length: 99999999999999999999999\r\n") THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Transfer-Encoding: xchunked\r\n") THEN, 501, NULL, NULL},
    {WITH("/a.txt", "Transfer-Encoding: chunked, identity\r\n") THEN, 501, NULL, NULL},
    {WITH("/a.txt", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") THEN, 400, NULL,
     NULL},
    {"GET /a.txt HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" THEN, 400, NULL, NULL},
    {WITH("/a.txt", "Transfer-Encoding: gzip, chunked\r\n") THEN, 501, NULL, NULL},
    {WITH("/a.txt", "Transfer-Encoding: chunked\r\n") "0\r\n\r\n" THEN, 200, NULL, DIGITS},
    {WITH("/a.txt", "Content-Length: 70000\r\n") THEN, 413, NULL, NULL},
    {RAW("BREW /a.txt HTTP/1.1") THEN, 501, NULL, NULL},
    {RAW("GET /a.txt HTTP/3.0") THEN, 505, NULL, NULL},
    {"HEAD /a.txt HTTP/1.1\r\n\r\n" THEN, 400, "\r\nContent-Length: 16\r\n", ""},
    {"HEAD /a.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 70000\r\n\r\n" THEN, 413, NULL, ""},
};

static void
expect_row(const struct row *row, const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");

    if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || atoi(answer + 9) != row->status)
        fail_msg("expected %d for:\n%s\nbut got:\n%s", row->status, row->request, answer);
    if (row->holds != NULL)
        assert_contains(answer, row->holds);
    assert_non_null(body);
    if (row->body != NULL)
        assert_string_equal(body + 4, row->body);
    assert_lacks(answer, "SECRET");
    assert_lacks(answer, "sockserverd");
    assert_lacks(answer, "\r\nServer:");
}

static void
expect_rows(struct daemon *daemon, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_row(&rows[i], answer_to(daemon, rows[i].request));
}

#define EXPECT_ROWS(daemon, rows) expect_rows(daemon, rows, sizeof(rows) / sizeof(rows[0]))

static void
each_request_has_its_answer(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");

    EXPECT_ROWS(daemon, plain_rows);
    daemon_expect_stop(daemon);
}

static void
nothing_outside_the_root_is_served(void **state)
{
    struct daemon *daemon = serve_files(*state, "listing = true;", "");

    EXPECT_ROWS(daemon, outside_rows);
    daemon_expect_stop(daemon);
}

static void
what_can_be_read_in_two_ways_ends_the_connection(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");

    for (size_t i = 0; i < sizeof(smuggling_rows) / sizeof(smuggling_rows[0]); i++) {
        const char *answer = answer_to(daemon, smuggling_rows[i].request);

        expect_row(&smuggling_rows[i], answer);
        assert_contains(answer, "\r\nConnection: close\r\n");
        if (strstr(answer + 1, "HTTP/1.1 ") != NULL)
            fail_msg("two answers to:\n%s\n:\n%s", smuggling_rows[i].request, answer);
    }
    (void)daemon_wait_log(daemon, ": ? ? 501, "); /* no method that nobody has sent */
    daemon_expect_stop(daemon);
}

/* NUL is no part of a C string. */
static void
a_nul_is_refused(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");
    static const char *const requests[] = {"GET /a.txt@ HTTP/1.1\r\nHost: test\r\n\r\n",
                                           "GET /a.txt HTTP/1.1\r\nHost: test@\r\n\r\n",
                                           "GET /a.txt HTTP/1.1@\r\nHost: test\r\n\r\n"};

    for (size_t i = 0; i < 3; i++) {
        int client = browser(daemon);
        size_t size = strlen(requests[i]);
        char *bytes = keep(strdup(requests[i]));

        *strchr(bytes, '@') = '\0';
        client_send_bytes(client, bytes, size);
        expect_status(client_receive_all(client), 400);
    }
    daemon_expect_stop(daemon);
}

/* ---- conditions and ranges ------------------------------------------------------------------- */

/* "@" stands for the file's tag. */
static const struct row state_rows[] = {
    {WITH("/a.txt", "If-None-Match: @\r\n"), 304, "\r\nETag: \"", ""},
    {WITH("/a.txt", "If-None-Match: \"x\", W/@\r\n"), 304, NULL, ""},
    {WITH("/a.txt", "If-None-Match: *\r\n"), 304, NULL, ""},
    {WITH("/a.txt", "If-None-Match: \"x\"\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "If-None-Match: x\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "If-None-Match: \"\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "If-Modified-Since: " CHANGED_TEXT "\r\n"), 304, NULL, ""},
    {WITH("/a.txt", "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n"), 304, NULL, ""},
    {WITH("/a.txt", "If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n"), 304, NULL, ""},
    {WITH("/a.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "If-Modified-Since: yesterday\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "If-None-Match: \"x\"\r\nIf-Modified-Since: " CHANGED_TEXT "\r\n"), 200, NULL,
     DIGITS},
    {WITH("/a.txt", "If-Match: @\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "If-Match: *\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "If-Match: \"x\"\r\n"), 412, NULL, NULL},
    {WITH("/a.txt", "If-Match: W/@\r\n"), 412, NULL, NULL},
    {WITH("/nowhere", "If-Match: *\r\n"), 404, NULL, NULL},
    {WITH("/a.txt", "If-Unmodified-Since: " CHANGED_TEXT "\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n"), 412, NULL, NULL},
    {WITH("/a.txt", "Range: bytes=0-0\r\n"), 206, "\r\nContent-Range: bytes 0-0/10\r\n", "0"},
    {WITH("/a.txt", "Range: bytes=2-4\r\n"), 206, "\r\nContent-Length: 3\r\n", "234"},
    {WITH("/a.txt", "Range: bytes=7-\r\n"), 206, "\r\nContent-Range: bytes 7-9/10\r\n", "789"},
    {WITH("/a.txt", "Range: bytes=7-99999999999999999999\r\n"), 206, NULL, "789"},
    {WITH("/a.txt", "Range: bytes=-3\r\n"), 206, "\r\nContent-Range: bytes 7-9/10\r\n", "789"},
    {WITH("/a.txt", "Range: bytes=-99\r\n"), 206, "\r\nContent-Range: bytes 0-9/10\r\n", DIGITS},
    {WITH("/a.txt", "Range: bytes=5-6,0-2\r\n"), 206, "\r\nContent-Range: bytes 0-6/10\r\n", NULL},
    {WITH("/a.txt", "Range: bytes=0-, 0-, 0-\r\n"), 206, "\r\nContent-Length: 10\r\n", DIGITS},
    {WITH("/a.txt", "Range: bytes=9-9,10-\r\n"), 206, "\r\nContent-Range: bytes 9-9/10\r\n", "9"},
    {WITH("/a.txt", "Range: bytes=10-\r\n"), 416, "\r\nContent-Range: bytes */10\r\n", NULL},
    {WITH("/a.txt", "Range: bytes=-0\r\n"), 416, NULL, NULL},
    {WITH("/a.txt", "Range: bytes=99999999999999999999-\r\n"), 416, NULL, NULL},
    {WITH("/empty.txt", "Range: bytes=0-\r\n"), 416, "\r\nContent-Range: bytes */0\r\n", NULL},
    {WITH("/empty.txt", "Range: bytes=-1\r\n"), 416, NULL, NULL},
    {WITH("/a.txt", "Range: bytes=4-2\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Range: bytes=-\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Range: bytes=\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Range: bytes=1-2,\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Range: bytes=1-2;3-4\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Range: bytes=--1\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Range: lines=1-2\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Range: bytes=0-0,2-2,4-4,6-6,8-8,0-0,2-2,4-4,6-6,8-8,0-0,2-2,4-4,6-6,8-8,0-0,"
                    "2-2\r\n"),
     200, NULL, DIGITS},
    {WITH("/a.txt", "Range: bytes=1-2\r\nRange: bytes=3-4\r\n"), 400, NULL, NULL},
    {WITH("/a.txt", "Range: bytes=2-4\r\nIf-Range: @\r\n"), 206, NULL, "234"},
    {WITH("/a.txt", "Range: bytes=2-4\r\nIf-Range: " CHANGED_TEXT "\r\n"), 206, NULL, "234"},
    {WITH("/a.txt", "Range: bytes=2-4\r\nIf-Range: \"x\"\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Range: bytes=2-4\r\nIf-Range: W/@\r\n"), 200, NULL, DIGITS},
    {WITH("/a.txt", "Range: bytes=2-4\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n"), 200, NULL,
     DIGITS},
    {WITH("/a.txt", "Range: bytes=2-4\r\nIf-None-Match: @\r\n"), 304, NULL, ""},
    {"HEAD /a.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=2-4\r\n\r\n", 200,
     "\r\nContent-Length: 10\r\n", ""},
};

/* The tag in an answer, with its quotation marks. */
static char *
tag_of(const char *answer)
{
    const char *tag = strstr(answer, "\r\nETag: ");

    assert_non_null(tag);
    char *copy = keep(strdup(tag + 8));
    *strchr(copy, '\r') = '\0';
    return copy;
}

static void
the_state_of_a_file_decides(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");
    const char *tag = tag_of(answer_to(daemon, GET("/a.txt")));

    for (size_t i = 0; i < sizeof(state_rows) / sizeof(state_rows[0]); i++) {
        struct row row = state_rows[i];
        const char *mark = strchr(row.request, '@');

        if (mark != NULL)
            row.request =
                text_of("%.*s%s%s", (int)(mark - row.request), row.request, tag, mark + 1);
        expect_row(&row, answer_to(daemon, row.request));
    }
    daemon_expect_stop(daemon);
}

static void
a_file_that_has_just_changed_has_a_weak_tag(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");

    assert_int_equal(truncate(www("a.txt"), 5), 0);
    const char *answer = answer_to(daemon, WITH("/a.txt", "Range: bytes=1-2\r\n"));
    expect_status(answer, 206);
    const char *tag = tag_of(answer);
    assert_starts(tag, "W/\"");
    expect_status(
        answer_to(daemon, text_of(WITH("/a.txt", "Range: bytes=1-2\r\nIf-Range: %s\r\n"), tag)),
        200);
    expect_status(answer_to(daemon, text_of(WITH("/a.txt", "If-None-Match: %s\r\n"), tag)), 304);
    daemon_expect_stop(daemon);
}

/* ---- compressed files ------------------------------------------------------------------------ */

#define ACCEPT(target, value) WITH(target, "Accept-Encoding: " value "\r\n")
#define GZIP                  "\r\nContent-Encoding: gzip\r\n"
#define ZIPPED                "ZIPPED BYTES"

/* "@" stands for the compressed file's tag, and "%" for that of the other one. */
static const struct row zipped_rows[] = {
    {ACCEPT("/z.txt", "gzip"), 200, GZIP, ZIPPED},
    {ACCEPT("/z.txt", "gzip"), 200, "\r\nContent-Type: text/plain; charset=utf-8\r\n", ZIPPED},
    {ACCEPT("/z.txt", "gzip"), 200, "\r\nVary: Accept-Encoding\r\n", ZIPPED},
    {ACCEPT("/z.txt", "gzip"), 200, "\r\nContent-Length: 12\r\n", ZIPPED},
    {ACCEPT("/z.txt", "deflate, GZip , br"), 200, GZIP, ZIPPED},
    {ACCEPT("/z.txt", "x-gzip"), 200, GZIP, ZIPPED},
    {ACCEPT("/z.txt", "br;q=1.0,\tgzip ; q=0.001"), 200, GZIP, ZIPPED},
    {ACCEPT("/z.txt", "gzip;Q=1.000, identity;q=0.999"), 200, GZIP, ZIPPED},
    {ACCEPT("/z.txt", "*"), 200, GZIP, ZIPPED},
    {ACCEPT("/z.txt", "br;q=0, *;q=0.1"), 200, GZIP, ZIPPED},
    {ACCEPT("/z.txt", "gzip, *;q=0"), 200, GZIP, ZIPPED},
    {ACCEPT("/zip/", "gzip"), 200, GZIP, "ZIPPED INDEX"},
    {"HEAD /z.txt HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n", 200, GZIP, ""},
    {ACCEPT("/z.txt", "gzip\r\nRange: bytes=7-8"), 206, GZIP, "BY"},
    {ACCEPT("/z.txt", "gzip\r\nRange: bytes=-5"), 206, "\r\nContent-Range: bytes 7-11/12\r\n",
     "BYTES"},
    {ACCEPT("/z.txt", "gzip\r\nRange: bytes=7-8\r\nIf-Range: @"), 206, GZIP, "BY"},
    {ACCEPT("/z.txt", "gzip\r\nRange: bytes=7-8\r\nIf-Range: %"), 200, GZIP, ZIPPED},
    {ACCEPT("/z.txt", "gzip\r\nIf-None-Match: %"), 200, GZIP, ZIPPED},
    {ACCEPT("/z.txt", "gzip\r\nIf-None-Match: @"), 304, "\r\nVary: Accept-Encoding\r\n", ""},
};

static const struct row unzipped_rows[] = {
    {GET("/z.txt"), 200, "\r\nVary: Accept-Encoding\r\n", DIGITS},
    {ACCEPT("/z.txt", "gzip;q=0"), 200, "\r\nVary: Accept-Encoding\r\n", DIGITS},
    {ACCEPT("/z.txt", "gzip;q=0.000, *"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", "*;q=0"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", ""), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", " , ,"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", "gzipped, gzi, zip, br, identity"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", "gzip;q=0.5, identity"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", "gzip;q=1.1"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", "gzip;q=0.1234"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", "gzip;level=1"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", "gzip;"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", "gzip\r\nAccept-Encoding: gzip"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", "identity\r\nIf-None-Match: @"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt", "gzip\r\nIf-Match: %"), 412, "\r\nVary: Accept-Encoding\r\n", NULL},
    {ACCEPT("/z.txt", "gzip\r\nRange: bytes=12-"), 416, "\r\nContent-Range: bytes */12\r\n", NULL},
    {ACCEPT("/zip/", "identity"), 200, NULL, "INDEX"},
    {ACCEPT("/zip", "gzip"), 301, NULL, NULL},
    {ACCEPT("/a.txt", "gzip"), 200, NULL, DIGITS},
    {ACCEPT("/z.txt.gz", "gzip"), 200, "\r\nContent-Type: application/gzip\r\n", ZIPPED},
    {ACCEPT("/empty.txt", "gzip"), 200, NULL, ""},    /* its .gz leads out of the root */
    {ACCEPT("/page.html", "gzip"), 200, NULL, "<p>"}, /* its .gz is a folder */
    {ACCEPT("/inside", "gzip"), 200, NULL, "index"},  /* its .gz is a FIFO */
    {ACCEPT("/only", "gzip"), 404, NULL, NULL},       /* there is nothing but its .gz */
};

static void
put_zipped(void)
{
    put_folder("zip");
    put_file("zip/index.html", "INDEX");
    put_file("zip/index.html.gz", "ZIPPED INDEX");
    put_file("z.txt", DIGITS);
    put_file("z.txt.gz", ZIPPED);
    put_file("only.gz", ZIPPED);
    put_folder("page.html.gz");
    assert_return_code(symlink("../secret.txt", www("empty.txt.gz")), errno);
    assert_return_code(mkfifo(www("inside.gz"), 0666), errno);
}

/* The request with the tags of both files. */
static const char *
fill_in(const char *request, const char *zipped, const char *plain)
{
    const char *mark = strpbrk(request, "@%");

    if (mark == NULL)
        return request;
    return text_of("%.*s%s%s", (int)(mark - request), request, *mark == '@' ? zipped : plain,
                   mark + 1);
}

/* Returns the answer, which is what the row expects. */
static const char *
ask_row(struct daemon *daemon, struct row row, const char *zipped, const char *plain)
{
    row.request = fill_in(row.request, zipped, plain);
    const char *answer = answer_to(daemon, row.request);
    expect_row(&row, answer);
    return answer;
}

static void
who_accepts_gzip_gets_the_compressed_file(void **state)
{
    struct daemon *daemon = serve_files(*state, "gzip_static = true;", "");

    put_zipped();
    const char *zipped = tag_of(answer_to(daemon, ACCEPT("/z.txt", "gzip")));
    const char *plain = tag_of(answer_to(daemon, GET("/z.txt")));
    assert_string_not_equal(zipped, plain);
    for (size_t i = 0; i < sizeof(zipped_rows) / sizeof(zipped_rows[0]); i++)
        (void)ask_row(daemon, zipped_rows[i], zipped, plain);
    for (size_t i = 0; i < sizeof(unzipped_rows) / sizeof(unzipped_rows[0]); i++)
        assert_lacks(ask_row(daemon, unzipped_rows[i], zipped, plain), "Content-Encoding");
    assert_lacks(answer_to(daemon, ACCEPT("/a.txt", "gzip")), "\r\nVary:");
    assert_lacks(answer_to(daemon, ACCEPT("/empty.txt", "gzip")), "\r\nVary:");
    daemon_expect_stop(daemon);
}

/* Each part says how its bytes are coded; the whole is not coded in any way. */
static void
parts_of_a_compressed_file_say_so(void **state)
{
    struct daemon *daemon = serve_files(*state, "gzip_static = true;", "");
    const char *body;

    put_file("big.bin.gz", "");
    assert_return_code(truncate(www("big.bin.gz"), 2000), errno);
    int client = browser(daemon);
    client_send(client, ACCEPT("/big.bin", "gzip\r\nRange: bytes=0-1,1000-1002"));
    const char *head = receive_answer(client, &body);
    expect_status(head, 206);
    assert_lacks(head, "Content-Encoding");
    assert_contains(body, GZIP "Content-Range: bytes 0-1/2000\r\n");
    daemon_expect_stop(daemon);
}

/* ---- large files and their parts ------------------------------------------------------------- */

static const char multipart[] = "--%s\r\nContent-Type: application/octet-stream\r\n"
                                "Content-Range: bytes 0-1/300000\r\n\r\n%.2s\r\n"
                                "--%s\r\nContent-Type: application/octet-stream\r\n"
                                "Content-Range: bytes 1000-1002/300000\r\n\r\n%.3s\r\n"
                                "--%s--\r\n";

static void
far_ranges_come_in_parts(void **state)
{
    struct daemon *daemon = serve_files(*state, "", "");
    int client = browser(daemon);
    const char *body;
    char bytes[5];

    for (size_t i = 0; i < 5; i++)
        bytes[i] = big_byte(i < 2 ? i : 998 + i);
    /* They are sent in their order in the file, whatever is asked for first. */
    client_send(client, WITH("/big.bin", "Range: bytes=1000-1002,0-1\r\n"));
    const char *head = receive_answer(client, &body);
    expect_status(head, 206);
    const char *type = strstr(head, "\r\nContent-Type: multipart/byteranges; boundary=");
    assert_non_null(type);
    char *boundary = keep(strdup(strchr(type, '=') + 1));
    *strchr(boundary, '\r') = '\0';
    char expected[1024];
    size_t size = (size_t)snprintf(expected, sizeof(expected), multipart, boundary, "ab", boundary,
                                   "cde", boundary);
    assert_int_equal(length_of(head), size);
    memcpy(strstr(expected, "\r\n\r\n") + 4, bytes, 2);
    memcpy((char *)memmem(expected, size, "1002/300000\r\n\r\n", 15) + 15, bytes + 2, 3);
    assert_memory_equal(body, expected, size);
    client_send(client, GET("/a.txt"));
    expect_status(receive_answer(client, &body), 200);
    daemon_expect_stop(daemon);
}

static void
a_large_file_comes_whole_and_in_any_part(void **state)
{
    static const size_t ranges[][2] = {
        {0, BIG - 1}, {1, 40000}, {5, 32772}, {5, 32773}, {16384, BIG - 1}};
    struct daemon *daemon = serve_files(*state, "", "");
    int client = browser(daemon);
    const char *body;

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        size_t first = ranges[i][0], size = ranges[i][1] - first + 1;

        client_send(client,
                    text_of(WITH("/big.bin", "Range: bytes=%zu-%zu\r\n"), first, ranges[i][1]));
        const char *head = receive_answer(client, &body);
        expect_status(head, 206);
        assert_int_equal(length_of(head), size);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(body[k], big_byte(first + k));
    }
    daemon_expect_stop(daemon);
}

/* The same head, and nothing behind it. */
static void
head_says_what_get_says(void **state)
{
    static const char *const targets[] = {"/a.txt",     "/big.bin", "/site",    "/site/",
                                          "/empty.txt", "/folder/", "/nowhere", "/a%00"};
    struct daemon *daemon = serve_files(*state, "listing = true;", "");

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        int client = browser(daemon);
        const char *body;

        client_send(client, text_of("GET %s HTTP/1.1\r\nHost: test\r\n\r\n", targets[i]));
        client_half_close(client);
        char *one = keep(strdup(receive_answer(client, &body)));
        client_expect_end(client);
        char *two = keep(strdup(
            answer_to(daemon, text_of("HEAD %s HTTP/1.1\r\nHost: test\r\n\r\n", targets[i]))));
        /* The second may have changed in between. */
        memcpy(strstr(one, "Date: "), strstr(two, "Date: "), 35);
        assert_string_equal(one, two);
    }
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(each_request_has_its_answer, "tcp"),
          TEST_CASE(each_request_has_its_answer, "unix", "coroutine"),
          TEST_CASE(nothing_outside_the_root_is_served, "tcp", "threading"),
          TEST_CASE(nothing_outside_the_root_is_served, "tcp", "coroutine"),
          TEST_CASE(what_can_be_read_in_two_ways_ends_the_connection, "tcp", "threading"),
          TEST_CASE(what_can_be_read_in_two_ways_ends_the_connection, "tcp", "coroutine"),
          TEST_CASE(a_nul_is_refused, "tcp", "coroutine"),
          TEST_CASE(the_state_of_a_file_decides, "tcp", "coroutine"),
          TEST_CASE(a_file_that_has_just_changed_has_a_weak_tag, "tcp", "coroutine"),
          TEST_CASE(who_accepts_gzip_gets_the_compressed_file, "tcp", "coroutine"),
          TEST_CASE(parts_of_a_compressed_file_say_so, "tcp", "coroutine"),
          TEST_EACH_MIXIN(far_ranges_come_in_parts, "tcp"),
          TEST_EACH_MIXIN(a_large_file_comes_whole_and_in_any_part, "tcp"),
          TEST_EACH_MIXIN(head_says_what_get_says, "tcp"))
