/* SPDX-License-Identifier: MIT */
/*
 * test_unix_path.c - the file a Unix listener lives at: recovered, kept, removed
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/test.h"

static const char *
address_of(const struct server_case *server)
{
    return address_for(server->scheme, "test");
}

static struct daemon *
start(const struct server_case *server, const char *more)
{
    return daemon_start("listeners = {\n%s};",
                        listener_text("test", server->scheme, "none", "upper", more));
}

/* Binds the address as somebody else's server would; the socket. */
static int
occupy(const struct server_case *server)
{
    struct sockaddr_storage place;
    socklen_t size = client_resolve(address_of(server), &place);
    bool stream = scheme_is_stream(server->scheme);
    int fd = socket(AF_UNIX, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);

    assert_return_code(fd, errno);
    assert_return_code(bind(fd, (struct sockaddr *)&place, size), errno);
    if (stream)
        assert_return_code(listen(fd, 5), errno);
    return fd;
}

static void
c52_a_stale_path_is_recovered(void **state)
{
    struct daemon *daemon;

    (void)close(occupy(*state)); /* the file stays */
    daemon = start(*state, "");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "mine\n"), "MINE\n");
    daemon_expect_stop(daemon);
    assert_int_equal(access(test_path("test.sock"), F_OK), -1);
}

static void
c52_a_path_left_by_a_killed_daemon_is_recovered(void **state)
{
    struct daemon *daemon = start(*state, "");

    (void)daemon_address(daemon, "test");
    daemon_signal(daemon, SIGKILL);
    daemon_expect_exit(daemon, -SIGKILL);
    assert_return_code(access(test_path("test.sock"), F_OK), errno);
    daemon = start(*state, "");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "again\n"), "AGAIN\n");
    daemon_expect_stop(daemon);
}

static void
c52_a_live_path_is_never_stolen(void **state)
{
    int theirs = occupy(*state);
    struct daemon *daemon = start(*state, "");
    int client;

    (void)daemon_wait_log(daemon, "cannot listen on");
    assert_contains(daemon_log(daemon), "Address already in use");
    client = client_connect(address_of(*state));
    client_send(client, "theirs\n");
    if (scheme_is_stream(((const struct server_case *)*state)->scheme))
        assert_true(client_readable(theirs, DEADLINE));
    else
        assert_string_equal(client_receive(theirs), "theirs\n");
    daemon_expect_stop(daemon);
    assert_return_code(access(test_path("test.sock"), F_OK), errno);
    (void)close(theirs);
}

static void
c52_a_live_path_of_another_daemon_is_never_stolen(void **state)
{
    struct daemon *first = start(*state, ""), *second;

    (void)daemon_address(first, "test");
    second = start(*state, "");
    (void)daemon_wait_log(second, "cannot listen on");
    daemon_expect_stop(second);
    assert_string_equal(client_ask(daemon_address(first, "test"), "mine\n"), "MINE\n");
    daemon_expect_stop(first);
}

static void
c52_a_file_that_is_no_socket_is_never_removed(void **state)
{
    struct daemon *daemon;

    (void)test_file("test.sock", "precious\n");
    daemon = start(*state, "");
    (void)daemon_wait_log(daemon, "cannot listen on");
    daemon_expect_stop(daemon);
    assert_string_equal(file_text(test_path("test.sock")), "precious\n");
}

static void
a_path_that_was_replaced_is_not_removed(void **state)
{
    struct daemon *daemon = start(*state, "");

    (void)daemon_address(daemon, "test");
    assert_int_equal(unlink(test_path("test.sock")), 0);
    (void)test_file("test.sock", "somebody else's\n");
    daemon_expect_stop(daemon);
    assert_string_equal(file_text(test_path("test.sock")), "somebody else's\n");
}

static void
the_path_has_the_mode_asked_for(void **state)
{
    struct stat status;
    struct daemon *daemon = start(*state, "socket_mode = \"0640\";");

    (void)daemon_address(daemon, "test");
    assert_return_code(stat(test_path("test.sock"), &status), errno);
    assert_int_equal(status.st_mode & 07777, 0640);
    daemon_expect_stop(daemon);
}

static void
the_path_is_private_by_default(void **state)
{
    struct stat status;
    struct daemon *daemon = start(*state, "");

    (void)daemon_address(daemon, "test");
    assert_return_code(stat(test_path("test.sock"), &status), errno);
    assert_int_equal(status.st_mode & 07777, 0600);
    daemon_expect_stop(daemon);
}

#define BOTH(function) TEST_CASE(function, "unix", "none"), TEST_CASE(function, "unixgram", "none")

RUN_TESTS(BOTH(c52_a_stale_path_is_recovered),
          BOTH(c52_a_path_left_by_a_killed_daemon_is_recovered),
          BOTH(c52_a_live_path_is_never_stolen),
          BOTH(c52_a_live_path_of_another_daemon_is_never_stolen),
          BOTH(c52_a_file_that_is_no_socket_is_never_removed),
          BOTH(a_path_that_was_replaced_is_not_removed), BOTH(the_path_has_the_mode_asked_for),
          BOTH(the_path_is_private_by_default))
