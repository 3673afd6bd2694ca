/* SPDX-License-Identifier: MIT */
/*
 * http_fixture.h - a listener whose plugin is `http`, and the files that it serves
 */
#ifndef TESTS_INTEGRATION_HTTP_FIXTURE_H
#define TESTS_INTEGRATION_HTTP_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define DIGITS "0123456789"
#define BIG    300000 /* bytes of big.bin, no piece of which is like another */

/* Sun, 06 Nov 1994 08:49:37 GMT, when all files were changed */
#define CHANGED      784111777
#define CHANGED_TEXT "Sun, 06 Nov 1994 08:49:37 GMT"

static inline const char *
www(const char *name)
{
    return test_path(text_of("www%s%s", *name != '\0' ? "/" : "", name));
}

static inline void
make_old(const char *path)
{
    static const struct timeval times[2] = {{.tv_sec = CHANGED}, {.tv_sec = CHANGED}};

    assert_return_code(utimes(path, times), errno);
}

static inline void
put_bytes(const char *name, const void *bytes, size_t size)
{
    const char *path = www(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_return_code(fd, errno);
    assert_int_equal(write(fd, bytes, size), size);
    assert_return_code(close(fd), errno);
    make_old(path);
}

static inline void
put_file(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static inline void
put_folder(const char *name)
{
    assert_return_code(mkdir(www(name), 0755), errno);
}

static inline char
big_byte(size_t place)
{
    return (char)(place * 7 + place / 251);
}

static inline void
put_big(const char *name)
{
    char *bytes = keep(malloc(BIG));

    for (size_t i = 0; i < BIG; i++)
        bytes[i] = big_byte(i);
    put_bytes(name, bytes, BIG);
}

/* What each test of this plugin finds below its root, and beside it. */
static inline void
put_all(void)
{
    (void)test_file("secret.txt", "SECRET");
    put_folder("");
    put_folder("folder");
    put_folder("folder/deep er");
    put_folder("site");
    put_folder(".well-known");
    put_file("a.txt", DIGITS);
    put_file("empty.txt", "");
    put_file("page.html", "<p>");
    put_file("back\\slash", "backslash");
    put_file("a b&<c>\"'.txt", "odd");
    put_file("site/index.html", "index");
    put_file(".hidden", "SECRET");
    put_file(".well-known/acme", "acme");
    put_file(".well-known/.hidden", "SECRET");
    put_file("folder/file", "file");
    put_big("big.bin");
    assert_return_code(symlink("site/index.html", www("inside")), errno);
    assert_return_code(symlink("../secret.txt", www("outside")), errno);
    assert_return_code(symlink(test_path("secret.txt"), www("absolute")), errno);
    assert_return_code(symlink("..", www("folder/up")), errno);
    assert_return_code(symlink("../..", www("folder/out")), errno);
    assert_return_code(mkfifo(www("fifo"), 0666), errno);
}

/* The configuration of such a listener; the test's folder is its owner's alone. */
static inline const char *
http_listener(const struct server_case *server, const char *options, const char *more)
{
    return listener_text("test", server->scheme, server->mixin, "http",
                         text_of("%s options = { root = \"%s\"; %s };\n%s",
                                 getuid() == 0 ? "user = \"root\";" : "", www(""), options, more));
}

static inline struct daemon *
serve_files(const struct server_case *server, const char *options, const char *more)
{
    put_all();
    struct daemon *daemon =
        daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                     http_listener(server, options, more));

    (void)daemon_address(daemon, "test");
    return daemon;
}

/* A client that waits for answers of its own. */
static inline int
browser(struct daemon *daemon)
{
    return client_connect(daemon_address(daemon, "test"));
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: test\r\n\r\n"

/* What the server says to this, up to the end of the connection. */
static inline const char *
answer_to(struct daemon *daemon, const char *text)
{
    return client_ask(daemon_address(daemon, "test"), text);
}

/* The head of an answer, with its empty line. */
static inline const char *
receive_head(int client)
{
    const char *head = "", *line;

    do {
        line = client_receive_line(client);
        head = text_of("%s%s", head, line);
    } while (*line != '\0' && strcmp(line, "\r\n") != 0);
    return head;
}

static inline size_t
length_of(const char *head)
{
    const char *field = strstr(head, "\r\nContent-Length: ");

    return field != NULL ? strtoul(field + 18, NULL, 10) : 0;
}

/* The next answer on this connection: its head, and its body. */
static inline const char *
receive_answer(int client, const char **ret_body)
{
    const char *head = receive_head(client);
    size_t size = length_of(head);
    char *body = keep(calloc(1, size + 1));

    assert_int_equal(client_receive_bytes(client, body, size), size);
    *ret_body = body;
    return head;
}

static inline void
expect_status(const char *answer, int status)
{
    assert_starts(answer, text_of("HTTP/1.1 %d ", status));
}

#endif
