/* SPDX-License-Identifier: MIT */
/*
 * test_access.c - who may come in: `allow` and `deny` of every server, and `explain`
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

#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"
#include "upgrade_fixture.h"

#define STRANGER_UID 4242u
#define STRANGER_GID 4243u
#define OTHER_GID    4244u

/* ---- clients ------------------------------------------------------------------------------- */

/* A client of the daemon that has this address of ours. */
static int
connect_from(const char *source, const char *address)
{
    int fd = client_socket(address);
    struct sockaddr_storage from, to;
    socklen_t size = client_resolve(text_of("tcp://%s:0", source), &from);
    socklen_t to_size = client_resolve(address, &to);

    assert_return_code(bind(fd, (struct sockaddr *)&from, size), errno);
    if (connect(fd, (struct sockaddr *)&to, to_size) < 0 && errno != EINPROGRESS)
        fail_msg("connect from %s: %s", source, strerror(errno));
    return fd;
}

static void
expect_served(int client)
{
    client_send(client, "echo here\n");
    client_expect(client, "here\n");
    client_close(client);
}

static long
figure(struct daemon *daemon, const char *member)
{
    return control_figure(daemon, "test", member);
}

/* ---- connections --------------------------------------------------------------------------- */

#define LISTS                                                                                      \
    "deny = [ \"127.0.0.0/29\", \"192.0.2.0/24\" ]; allow = [ \"127.0.0.0/8\", \"127.0.0.3\" ];"

static void
the_longest_prefix_decides_about_a_connection(void **state)
{
    const struct server_case *row = *state;
    struct daemon *daemon = daemon_serve("tcp", row->mixin, "good_command", LISTS);
    const char *address = daemon_address(daemon, "test");
    int denied = connect_from("127.0.0.2", address);

    client_expect_gone(denied);
    expect_served(connect_from("127.0.0.3", address));
    expect_served(connect_from("127.0.0.8", address));
    client_expect_gone(connect_from("127.0.0.7", address));
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

    client_expect_gone(connect_from("127.0.0.2", address));
    client_expect_gone(connect_from("127.0.0.9", address));
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
    client_expect_gone(connect_from("127.0.0.2", address));
    expect_served(connect_from("127.0.0.3", address));
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
        int client = connect_from("127.0.0.2", address);
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
        denied[i] = connect_from("127.0.0.2", address);
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
        client_expect_gone(connect_from("127.0.0.2", address));
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
    int denied = connect_from("127.0.0.2", address), other = connect_from("127.0.0.3", address);

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
    expect_served(connect_from("[2001:db8:1::1]", address));
    client_expect_gone(connect_from("[2001:db8:2::1]", address));
    client_expect_gone(client_connect(text_of("tcp://127.0.0.1%s", port)));
    client_expect_gone(client_connect(text_of("tcp://[::1]%s", port)));
    daemon_expect_stop(daemon);
}

/* ---- files --------------------------------------------------------------------------------- */

static struct daemon *
serve_with_file(const char *networks)
{
    return daemon_serve("tcp", "threading", "good_command",
                        text_of("deny = [ \"@%s\" ];", test_file("networks", networks)));
}

/* Reloads, and says whether the listener has another generation. */
static bool
reload_changes(struct daemon *daemon, const char *networks)
{
    long before = figure(daemon, "generation");

    (void)test_file("networks", networks);
    assert_int_equal(CTL(daemon, "reload").status, 0);
    return figure(daemon, "generation") != before;
}

static void
a_file_of_networks_is_read_at_each_reload(void **state)
{
    struct daemon *daemon = serve_with_file("# who is a nuisance\r\n\r\n 127.0.0.2 # this one\r\n");
    const char *address = daemon_address(daemon, "test");
    int served = connect_from("127.0.0.3", address);

    (void)state;
    client_expect_gone(connect_from("127.0.0.2", address));
    client_send(served, "echo here\n");
    client_expect(served, "here\n");
    assert_false(reload_changes(daemon, "127.0.0.2\n# others say no more\n"));
    client_expect_gone(connect_from("127.0.0.2", address));
    assert_contains(CTL(daemon, "explain", "test", "127.0.0.2").output, "networks:1)");
    assert_true(reload_changes(daemon, "127.0.0.3"));
    expect_served(connect_from("127.0.0.2", address));
    client_expect_gone(connect_from("127.0.0.3", address));
    expect_served(served); /* who is in stays in */
    assert_true(reload_changes(daemon, ""));
    expect_served(connect_from("127.0.0.3", address));
    daemon_expect_stop(daemon);
}

static void
a_mistake_in_a_file_changes_nothing(void **state)
{
    struct daemon *daemon = serve_with_file("127.0.0.2\n");
    const char *address = daemon_address(daemon, "test"), *networks = test_path("networks");
    struct outcome outcome;

    (void)state;
    (void)test_file("networks", "127.0.0.3\n\n10.0.0.1/8\n@/etc/hosts\n");
    outcome = CTL(daemon, "reload");
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, text_of("%s:3: found \"10.0.0.1/8\", an address", networks));
    assert_contains(outcome.errors, text_of("%s:4: found \"@/etc/hosts\"; expected", networks));
    assert_return_code(unlink(networks), errno);
    outcome = CTL(daemon, "reload");
    assert_contains(outcome.errors, text_of(": listeners.test.deny: cannot read the networks in "
                                            "%s: No such file",
                                            networks));
    client_expect_gone(connect_from("127.0.0.2", address));
    expect_served(connect_from("127.0.0.3", address));
    daemon_expect_stop(daemon);
}

/* An empty file lets nobody in where only those in it may come. */
static void
an_empty_allow_lets_nobody_in(void **state)
{
    struct daemon *daemon = daemon_serve("tcp", "none", "good_command",
                                         text_of("allow = \"@%s\";", test_file("networks", "#\n")));

    (void)state;
    client_expect_gone(client_connect(daemon_address(daemon, "test")));
    assert_contains(CTL(daemon, "explain", "test", "127.0.0.1").output, "denied, because allow (");
    daemon_expect_stop(daemon);
}

static void
no_file_holds_up_the_daemon(void **state)
{
    const char *fifo = test_path("fifo"), *large = test_path("large");
    struct outcome outcome;

    (void)state;
    assert_return_code(mkfifo(fifo, 0600), errno);
    (void)test_file("large", "");
    assert_return_code(truncate(large, 9 << 20), errno);
    outcome =
        COMMAND("", "--check", "--listen", "tcp://127.0.0.1:0", "--set", text_of("deny=@%s", fifo),
                "--set", "deny=@/dev/zero", "--set", text_of("deny=@%s", large), "--set",
                "deny=@/proc/kmsg", SHIPPED_PLUGINS "/echo.so");
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, text_of("--set deny: cannot read the networks in %s: it is "
                                            "not a regular file",
                                            fifo));
    assert_contains(outcome.errors, "/dev/zero: it is not a regular file");
    assert_contains(outcome.errors, text_of("%s: it is larger than 8 MiB", large));
}

static const char *
many_networks(unsigned count)
{
    char *text = keep(calloc(count, 20));
    size_t used = 0;

    for (unsigned i = 0; i < count; i++)
        used += (size_t)sprintf(text + used, "%u.%u.%u.0/24\n", 20 + (i >> 15), i >> 7 & 255,
                                2 * (i & 127));
    return text;
}

/* 200 listeners have 10,000 networks in common: they are read, checked and held once. */
static void
two_hundred_listeners_share_a_list(void **state)
{
    const char *listeners = "";

    (void)state;
    for (int i = 0; i < 200; i++)
        listeners = text_of("%sl%d = { address = \"unix:@sockserverd-test-%d-%d\"; plugin = "
                            "\"good_command\"; enabled = %s; };\n",
                            listeners, i, (int)getpid(), i, i % 100 == 0 ? "true" : "false");
    struct daemon *daemon =
        daemon_start("defaults = { deny = [ \"@%s\", \"user:4242\" ]; };\nlisteners = {\n%s};",
                     test_file("networks", many_networks(10000)), listeners);
    assert_string_equal(client_ask(daemon_address(daemon, "l100"), "echo here\n"), "here\n");
    assert_contains(CTL(daemon, "explain", "l199", "user:4242").output,
                    "denied by deny = \"user:4242\" (");
    if (!INSTRUMENTED)
        assert_in_range(proc_memory_kib(daemon_pid(daemon)), 1000, 40000);
    daemon_expect_stop(daemon);
}

static void
there_is_a_bound(void **state)
{
    const char *file = test_file("networks", many_networks(100001));
    struct outcome outcome = COMMAND("", "--check", "--listen", "tcp://127.0.0.1:0", "--set",
                                     text_of("deny=@%s", file), SHIPPED_PLUGINS "/echo.so");

    (void)state;
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "--set deny: found more than 100000 networks");
}

/* ---- explain, and an upgrade --------------------------------------------------------------- */

static void
explain_says_by_which_item(void **state)
{
    struct daemon *daemon = daemon_start(
        "listeners = {\n"
        "plain = { address = \"tcp://127.0.0.1:0\"; plugin = \"good_command\"; };\n"
        "test = { address = \"tcp://127.0.0.1:0\"; plugin = \"good_command\";\n"
        "  deny = [ \"192.0.2.0/24\",\n"
        "           \"local\" ]; };\n"
        "some = { address = \"unix:@sockserverd-test-%d\"; plugin = \"good_command\";\n"
        "  allow = [ \"user:0\", \"group:4\" ]; };\n};",
        (int)getpid());
    static const struct {
        const char *listener, *client, *said, *line; /* "" for none */
    } rows[] = {
        {"plain", "192.0.2.1", "allowed, because there is neither allow nor deny\n", ""},
        {"test", "192.0.2.1", "denied by deny = \"192.0.2.0/24\" (", "  deny = "},
        {"test", "::ffff:192.0.2.1", "denied by deny = \"192.0.2.0/24\" (", "  deny = "},
        {"test", "::1", "denied by deny = \"local\" (", "           \"local\""},
        {"test", "local", "denied by deny = \"local\" (", "           \"local\""},
        {"test", "2001:db8::1", "allowed, because deny (", "  deny = "},
        {"some", "user:0", "allowed by allow = \"user:0\" (", "  allow = "},
        {"some", "user:4242", "denied, because allow (", "  allow = "},
        {"some", "user:4242,group:5,group:4", "allowed by allow = \"group:4\" (", "  allow = "},
        {"some", "local", "denied, because allow (", "  allow = "},
    };

    (void)state;
    const char *text = file_text(daemon_file(daemon));
    (void)daemon_address(daemon, "some");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct outcome outcome = CTL(daemon, "explain", rows[i].listener, rows[i].client);
        unsigned line = 1;
        for (const char *at = text; at < strstr(text, rows[i].line); at++)
            line += *at == '\n';
        assert_int_equal(outcome.status, 0);
        assert_starts(outcome.output, rows[i].said);
        if (*rows[i].line != '\0')
            assert_contains(outcome.output, text_of("(%s:%u)", daemon_file(daemon), line));
    }
    daemon_expect_stop(daemon);
}

static void
explain_says_what_it_expects(void **state)
{
    struct daemon *daemon = daemon_serve("unix", "none", "good_command", "deny = \"user:0\";");
    struct outcome outcome = CTL(daemon, "explain", "test", "192.0.2.1");

    (void)state;
    assert_int_equal(outcome.status, 1);
    assert_contains(outcome.errors, "found \"192.0.2.1\"; expected \"local\" or \"user:NAME\"");
    outcome = CTL(daemon, "explain", "test", "user:no-such-user");
    assert_int_equal(outcome.status, 64);
    assert_contains(outcome.errors, "unknown user \"no-such-user\"");
    outcome = CTL(daemon, "explain", "tes", "local");
    assert_contains(outcome.errors, "there is no listener \"tes\"");
    assert_int_equal(CTL(daemon, "explain", "test").status, 64);
    assert_int_equal(CTL(daemon, "explain", "test", "local", "more").status, 64);
    outcome = CTL(daemon, "explain", "test", "user:0", "--json");
    json_t *reply = json_loads(outcome.output, 0, NULL);
    assert_non_null(reply);
    assert_true(json_is_false(json_object_get(reply, "allowed")));
    assert_string_equal(json_string_value(json_object_get(reply, "key")), "deny");
    assert_string_equal(json_string_value(json_object_get(reply, "item")), "user:0");
    assert_true(json_is_integer(json_object_get(reply, "line")));
    json_decref(reply);
    daemon_expect_stop(daemon);
}

/* The new program has the lists that the old one had, also if the file has become bad. */
static void
an_upgrade_keeps_the_lists(void **state)
{
    const char *networks = test_file("networks", "127.0.0.2\n");
    struct daemon *daemon = start(daemon_configuration(
        "control = { path = \"%s\"; };\nlisteners = {\n%s};", test_path("control"),
        listener_text("test", "tcp", "threading", "good_command",
                      text_of("deny = \"@%s\";", networks))));
    const char *address = daemon_address(daemon, "test"), *control = test_path("control");
    const char *const upgrade[] = {"--socket", control, "upgrade", NULL};
    const char *const explain[] = {"--socket", control, "explain", "test", "127.0.0.2", NULL};
    const char *const restart[] = {"--socket", control, "restart", "test", NULL};

    (void)state;
    client_expect_gone(connect_from("127.0.0.2", address));
    WAIT_UNTIL(access(control, F_OK) == 0);
    assert_int_equal(command_run(CTL_PROGRAM, "", upgrade).status, 0);
    (void)daemon_wait_log(daemon, "reloaded: ");
    assert_contains(command_run(CTL_PROGRAM, "", explain).output,
                    text_of("denied by deny = \"127.0.0.2\" (%s:1)", networks));
    client_expect_gone(connect_from("127.0.0.2", address));
    assert_int_equal(command_run(CTL_PROGRAM, "", restart).status, 0);
    client_expect_gone(connect_from("127.0.0.2", address));
    expect_served(connect_from("127.0.0.3", address));
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
          TEST(a_file_of_networks_is_read_at_each_reload),
          TEST(a_mistake_in_a_file_changes_nothing), TEST(an_empty_allow_lets_nobody_in),
          TEST(no_file_holds_up_the_daemon), TEST(two_hundred_listeners_share_a_list),
          TEST(there_is_a_bound), TEST(explain_says_by_which_item),
          TEST(explain_says_what_it_expects), TEST(an_upgrade_keeps_the_lists),
          TEST(an_ipv6_client_is_judged_by_its_network))
