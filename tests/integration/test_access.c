/* SPDX-License-Identifier: MIT */
/*
 * test_access.c - who may come in: `allow` and `deny` of every server
 *
 * Each address of 127.0.0.0/8 is another client here. IPv6 clients of other
 * networks than ours need a network of this program's own, which only root can
 * make; so do other users.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access_fixture.h"
#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define STRANGER_UID 4242u
#define STRANGER_GID 4243u
#define OTHER_GID    4244u

/* ---- connections --------------------------------------------------------------------------- */

#define LISTS                                                                                      \
    "deny = [ \"127.0.0.0/29\", \"192.0.2.0/24\" ]; allow = [ \"127.0.0.0/8\", \"127.0.0.3\" ];"

static void
the_longest_prefix_decides_about_a_connection(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve("tcp", row->mixin, "good_command", LISTS);
    const char *address = daemon_address(daemon, "test");
    int denied = client_connect_from("127.0.0.2", address);

    client_expect_gone(denied);
    expect_served(client_connect_from("127.0.0.3", address));
    expect_served(client_connect_from("127.0.0.8", address));
    client_expect_gone(client_connect_from("127.0.0.7", address));
    WAIT_UNTIL(figure(daemon, "denied") == 2);
    assert_int_equal(figure(daemon, "refused"), 2);
    assert_int_equal(figure(daemon, "accepted"), 4);
    assert_int_equal(figure(daemon, "failed") + figure(daemon, "vanished"), 0);
    daemon_expect_stop(daemon);
}

static void
the_access_line_names_the_key(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_start("log = { access = true; };\nlisteners = {\n%s%s};",
                     listener_text("test", "tcp", row->mixin, "good_command",
                                   "deny = \"127.0.0.2\"; allow = \"127.0.0.0/29\";"),
                     listener_text("hooks", "tcp", row->mixin, "good_hooks",
                                   "deny = \"0.0.0.0/0\"; drain_timeout = \"1s\";"));
    const char *address = daemon_address(daemon, "test");

    client_expect_gone(client_connect_from("127.0.0.2", address));
    client_expect_gone(client_connect_from("127.0.0.9", address));
    client_expect_gone(client_connect(daemon_address(daemon, "hooks")));
    (void)daemon_wait_log(daemon, "refused: deny, 0 bytes in, 0 bytes out");
    (void)daemon_wait_log(daemon, "refused: allow, 0 bytes in, 0 bytes out");
    (void)daemon_wait_log_times(daemon, ": refused: deny, ", 2);
    assert_lacks(daemon_log(daemon), "verify_request"); /* good_hooks tells of each of its own */
    daemon_expect_stop(daemon);
}

/* A client of a socket for both families is an IPv4 client. */
static void
a_mapped_client_is_an_ipv4_client(void **state)
{
    struct daemon *daemon =
        daemon_start("listeners = { test = { address = \"tcp://*:0\"; plugin = \"good_command\"; "
                     "mixin = \"threading\"; deny = [ \"127.0.0.2\", \"::/0\" ]; }; };");
    const char *port = strrchr(daemon_address(daemon, "test"), ':');
    const char *address = text_of("tcp://127.0.0.1%s", port);
    int fd;

    (void)state;
    client_expect_gone(client_connect_from("127.0.0.2", address));
    expect_served(client_connect_from("127.0.0.3", address));
    if (client_try_connect(text_of("tcp://[::1]%s", port), true, &fd) == 0)
        client_expect_gone(fd);
    daemon_expect_stop(daemon);
}

/* Whoever is refused by the address alone costs no child, and no child its place. */
static void
a_refusal_costs_no_child(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve(row->scheme, row->mixin, "good_command", "deny = \"127.0.0.2\"; spare = 2;");
    bool stream = scheme_is_stream(row->scheme);
    const char *address = daemon_address(daemon, "test");
    pid_t worker = daemon_worker(daemon), before[PROC_CHILDREN], after[PROC_CHILDREN];

    WAIT_UNTIL(proc_children(worker, before) == 2 && figure(daemon, "idle") == 2);
    for (int i = 0; i < 100; i++) {
        int client = client_connect_from("127.0.0.2", address);
        if (stream)
            client_expect_gone(client);
        else
            client_send(client, "echo no\n");
        client_close(client);
    }
    WAIT_UNTIL(figure(daemon, "denied") == 100);
    (void)proc_children(worker, after);
    assert_int_equal(after[0], before[0]); /* the oldest two still wait */
    assert_int_equal(after[1], before[1]);
    expect_served(client_connect(address));
    daemon_expect_stop(daemon);
}

/* When no child may be forked any more, they wait with all others; afterwards none is served. */
static void
a_full_listener_refuses_later(void **state)
{
    struct daemon *daemon =
        daemon_serve("tcp", "forking", "good_command",
                     "deny = \"127.0.0.2\"; max_connections = 2; request_queue_size = 400;");
    const char *address = daemon_address(daemon, "test");
    int busy[2], denied[200];

    (void)state;
    for (int i = 0; i < 2; i++) {
        busy[i] = client_connect(address);
        client_send(busy[i], "echo here\n");
        client_expect(busy[i], "here\n");
    }
    for (int i = 0; i < 200; i++)
        denied[i] = client_connect_from("127.0.0.2", address);
    int waiting = client_connect(address);
    client_close(busy[0]);
    for (int i = 0; i < 200; i++)
        client_expect_gone(denied[i]);
    expect_served(waiting);
    client_close(busy[1]);
    daemon_expect_stop(daemon);
}

static void
one_warning_tells_of_many(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "forking", "good_command", "deny = \"127.0.0.2\";");
    const char *address = daemon_address(daemon, "test");

    (void)state;
    for (int i = 0; i < 30; i++)
        client_expect_gone(client_connect_from("127.0.0.2", address));
    WAIT_UNTIL(figure(daemon, "denied") == 30);
    assert_contains(daemon_wait_log(daemon, "turned away by deny"), "127.0.0.2:");
    assert_in_range(daemon_count_log(daemon, "turned away by deny"), 1, 3); /* in ten seconds */
    daemon_expect_stop(daemon);
}

/* ---- datagrams ----------------------------------------------------------------------------- */

static void
a_datagram_is_judged_by_its_source(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon =
        daemon_serve("udp", row->mixin, "good_command", "deny = \"127.0.0.2\";");
    const char *address = daemon_address(daemon, "test");
    int denied = client_connect_from("127.0.0.2", address),
        other = client_connect_from("127.0.0.3", address);

    client_send(denied, "echo no\n");
    client_send(other, "echo here\n");
    client_expect(other, "here\n");
    WAIT_UNTIL(figure(daemon, "denied") == 1);
    assert_false(client_readable(denied, 0.05));
    assert_int_equal(figure(daemon, "accepted"), 2);
    daemon_expect_stop(daemon);
}

/* ---- Unix sockets -------------------------------------------------------------------------- */

static const char *
me(void)
{
    return text_of("user:%u", (unsigned)geteuid());
}

static void
a_unix_peer_is_judged_by_its_user(void **state)
{
    const struct server_case *row = *state;
    bool stream = scheme_is_stream(row->scheme);
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s%s%s};",
        listener_text("test", row->scheme, row->mixin, "good_command",
                      text_of("deny = [ \"%s\" ]; allow = \"local\";", me())),
        listener_text("mine", row->scheme, row->mixin, "good_command",
                      text_of("allow = [ \"%s\" ]; deny = \"local\";", me())),
        listener_text("all", row->scheme, row->mixin, "good_command", "deny = \"0.0.0.0/0\";"));
    int denied = client_connect(daemon_address(daemon, "test"));

    if (!stream)
        client_send(denied, "echo no\n");
    assert_string_equal(client_ask(daemon_address(daemon, "mine"), "echo here\n"), "here\n");
    assert_string_equal(client_ask(daemon_address(daemon, "all"), "echo here\n"), "here\n");
    if (stream)
        client_expect_gone(denied);
    else
        assert_false(client_readable(denied, 0.05));
    WAIT_UNTIL(figure(daemon, "denied") == 1);
    daemon_expect_stop(daemon);
}

/* What a process that becomes the stranger gets from the socket: 's'erved, or 'r'efused. */
static char
ask_as_stranger(const char *address)
{
    gid_t groups[] = {OTHER_GID};
    struct sockaddr_storage to;
    socklen_t size = client_resolve(address, &to);
    pid_t child = fork();
    int status;

    if (child == 0) {
        char answer[8];
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool asked = setgroups(1, groups) == 0 && setgid(STRANGER_GID) == 0 &&
                     setuid(STRANGER_UID) == 0 && connect(fd, (struct sockaddr *)&to, size) == 0;
        if (!asked)
            _exit('?');
        (void)!send(fd, "echo here\n", 10, MSG_NOSIGNAL);
        _exit(recv(fd, answer, sizeof answer, 0) > 0 ? 's' : 'r');
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return (char)WEXITSTATUS(status);
}

static void
a_unix_peer_is_judged_by_all_its_groups(void **state)
{
    const struct server_case *row = *state;
    static const struct {
        const char *lists;
        char answer;
    } rows[] = {
        {"allow = \"group:4244\";", 's'},
        {"allow = \"group:4243\";", 's'},
        {"allow = \"user:4242\"; deny = \"group:4244\";", 's'},
        {"deny = \"group:4244\"; allow = \"group:4243\";", 'r'},
        {"deny = \"user:4242\"; allow = \"group:4244\";", 'r'},
        {"allow = [ \"user:4243\", \"group:4242\", \"group:0\" ];", 'r'},
        {"deny = \"group:4244\";", 'r'},
        {"allow = \"local\"; deny = \"group:4245\";", 's'},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    const char *listeners = "";

    need_root("to become another user");
    for (int i = 0; i < ROWS; i++)
        listeners = text_of("%sl%d = { address = \"unix:@sockserverd-test-%d-%d\"; plugin = "
                            "\"good_command\"; mixin = \"%s\"; %s };\n",
                            listeners, i, (int)getpid(), i, row->mixin, rows[i].lists);
    struct daemon *daemon = daemon_start("listeners = {\n%s};", listeners);
    for (int i = 0; i < ROWS; i++) {
        char answer = ask_as_stranger(daemon_address(daemon, text_of("l%d", i)));
        if (answer != rows[i].answer)
            fail_msg("%s: %c", rows[i].lists, answer);
    }
    daemon_expect_stop(daemon);
}

/* ---- other networks ------------------------------------------------------------------------ */

static void
give_address(const char *ipv6)
{
    struct {
        struct in6_addr address;
        uint32_t prefix;
        int interface;
    } request = {.prefix = 128, .interface = (int)if_nametoindex("lo")};
    struct sockaddr_storage address;
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)client_resolve(text_of("tcp://[%s]:1", ipv6), &address);
    request.address = ((struct sockaddr_in6 *)&address)->sin6_addr;
    assert_return_code(ioctl(fd, SIOCSIFADDR, &request), errno);
    (void)close(fd);
}

static void
enter_network(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK};
    int fd;

    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
        print_message("skipped: only root makes a network namespace\n");
        skip();
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_return_code(ioctl(fd, SIOCSIFFLAGS, &request), errno);
    (void)close(fd);
    give_address("2001:db8:1::1");
    give_address("2001:db8:2::1");
}

static void
an_ipv6_client_is_judged_by_its_network(void **state)
{
    enter_network();
    struct daemon *daemon = daemon_start(
        "listeners = { test = { address = \"tcp://[::]:0\"; plugin = \"good_command\"; mixin = "
        "\"threading\"; allow = \"2001:db8::/32\"; deny = \"2001:db8:2::/48\"; }; };");
    const char *port = strrchr(daemon_address(daemon, "test"), ':');
    const char *address = text_of("tcp://[2001:db8:1::1]%s", port);

    (void)state;
    expect_served(client_connect_from("[2001:db8:1::1]", address));
    client_expect_gone(client_connect_from("[2001:db8:2::1]", address));
    client_expect_gone(client_connect(text_of("tcp://127.0.0.1%s", port)));
    client_expect_gone(client_connect(text_of("tcp://[::1]%s", port)));
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_MIXIN(the_longest_prefix_decides_about_a_connection, "tcp"),
          TEST_EACH_MIXIN(the_access_line_names_the_key, "tcp"),
          TEST(a_mapped_client_is_an_ipv4_client),
          TEST_CASE(a_refusal_costs_no_child, "tcp", "forking"),
          TEST_CASE(a_refusal_costs_no_child, "udp", "forking"),
          TEST(a_full_listener_refuses_later), TEST(one_warning_tells_of_many),
          TEST_EACH_MIXIN(a_datagram_is_judged_by_its_source, "udp"),
          TEST_EACH_MIXIN(a_unix_peer_is_judged_by_its_user, "unix"),
          TEST_EACH_MIXIN(a_unix_peer_is_judged_by_its_user, "unixgram"),
          TEST_EACH_MIXIN(a_unix_peer_is_judged_by_all_its_groups, "unix"),
          TEST(an_ipv6_client_is_judged_by_its_network))
