/* SPDX-License-Identifier: MIT */
/*
 * test_activation.c - sockets passed by a service manager, and left with it
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/manager.h"
#include "support/proc.h"
#include "support/test.h"

/* A socket as a socket unit would make it; *ret_address is how clients find it. */
static int
bind_for(const char *scheme, const char **ret_address)
{
    bool local = strncmp(scheme, "unix", 4) == 0;
    struct sockaddr_storage place;
    const char *address = address_for(scheme, "passed");
    socklen_t size = client_resolve(address, &place);
    int fd = socket(place.ss_family,
                    (scheme_is_stream(scheme) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);

    assert_return_code(fd, errno);
    assert_return_code(bind(fd, (struct sockaddr *)&place, size), errno);
    if (scheme_is_stream(scheme))
        assert_return_code(listen(fd, 64), errno);
    if (!local) {
        struct sockaddr_in real;
        size = sizeof(real);
        assert_return_code(getsockname(fd, (struct sockaddr *)&real, &size), errno);
        address = text_of("%s://127.0.0.1:%d", scheme, ntohs(real.sin_port));
    }
    *ret_address = address;
    return fd;
}

/*
 * An address for a daemon of ours alone. While a socket that does not listen
 * is bound to it, the kernel gives the port to nobody who wants just any.
 */
static const char *
reserve(const char *scheme)
{
    struct sockaddr_storage place;
    const char *any = address_for(scheme, "reserved");
    socklen_t size = client_resolve(any, &place);
    struct sockaddr_in real;
    int fd = client_socket(any), one = 1;

    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), errno);
    assert_return_code(bind(fd, (struct sockaddr *)&place, size), errno);
    size = sizeof(real);
    assert_return_code(getsockname(fd, (struct sockaddr *)&real, &size), errno);
    if (!scheme_is_stream(scheme))
        client_close(fd); /* it would take the daemon's datagrams */
    return text_of("%s://127.0.0.1:%d", scheme, ntohs(real.sin_port));
}

static const char *
listener_at(const char *name, const char *address, const char *more)
{
    return text_of("%s = { address = \"%s\"; plugin = \"upper\"; %s };\n", name, address, more);
}

static const char *
configuration(const char *listeners)
{
    return daemon_configuration("listeners = { %s };", listeners);
}

static void
expect_service(const char *address)
{
    assert_string_equal(client_ask(address, "hello\n"), "HELLO\n");
}

/* ---- socket units ----------------------------------------------------------------- */

static void
a_passed_socket_serves_and_stays(void **state)
{
    const char *scheme = ((const struct server_case *)*state)->scheme, *address;
    int fd = bind_for(scheme, &address), one = 1;
    struct manager *manager = manager_new();
    socklen_t size = sizeof(one);

    manager_pass(manager, "web", fd);
    struct daemon *daemon = manager_start(
        manager, configuration(listener_at(
                     "test", "systemd:web",
                     text_of("mixin = \"%s\";", ((const struct server_case *)*state)->mixin))));
    assert_string_equal(daemon_address(daemon, "test"), address);
    expect_service(address);
    assert_int_equal(manager_stored_count(manager), 0);
    daemon_expect_stop(daemon);
    if (scheme_is_stream(scheme)) {
        assert_return_code(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &one, &size), errno);
        assert_int_equal(one, 1);
        client_close(client_connect(address)); /* not refused: it waits in the queue */
    }
    if (strncmp(scheme, "unix", 4) == 0)
        assert_return_code(access(test_path("passed.sock"), F_OK), errno);
}

static void
sockets_of_all_kinds_come_together(void **state)
{
    static const char *const schemes[] = {"tcp", "udp", "unix", "unixgram", "tcp"};
    struct manager *manager = manager_new();
    const char *addresses[5], *listeners = "";

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        const char *name = text_of("s%zu", i);
        if (i == 3) /* the two Unix ones need a path each */
            assert_return_code(rename(test_path("passed.sock"), test_path("first.sock")), errno);
        manager_pass(manager, name, bind_for(schemes[i], &addresses[i]));
        listeners = text_of("%s%s", listeners, listener_at(name, text_of("systemd:%s", name), ""));
    }
    struct daemon *daemon = manager_start(manager, configuration(listeners));
    for (size_t i = 0; i < 5; i++) {
        const char *shown = daemon_address(daemon, text_of("s%zu", i));
        assert_string_equal(shown, addresses[i]);
        expect_service(i == 2 ? text_of("unix://%s", test_path("first.sock")) : shown);
    }
    daemon_expect_stop(daemon);
}

static void
a_listener_of_the_same_name_and_address_takes_the_socket(void **state)
{
    struct manager *manager = manager_new();
    const char *address;

    (void)state;
    manager_pass(manager, "web", bind_for("tcp", &address));
    struct daemon *daemon = manager_start(manager, configuration(listener_at("web", address, "")));
    assert_string_equal(daemon_address(daemon, "web"), address);
    expect_service(address);
    daemon_expect_stop(daemon);
}

static void
expect_refusal(struct daemon *daemon, const char *text)
{
    assert_int_equal(daemon_wait_exit(daemon), 78);
    assert_contains(daemon_log(daemon), text);
}

static void
an_unclaimed_socket_is_named_and_78(void **state)
{
    struct manager *manager = manager_new();
    const char *address;

    (void)state;
    manager_pass(manager, "stray", bind_for("tcp", &address));
    expect_refusal(
        manager_start(manager, configuration(listener_text("test", "tcp", "none", "upper", ""))),
        text_of("systemd passed the socket \"stray\" (%s), which no listener takes", address));
}

static void
the_name_with_another_address_is_78(void **state)
{
    struct manager *manager = manager_new();
    const char *address;

    (void)state;
    manager_pass(manager, "web", bind_for("tcp", &address));
    expect_refusal(
        manager_start(manager, configuration(listener_at("web", "tcp://127.0.0.1:1", ""))),
        text_of("listeners.web.address: systemd passed the socket \"web\" with the address %s, not "
                "tcp://127.0.0.1:1",
                address));
}

static void
what_is_no_listening_socket_is_78(void **state)
{
    int pair[2];
    struct manager *manager = manager_new();

    (void)state;
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
    manager_pass(manager, "web", pair[0]);
    manager_pass(manager, "null", open("/dev/null", O_RDWR | O_CLOEXEC));
    struct daemon *daemon =
        manager_start(manager, configuration(listener_at("web", "systemd:web", "")));
    expect_refusal(daemon, "what systemd passed as \"web\" is a connection and does not listen");
    assert_contains(daemon_log(daemon), "what systemd passed as \"null\" is no socket");
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void
a_missing_socket_fails_its_listener_alone(void **state)
{
    struct manager *manager = manager_new();
    const char *address;

    (void)state;
    manager_pass(manager, "here", bind_for("tcp", &address));
    struct daemon *daemon = manager_start(
        manager, configuration(text_of("%s%s", listener_at("good", "systemd:here", ""),
                                       listener_at("bad", "systemd:gone", ""))));
    (void)daemon_wait_log(daemon, "sockserverd[bad]: cannot listen on systemd:gone: systemd passed "
                                  "no socket of that name; it passed: here");
    assert_string_equal(daemon_address(daemon, "good"), address);
    expect_service(address);
    daemon_expect_stop(daemon);
}

static void
a_plugin_for_streams_refuses_a_passed_datagram_socket(void **state)
{
    struct manager *manager = manager_new();
    const char *address;

    (void)state;
    manager_pass(manager, "web", bind_for("udp", &address));
    struct daemon *daemon = manager_start(
        manager, daemon_configuration("listeners = { test = { address = \"systemd:web\"; plugin = "
                                      "\"bad_transport_stream\"; }; };"));
    assert_int_equal(daemon_wait_exit(daemon), 78);
}

/* Which kind it will be, no check can know: the next start decides. */
static void
a_check_accepts_a_plugin_for_streams_or_datagrams_alone(void **state)
{
    static const char *const plugins[] = {"bad_transport_stream", "bad_transport_datagram"};

    (void)state;
    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++) {
        const char *file = daemon_configuration(
            "listeners = { test = { address = \"systemd:web\"; plugin = \"%s\"; }; };", plugins[i]);
        struct outcome outcome = COMMAND("", "--check", "-c", file);

        assert_string_equal(outcome.errors, "");
        assert_int_equal(outcome.status, 0);
    }
}

static void
workers_inherit_no_more_of_it_than_the_socket(void **state)
{
    struct manager *manager = manager_new();
    const char *address;

    (void)state;
    manager_pass(manager, "web", bind_for("tcp", &address));
    manager_pass(manager, "other", bind_for("tcp", &address));
    struct daemon *daemon = manager_start(
        manager, configuration(text_of("%s%s", listener_at("a", "systemd:web", "enabled = false;"),
                                       listener_at("b", "systemd:other", ""))));
    (void)daemon_address(daemon, "b");
    const char *fds = proc_fd_list(daemon_worker(daemon));
    size_t sockets = 0;
    for (const char *place = fds; (place = strstr(place, "socket:")) != NULL; place++)
        sockets++;
    assert_int_equal(sockets, 3); /* the channel, the one of wishes, and its own */
    assert_null(strstr(proc_environment(daemon_worker(daemon)), "LISTEN_"));
    assert_null(strstr(proc_environment(daemon_worker(daemon)), "NOTIFY_SOCKET"));
    daemon_expect_stop(daemon);
}

#define ACTIVATOR "/usr/bin/systemd-socket-activate"

static void
become_activator(void *userdata)
{
    (void)execv(ACTIVATOR, userdata);
}

static void
systemds_own_activator_passes_two(void **state)
{
    const char *one = reserve("tcp"), *other = reserve("tcp");
    const char *file = configuration(text_of("%s%s", listener_at("a", "systemd:one", ""),
                                             listener_at("b", "systemd:other", "")));

    (void)state;
    if (access(ACTIVATOR, X_OK) < 0) {
        print_message("skipped: needs " ACTIVATOR "\n");
        skip();
    }
    const char **arguments = keep(calloc(10, sizeof(*arguments)));
    const char *const wanted[] = {ACTIVATOR,      "-l",      one + 6,
                                  "-l",           other + 6, "--fdname=one:other",
                                  DAEMON_PROGRAM, "-c",      file};
    memcpy(arguments, wanted, sizeof(wanted));
    struct daemon *daemon = daemon_run_prepared(arguments + 7, become_activator, arguments);
    (void)daemon_wait_log_times(daemon, "Listening on ", 2);
    expect_service(one); /* which starts it */
    expect_service(other);
    assert_string_equal(daemon_address(daemon, "a"), one);
    assert_string_equal(daemon_address(daemon, "b"), other);
    daemon_expect_stop(daemon);
}

/* ---- notifications -------------------------------------------------------------------- */

static void
the_manager_hears_of_start_and_stop(void **state)
{
    struct manager *manager = manager_new();

    (void)state;
    struct daemon *daemon = manager_start(
        manager,
        configuration(listener_text("test", "tcp", "none", "upper", "drain_timeout = \"7s\";")));
    manager_wait(manager, "READY=1\n");
    manager_wait(manager, "STATUS=1 serving\n");
    assert_contains(manager_heard(manager), "EXTEND_TIMEOUT_USEC=");
    assert_lacks(manager_heard(manager), "STOPPING");
    daemon_expect_stop(daemon);
    manager_wait(manager, "STOPPING=1\nEXTEND_TIMEOUT_USEC=17000000\n");
}

/* ---- the store -------------------------------------------------------------------------- */

static const char *
stable_configuration(const struct server_case *server, const char **ret_address)
{
    const char *address = strncmp(server->scheme, "unix", 4) == 0
                              ? address_for(server->scheme, "test")
                              : reserve(server->scheme);

    *ret_address = address;
    return configuration(listener_at("test", address, text_of("mixin = \"%s\";", server->mixin)));
}

static const char *
stored_name(const char *address)
{
    char *name = keep(strdup(address));

    *strchr(name, ':') = '-'; /* "tcp://127.0.0.1:1" -> "tcp-127.0.0.1-1" */
    memmove(strchr(name, '-') + 1, strchr(name, '-') + 3, strlen(strchr(name, '-') + 3) + 1);
    if (strchr(name, ':') != NULL)
        *strchr(name, ':') = '-';
    return name;
}

static void
a_restart_goes_on_with_the_stored_socket(void **state)
{
    const struct server_case *server = *state;
    bool local = strncmp(server->scheme, "unix", 4) == 0;
    struct manager *manager = manager_new();
    const char *address, *file = stable_configuration(server, &address);
    struct daemon *daemon = manager_start(manager, file);
    int waiting = -1;

    (void)daemon_address(daemon, "test");
    WAIT_UNTIL(manager_stored(manager, stored_name(address)) == 1);
    WAIT_UNTIL(manager_stored_count(manager) == (local ? 2 : 1));
    daemon_expect_stop(daemon);
    assert_int_equal(manager_stored_count(manager), local ? 2 : 1);
    if (scheme_is_stream(server->scheme)) {
        waiting = client_connect(address); /* nobody is there, but the queue is */
        client_send(waiting, "waited\n");
    }
    daemon = manager_start(manager, file);
    if (waiting >= 0)
        assert_string_equal(client_receive_line(waiting), "WAITED\n");
    expect_service(daemon_address(daemon, "test"));
    assert_lacks(daemon_log(daemon), "cannot listen");
    assert_int_equal(manager_stored_count(manager), local ? 2 : 1);
    if (waiting >= 0)
        client_close(waiting);
    daemon_expect_stop(daemon);
}

static void
a_killed_daemon_refuses_nobody(void **state)
{
    const struct server_case *server = *state;
    struct manager *manager = manager_new();
    const char *address, *file = stable_configuration(server, &address);
    struct daemon *daemon = manager_start(manager, file);

    manager_wait(manager, "READY=1");
    WAIT_UNTIL(manager_stored(manager, stored_name(address)) == 1);
    daemon_signal(daemon, SIGKILL);
    assert_int_equal(daemon_wait_exit(daemon), -SIGKILL);
    int waiting = client_connect(address);
    client_send(waiting, "waited\n");
    daemon = manager_start(manager, file);
    assert_string_equal(client_receive_line(waiting), "WAITED\n"); /* from either worker */
    client_close(waiting);
    expect_service(daemon_address(daemon, "test"));
    daemon_expect_stop(daemon);
}

static void
a_stored_path_that_was_replaced_is_bound_anew(void **state)
{
    struct manager *manager = manager_new();
    const char *address, *file = stable_configuration(*state, &address);
    struct daemon *daemon = manager_start(manager, file);

    (void)daemon_address(daemon, "test");
    WAIT_UNTIL(manager_stored_count(manager) == 2);
    daemon_expect_stop(daemon);
    assert_return_code(unlink(test_path("test.sock")), errno);
    daemon = manager_start(manager, file);
    expect_service(daemon_address(daemon, "test"));
    WAIT_UNTIL(manager_stored_count(manager) == 2);
    daemon_expect_stop(daemon);
}

static void
a_stored_socket_that_nobody_wants_is_closed(void **state)
{
    struct manager *manager = manager_new();
    const char *address, *file = stable_configuration(*state, &address);
    struct daemon *daemon = manager_start(manager, file);
    int fd;

    manager_wait(manager, "READY=1");
    WAIT_UNTIL(manager_stored(manager, stored_name(address)) == 1);
    daemon_expect_stop(daemon);
    daemon =
        manager_start(manager, configuration(listener_text("other", "tcp", "none", "upper", "")));
    manager_wait(manager, "READY=1");
    assert_contains(daemon_log(daemon),
                    text_of("closing %s: no listener has that address any more", address));
    WAIT_UNTIL(manager_stored_count(manager) == 1); /* the other's */
    assert_true(client_try_connect(address, true, &fd) < 0);
    if (strncmp(address, "unix", 4) == 0)
        assert_int_equal(access(test_path("test.sock"), F_OK), -1);
    daemon_expect_stop(daemon);
}

static void
the_stored_socket_serves_a_changed_address_text(void **state)
{
    struct manager *manager = manager_new();
    const char *address, *file = stable_configuration(*state, &address);
    struct daemon *daemon = manager_start(manager, file);

    manager_wait(manager, "READY=1");
    WAIT_UNTIL(manager_stored(manager, stored_name(address)) == 1);
    daemon_expect_stop(daemon);
    const char *port = strrchr(address, ':');
    daemon = manager_start(
        manager, configuration(listener_at("test", text_of("tcp://localhost%s", port), "")));
    expect_service(daemon_address(daemon, "test"));
    WAIT_UNTIL(manager_stored(manager, text_of("tcp-localhost-%s", port + 1)) == 1);
    assert_int_equal(manager_stored_count(manager), 1);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(a_passed_socket_serves_and_stays, "tcp", "threading"),
          TEST_CASE(a_passed_socket_serves_and_stays, "tcp", "forking"),
          TEST_CASE(a_passed_socket_serves_and_stays, "udp", "none"),
          TEST_CASE(a_passed_socket_serves_and_stays, "unix", "none"),
          TEST_CASE(a_passed_socket_serves_and_stays, "unixgram", "threading"),
          TEST(sockets_of_all_kinds_come_together),
          TEST(a_listener_of_the_same_name_and_address_takes_the_socket),
          TEST(an_unclaimed_socket_is_named_and_78), TEST(the_name_with_another_address_is_78),
          TEST(what_is_no_listening_socket_is_78), TEST(a_missing_socket_fails_its_listener_alone),
          TEST(a_plugin_for_streams_refuses_a_passed_datagram_socket),
          TEST(a_check_accepts_a_plugin_for_streams_or_datagrams_alone),
          TEST(workers_inherit_no_more_of_it_than_the_socket),
          TEST(systemds_own_activator_passes_two), TEST(the_manager_hears_of_start_and_stop),
          TEST_CASE(a_restart_goes_on_with_the_stored_socket, "tcp", "threading"),
          TEST_CASE(a_restart_goes_on_with_the_stored_socket, "udp", "none"),
          TEST_CASE(a_restart_goes_on_with_the_stored_socket, "unix", "forking"),
          TEST_CASE(a_restart_goes_on_with_the_stored_socket, "unixgram", "none"),
          TEST_CASE(a_killed_daemon_refuses_nobody, "tcp", "threading"),
          TEST_CASE(a_killed_daemon_refuses_nobody, "unix", "none"),
          TEST_CASE(a_stored_path_that_was_replaced_is_bound_anew, "unix", "none"),
          TEST_CASE(a_stored_socket_that_nobody_wants_is_closed, "tcp", "none"),
          TEST_CASE(a_stored_socket_that_nobody_wants_is_closed, "unix", "none"),
          TEST_CASE(the_stored_socket_serves_a_changed_address_text, "tcp", "none"))
