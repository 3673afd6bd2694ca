/* SPDX-License-Identifier: MIT */
/*
 * test_adopt.c - sockets that the process was started with: what they are, and whose
 */
#include "fds_fixture.h"
#include "passed_fixture.h"
#include "socket_fixture.h"

#include <net/if.h>
#include <sys/mman.h>

#include "common/array.h"
#include "supervisor/socket/adopt.h"
#include "supervisor/socket/store.h"

/* ---- what is passed -------------------------------------------------------------------------- */

static void
pass_all(void)
{
    place_passed();
    assert_int_equal(adopt_begin(), 0);
    assert_null(getenv("LISTEN_FDS"));
}

static int
bound(int family, int type, int protocol, const void *address, socklen_t size)
{
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, address, size), 0);
    if (type != SOCK_DGRAM && type != SOCK_RAW)
        assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static int
bound4(int type, int protocol, const char *host)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    return bound(AF_INET, type, protocol, &address, sizeof(address));
}

static int
bound6(int type, const char *host, bool only)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);

    assert_int_equal(inet_pton(AF_INET6, host, &address.sin6_addr), 1);
    assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){only}, sizeof(int)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static int
bound_unix(int type, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_in_range(strlen(path), 1, sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    return bound(AF_UNIX, type, 0, &address, sizeof(address));
}

static unsigned
port_of(int fd)
{
    struct sockaddr_in6 address; /* the port has the same place in both families */
    socklen_t size = sizeof(address);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin6_port);
}

static int
own(int fd)
{
    adopt_mark(fd);
    return fd;
}

/* ---- what cannot serve ----------------------------------------------------------------------- */

static struct config
no_listeners(void)
{
    struct config config;

    assert_int_equal(config_load_nothing(&config, NULL), 0);
    return config;
}

static void
expect_unfit(const char *what, int fd, const char *why)
{
    struct config config = no_listeners();
    struct errors errors = {0};
    char text[200];

    if (fd < 0) {
        print_message("%s: not here (%s)\n", what, strerror(errno));
        config_done(&config);
        return;
    }
    pass("web", fd);
    pass_all();
    adopt_check(&config, &errors);
    (void)snprintf(text, sizeof(text), "what systemd passed as \"web\" %s", why);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.texts[0], text);

    struct settings settings = make_settings("systemd:web"); /* and no listener gets it */
    struct adopted adopted;
    assert_int_equal(adopt_claim(&settings, NULL, &adopted), 0);
    settings_done(&settings);
    errors_done(&errors);
    config_done(&config);
    adopt_end();
    assert_int_equal(fcntl(3, F_GETFD), -1);
}

/* What a socket unit can pass, and no listener can use. */
static void
what_cannot_serve_is_told_by_its_reason(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[1]);
    expect_unfit("a pipe", ends[0], "is no socket");
    expect_unfit("a file", memfd_create("x", MFD_CLOEXEC), "is no socket");
    expect_unfit("netlink", socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0),
                 "is neither an Internet nor a Unix socket");
    expect_unfit("kernel crypto", socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0),
                 "has no address");
    expect_unfit("packets", bound_unix(SOCK_SEQPACKET, path_in_folder("", "p")),
                 "is neither a stream nor a datagram socket");
    assert_int_equal(unlink(path_in_folder("", "p")), 0);
    expect_unfit("raw", socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP),
                 "is neither a stream nor a datagram socket");
    expect_unfit("ping", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP),
                 "speaks neither TCP nor UDP");
    expect_unfit("SCTP", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP),
                 "speaks neither TCP nor UDP");
    expect_unfit("UDP-Lite", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 136),
                 "speaks neither TCP nor UDP");
    expect_unfit("a connection", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                 "is a connection and does not listen: its socket unit needs Accept=no");
    expect_unfit("a path", open("/", O_PATH | O_CLOEXEC), "is no socket");
}

/* TCP by several ways is still a stream. */
static void
multipath_tcp_serves(void **state)
{
    struct settings settings = make_settings("systemd:web");
    struct adopted adopted;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

    (void)state;
    if (fd < 0) {
        settings_done(&settings);
        print_message("no multipath TCP here: %s\n", strerror(errno));
        skip();
    }
    (void)close(fd);
    pass("web", bound4(SOCK_STREAM, IPPROTO_MPTCP, "127.0.0.1"));
    pass_all();
    assert_int_equal(adopt_claim(&settings, NULL, &adopted), 1);
    assert_true(adopted.stream);
    assert_false(adopted.own);
    (void)close(adopted.fd);
    settings_done(&settings);
    adopt_end();
}

/* ---- whose it is ----------------------------------------------------------------------------- */

/* A socket, what a listener's address says ("%u" is the socket's port), and whether they belong
 * together. The listener is called "test". */
struct pairing {
    const char *name; /* of the socket; NULL: the one that belongs to the address */
    const char *host; /* of the socket */
    const char *address;
    bool datagram, is_own, only, wants_only, shares;
    bool taken;
    const char *found; /* the numeric host behind the address's name */
};

static int
make_socket(const struct pairing *row)
{
    int type = row->datagram ? SOCK_DGRAM : SOCK_STREAM;

    return strchr(row->host, ':') == NULL ? bound4(type, 0, row->host)
                                          : bound6(type, row->host, row->only);
}

static struct resolved
resolved_as(const char *host, unsigned port)
{
    struct resolved found = {.size = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&found.address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&found.address;

    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        return found;
    }
    assert_int_equal(inet_pton(AF_INET6, host, &in6->sin6_addr), 1);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    found.size = sizeof(*in6);
    return found;
}

static void
try_pairing(const struct pairing *row)
{
    char address[100], name[SOCKET_NAME_SIZE];
    struct adopted adopted;
    int fd = make_socket(row);
    unsigned port = port_of(fd);

    (void)snprintf(address, sizeof(address), row->address, port);
    print_message("%s is %s\n", row->host, address);
    struct settings settings = make_settings(address);
    settings.ipv6_only = row->wants_only;
    settings.reuse_port = row->shares;
    struct resolved found =
        row->found == NULL ? (struct resolved){0} : resolved_as(row->found, port);
    pass(row->name != NULL ? row->name : socket_name(&settings, name), row->is_own ? own(fd) : fd);
    pass_all();
    const struct resolved *known = row->found == NULL ? NULL : &found;
    if (known == NULL)
        assert_int_equal(adopt_has(&settings), row->taken);
    assert_int_equal(adopt_claim(&settings, known, &adopted), row->taken);
    if (row->taken) {
        assert_int_equal(adopted.own, row->is_own);
        assert_int_equal(adopted.stream, !row->datagram);
        assert_int_equal(port_of(adopted.fd), port);
        (void)close(adopted.fd);
    }
    /* What is our own is given once, what is a socket unit's again and again. */
    assert_int_equal(adopt_claim(&settings, known, &adopted), row->taken && !row->is_own);
    if (row->taken && !row->is_own)
        (void)close(adopted.fd);
    settings_done(&settings);
    adopt_end();
}

static void
a_socket_belongs_to_the_listener_of_its_address(void **state)
{
    static const struct pairing rows[] = {
        /* by the listener's name, or by the name of the address */
        {.name = "test", .host = "127.0.0.1", .address = "tcp://127.0.0.1:%u", .taken = true},
        {.host = "127.0.0.1", .address = "tcp://127.0.0.1:%u", .taken = true},
        {.name = "web", .host = "127.0.0.1", .address = "tcp://127.0.0.1:%u", .taken = false},
        {.name = "test", .host = "127.0.0.1", .address = "tcp://127.0.0.2:%u", .taken = false},
        {.name = "test", .host = "127.0.0.1", .address = "tcp://127.0.0.1:1", .taken = false},
        {.name = "test", .host = "127.0.0.1", .address = "udp://127.0.0.1:%u", .taken = false},
        {.name = "test", .host = "127.0.0.1", .address = "unix:@test", .taken = false},
        {.name = "test", .host = "127.0.0.1", .address = "tcp://[::1]:%u", .taken = false},
        {.name = "test",
         .host = "127.0.0.1",
         .address = "udp://127.0.0.1:%u",
         .datagram = true,
         .taken = true},
        /* every address, of either family */
        {.name = "test", .host = "0.0.0.0", .address = "tcp://*:%u", .taken = true},
        {.name = "test", .host = "127.0.0.1", .address = "tcp://*:%u", .taken = false},
        /* our own: whatever the listener is called, unless several share the address */
        {.name = "tcp-old",
         .host = "127.0.0.1",
         .address = "tcp://127.0.0.1:%u",
         .is_own = true,
         .taken = true},
        {.name = "tcp-old",
         .host = "127.0.0.1",
         .address = "tcp://127.0.0.1:%u",
         .is_own = true,
         .shares = true,
         .taken = false},
        {.host = "127.0.0.1", .address = "tcp://127.0.0.1:0", .is_own = true, .taken = true},
        {.name = "test",
         .host = "127.0.0.1",
         .address = "systemd:test",
         .is_own = true,
         .taken = false},
        /* a name, whose address is known or not yet; then the port must do */
        {.name = "test", .host = "127.0.0.1", .address = "tcp://a.invalid:%u", .taken = true},
        {.name = "test", .host = "127.0.0.1", .address = "tcp://a.invalid:0", .taken = true},
        {.name = "test", .host = "127.0.0.1", .address = "tcp://a.invalid:1", .taken = false},
        {.name = "test", .host = "127.0.0.1", .address = "tcp://a.invalid:http", .taken = true},
        {.name = "tcp-old",
         .host = "127.0.0.1",
         .address = "tcp://a.invalid:%u",
         .is_own = true,
         .taken = false},
        {.name = "tcp-old",
         .host = "127.0.0.1",
         .address = "tcp://a.invalid:%u",
         .is_own = true,
         .found = "127.0.0.1",
         .taken = true},
        {.name = "test",
         .host = "127.0.0.1",
         .address = "tcp://a.invalid:%u",
         .found = "127.0.0.2",
         .taken = false},
        {.name = "test",
         .host = "127.0.0.1",
         .address = "tcp://a.invalid:%u",
         .found = "::1",
         .taken = false},
    };
    static const struct pairing ipv6_rows[] = {
        {.name = "test", .host = "::1", .address = "tcp://[::1]:%u", .taken = true},
        {.name = "test", .host = "::1", .address = "tcp://127.0.0.1:%u", .taken = false},
        {.name = "test", .host = "::1", .address = "tcp://[::2]:%u", .taken = false},
        {.name = "test", .host = "::", .address = "tcp://*:%u", .taken = true},
        {.name = "test", .host = "::1", .address = "tcp://*:%u", .taken = false},
        {.name = "test",
         .host = "::1",
         .address = "tcp://a.invalid:%u",
         .found = "::1",
         .taken = true},
        /* a socket unit's view of IPv4 is its own affair; ours must be the one that is asked for */
        {.name = "test", .host = "::", .address = "tcp://[::]:%u", .only = true, .taken = true},
        {.host = "::", .address = "tcp://[::]:%u", .is_own = true, .only = true, .taken = false},
        {.host = "::",
         .address = "tcp://[::]:%u",
         .is_own = true,
         .wants_only = true,
         .taken = false},
        {.host = "::",
         .address = "tcp://[::]:%u",
         .is_own = true,
         .only = true,
         .wants_only = true,
         .taken = true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        try_pairing(&rows[i]);
    if (!have_ipv6())
        print_message("no IPv6 here\n");
    for (size_t i = 0; have_ipv6() && i < ARRAY_SIZE(ipv6_rows); i++)
        try_pairing(&ipv6_rows[i]);
}

/* The same number on another interface is another address. */
static void
a_zone_is_part_of_the_address(void **state)
{
    struct settings settings = make_settings("tcp://a.invalid:0");
    struct resolved found;
    struct adopted adopted;

    (void)state;
    if (!have_ipv6()) {
        settings_done(&settings);
        print_message("no IPv6 here\n");
        skip();
    }
    pass("test", bound6(SOCK_STREAM, "::1", true));
    pass_all();
    found = resolved_as("::1", 0);
    ((struct sockaddr_in6 *)&found.address)->sin6_scope_id = if_nametoindex("lo");
    assert_int_equal(adopt_claim(&settings, &found, &adopted), 0);
    ((struct sockaddr_in6 *)&found.address)->sin6_scope_id = 0;
    assert_int_equal(adopt_claim(&settings, &found, &adopted), 1);
    (void)close(adopted.fd);
    settings_done(&settings);
    adopt_end();
}

/* ---- what nobody takes ----------------------------------------------------------------------- */

static struct config
one_listener(const char *address, bool enabled)
{
    struct config config = no_listeners();
    struct settings settings = make_settings(address);

    settings.enabled = enabled;
    assert_int_equal(config_add_listener(&config, &settings), 0);
    return config;
}

static void
names_of_what_was_passed_are_told(void **state)
{
    (void)state;
    _cleanup_free_ char *none = adopt_names();
    assert_string_equal(none, "none");
    pass("web", bound4(SOCK_STREAM, 0, "127.0.0.1"));
    pass("tcp-own", own(bound4(SOCK_STREAM, 0, "127.0.0.1")));
    pass("dns", bound4(SOCK_DGRAM, 0, "127.0.0.1"));
    pass_all();
    _cleanup_free_ char *some = adopt_names();
    assert_string_equal(some, "web, dns");
    adopt_end();
}

/* Our own socket is closed, with its path, unless an enabled listener has its address, or may have
 * it when its name has been looked up. */
static void
own_sockets_that_nobody_wants_go_with_their_path(void **state)
{
    static const struct {
        const char *address; /* NULL: no configuration; "%s" is the path */
        bool enabled, stays;
    } rows[] = {
        {NULL, true, false},
        {"unix://%s", true, true},
        {"unix://%s", false, false},
        {"unix://%s2", true, false},
        {"tcp://a.invalid:7", true, false},
    };
    char path[160], name[SOCKET_NAME_SIZE], address[200], path_name[SOCKET_NAME_SIZE + 16];
    struct stat status;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", path_in_folder("", "own"));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config config = no_listeners();
        struct settings settings = make_settings(path_in_folder("unix://", "own"));
        print_message("%zu\n", i);
        if (rows[i].address != NULL) {
            (void)snprintf(address, sizeof(address), rows[i].address, path);
            config_done(&config);
            config = one_listener(address, rows[i].enabled);
        }
        int fd = bound_unix(SOCK_STREAM, path);
        (void)snprintf(path_name, sizeof(path_name), STORE_PATH_PREFIX "%s",
                       socket_name(&settings, name));
        pass(name, own(fd));
        pass(path_name, open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
        pass_all();
        adopt_discard(rows[i].address == NULL ? NULL : &config);
        assert_int_equal(lstat(path, &status), rows[i].stays ? 0 : -1);
        assert_int_equal(fcntl(3, F_GETFD) >= 0, rows[i].stays);
        if (rows[i].stays)
            assert_int_equal(unlink(path), 0);
        adopt_end();
        settings_done(&settings);
        config_done(&config);
    }
}

/* The name behind its address may turn out to be the one. */
static void
own_sockets_that_a_name_may_mean_are_kept(void **state)
{
    static const struct {
        const char *address;
        bool shares, stays;
    } rows[] = {
        {"tcp://a.invalid:%u", false, true},
        {"tcp://a.invalid:%u", true, false},
        {"udp://a.invalid:%u", false, false},
        {"tcp://a.invalid:1", false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config config = no_listeners();
        char address[100];
        int fd = own(bound4(SOCK_STREAM, 0, "127.0.0.1"));
        (void)snprintf(address, sizeof(address), rows[i].address, port_of(fd));
        struct settings settings = make_settings(address);
        settings.enabled = true;
        settings.reuse_port = rows[i].shares;
        assert_int_equal(config_add_listener(&config, &settings), 0);
        pass("tcp-old", fd);
        pass_all();
        adopt_discard(&config);
        assert_int_equal(fcntl(3, F_GETFD) >= 0, rows[i].stays);
        adopt_end();
        config_done(&config);
    }
}

/* The store may be damaged: a socket that cannot serve, a path without a socket, a path that is
 * somebody else's now, a name that is no path's. */
static void
odd_things_in_the_store_are_closed(void **state)
{
    char path[160], name[SOCKET_NAME_SIZE], path_name[SOCKET_NAME_SIZE + 16];
    struct settings settings = make_settings(path_in_folder("unix://", "odd"));
    struct stat status;
    size_t fds = count_fds();

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", settings.address.path);
    (void)snprintf(path_name, sizeof(path_name), STORE_PATH_PREFIX "%s",
                   socket_name(&settings, name));
    pass("tcp-deaf", own(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    pass(STORE_PATH_PREFIX "nothing", open("/", O_PATH | O_CLOEXEC));
    pass(STORE_PATH_PREFIX "a-file", own(memfd_create("x", MFD_CLOEXEC)));
    pass(name, own(bound_unix(SOCK_STREAM, path)));
    pass(path_name, open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    assert_int_equal(unlink(path), 0);
    int theirs = bound_unix(SOCK_STREAM, path);
    theirs = fcntl(theirs, F_DUPFD_CLOEXEC, PUT_ASIDE);
    pass_all();
    adopt_discard(NULL);
    assert_int_equal(lstat(path, &status), 0); /* it is theirs */
    (void)close(theirs);
    adopt_end();
    assert_int_equal(unlink(path), 0);
    settings_done(&settings);
    for (int fd = 3; fd < PUT_ASIDE; fd++)
        (void)close(fd); /* the first number of theirs */
    assert_in_range(count_fds(), 1, fds);
}

static void
nothing_passed_is_nothing(void **state)
{
    (void)state;
    assert_int_equal(adopt_begin(), 0);
    adopt_discard(NULL);
    adopt_end();
    (void)setenv("LISTEN_PID", "1", 1); /* meant for somebody else */
    (void)setenv("LISTEN_FDS", "3", 1);
    assert_int_equal(adopt_begin(), 0);
    assert_null(getenv("LISTEN_FDS"));
    adopt_end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(what_cannot_serve_is_told_by_its_reason),
        cmocka_unit_test(multipath_tcp_serves),
        cmocka_unit_test(a_socket_belongs_to_the_listener_of_its_address),
        cmocka_unit_test(a_zone_is_part_of_the_address),
        cmocka_unit_test(names_of_what_was_passed_are_told),
        in_folder(own_sockets_that_nobody_wants_go_with_their_path),
        cmocka_unit_test(own_sockets_that_a_name_may_mean_are_kept),
        in_folder(odd_things_in_the_store_are_closed),
        cmocka_unit_test(nothing_passed_is_nothing),
    };

    return cmocka_run_group_tests(tests, clear_passed, NULL);
}
