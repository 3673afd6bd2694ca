/* SPDX-License-Identifier: MIT */
/*
 * test_socket.c - opening listening sockets
 */
#include "fds_fixture.h"
#include "socket_fixture.h"

#include <limits.h>

#include "common/array.h"
#include "supervisor/socket/socket_change.h"
#include "supervisor/socket/socket_private.h"

/* ---- Internet addresses ----------------------------------------------------------------- */

static void
opens_every_kind_of_address(void **state)
{
    static const struct {
        const char *address, *real; /* real: how the real one begins */
        int family, type;
        bool ipv6;
    } rows[] = {
        {"tcp://127.0.0.1:0", "tcp://127.0.0.1:", AF_INET, SOCK_STREAM, false},
        {"tcp://0.0.0.0:0", "tcp://0.0.0.0:", AF_INET, SOCK_STREAM, false},
        {"udp://127.0.0.1:0", "udp://127.0.0.1:", AF_INET, SOCK_DGRAM, false},
        {"tcp://[::1]:0", "tcp://[::1]:", AF_INET6, SOCK_STREAM, true},
        {"udp://[::1]:0", "udp://[::1]:", AF_INET6, SOCK_DGRAM, true},
        {"tcp://*:0", "tcp://[::]:", AF_INET6, SOCK_STREAM, true},
        {"unix:@sockserverd-test", "unix:@sockserverd-test", AF_UNIX, SOCK_STREAM, false},
        {"unixgram:@sockserverd-test2", "unixgram:@sockserverd-test2", AF_UNIX, SOCK_DGRAM, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].ipv6 && !have_ipv6()) {
            print_message("no IPv6 here: %s not tried\n", rows[i].address);
            continue;
        }
        struct settings settings = make_settings(rows[i].address);
        struct listening_socket listening;
        open_well(&settings, &listening);
        assert_int_equal(strncmp(listening.address, rows[i].real, strlen(rows[i].real)), 0);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_DOMAIN), rows[i].family);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_TYPE), rows[i].type);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_ACCEPTCONN),
                         rows[i].type == SOCK_STREAM);
        assert_int_equal(listening.stream, rows[i].type == SOCK_STREAM);
        assert_int_equal(fcntl(listening.fd, F_GETFD), FD_CLOEXEC);
        if (rows[i].family != AF_UNIX) {
            const char *colon = strrchr(listening.address, ':');
            assert_true(atoi(colon + 1) > 0);
        }
        socket_close(&listening);
        assert_int_equal(listening.fd, -1);
        settings_done(&settings);
    }
}

static int
connect_to(int family, const void *host, in_port_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r;

    if (family == AF_INET) {
        memcpy(&in.sin_addr, host, sizeof(in.sin_addr));
        r = connect(fd, (struct sockaddr *)&in, sizeof(in));
    } else {
        memcpy(&in6.sin6_addr, host, sizeof(in6.sin6_addr));
        r = connect(fd, (struct sockaddr *)&in6, sizeof(in6));
    }
    r = r < 0 ? -errno : 0;
    (void)close(fd);
    return r;
}

static void
star_is_both_families_unless_ipv6_only(void **state)
{
    static const struct in_addr loopback4 = {.s_addr = 0x0100007f};

    (void)state;
    if (!have_ipv6()) {
        print_message("no IPv6 here\n");
        skip();
    }
    for (int ipv6_only = 0; ipv6_only <= 1; ipv6_only++) {
        struct settings settings = make_settings("tcp://*:0");
        struct listening_socket listening;
        settings.ipv6_only = ipv6_only;
        open_well(&settings, &listening);
        in_port_t port = htons((uint16_t)atoi(strrchr(listening.address, ':') + 1));
        assert_int_equal(connect_to(AF_INET6, &in6addr_loopback, port), 0);
        assert_int_equal(connect_to(AF_INET, &loopback4, port), ipv6_only ? -ECONNREFUSED : 0);
        socket_close(&listening);
        settings_done(&settings);
    }
}

static void
sets_the_options_asked_for(void **state)
{
    (void)state;
    for (int wanted = 0; wanted <= 1; wanted++) {
        struct settings settings = make_settings("tcp://127.0.0.1:0");
        struct listening_socket listening;
        settings.reuse_address = settings.reuse_port = settings.nodelay = wanted;
        open_well(&settings, &listening);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_REUSEADDR) != 0, wanted);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_REUSEPORT) != 0, wanted);
        assert_int_equal(option(listening.fd, IPPROTO_TCP, TCP_NODELAY) != 0, wanted);
        socket_close(&listening);
        settings_done(&settings);
    }
}

static void
datagrams_tell_where_they_came_to_and_are_not_shared(void **state)
{
    struct settings settings = make_settings("udp://0.0.0.0:0");
    struct listening_socket listening;

    (void)state;
    open_well(&settings, &listening);
    assert_int_equal(option(listening.fd, IPPROTO_IP, IP_PKTINFO), 1);
    assert_int_equal(option(listening.fd, SOL_SOCKET, SO_REUSEADDR), 0);
    socket_close(&listening);
    settings_done(&settings);
}

static void
datagrams_to_one_address_need_not_tell_it(void **state)
{
    struct settings settings = make_settings("udp://127.0.0.1:0");
    struct listening_socket listening;

    (void)state;
    open_well(&settings, &listening);
    assert_int_equal(option(listening.fd, IPPROTO_IP, IP_PKTINFO), 0);
    socket_close(&listening);
    settings_done(&settings);
}

static void
ipv6_datagrams_tell_it_for_both_families(void **state)
{
    (void)state;
    if (!have_ipv6()) {
        print_message("no IPv6 here\n");
        skip();
    }
    struct settings settings = make_settings("udp://*:0");
    struct listening_socket listening;
    open_well(&settings, &listening);
    assert_int_equal(option(listening.fd, IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
    assert_int_equal(option(listening.fd, IPPROTO_IP, IP_PKTINFO), 1);
    socket_close(&listening);
    settings_done(&settings);
}

static void
queue_has_the_size_asked_for(void **state)
{
    struct settings settings = make_settings("tcp://127.0.0.1:0");
    struct listening_socket listening;
    struct tcp_info info;
    socklen_t size = sizeof(info);

    (void)state;
    settings.request_queue_size = 5;
    open_well(&settings, &listening);
    assert_int_equal(getsockopt(listening.fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    assert_int_equal(info.tcpi_sacked, 5); /* of a listening socket: its backlog */
    socket_close(&listening);
    settings_done(&settings);
}

/* ---- what can go wrong ---------------------------------------------------------------------- */

static void
problems_name_the_remedy(void **state)
{
    static const struct {
        const char *address;
        int error;
        const char *words;
    } rows[] = {
        {"tcp://192.0.2.1:0", -EADDRNOTAVAIL,
         "cannot listen on tcp://192.0.2.1:0: Cannot assign requested address; this machine has no "
         "such address"},
        {"systemd:web", -ENOENT,
         "systemd:web: systemd passed no socket of that name; it passed: none"},
        {"unix:///nowhere/at/all/x", -ENOENT, "No such file or directory; the folder does not"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct settings settings = make_settings(rows[i].address);
        expect_problem(&settings, rows[i].error, rows[i].words);
        settings_done(&settings);
    }
}

/* The look-up is another's work, as it may take long: lookup.c. */
static void
a_name_is_bound_at_the_address_that_was_found_for_it(void **state)
{
    struct settings settings = make_settings("tcp://no.such.host.invalid:0");
    struct listening_socket listening = LISTENING_SOCKET_NONE;
    struct resolved found = {.size = sizeof(struct sockaddr_in)};
    _cleanup_free_ char *problem = NULL;

    (void)state;
    assert_true(socket_needs_lookup(&settings));
    expect_problem(&settings, -EAGAIN, "was not looked up");
    *(struct sockaddr_in *)&found.address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(socket_open(&settings, &found, &listening, &problem), 0);
    assert_memory_equal(listening.address, "tcp://127.0.0.1:", 16);
    socket_close(&listening);
    settings_done(&settings);
}

static void
c17_a_taken_port_is_refused_1024_times_without_leaking_a_descriptor(void **state)
{
    struct settings settings = make_settings("tcp://127.0.0.1:0");
    struct listening_socket first;

    (void)state;
    open_well(&settings, &first);
    struct settings again = make_settings(first.address);
    size_t before = count_fds();
    for (int i = 0; i < 1024; i++)
        expect_problem(&again, -EADDRINUSE, "Address already in use; another program has it");
    assert_int_equal(count_fds(), before);
    socket_close(&first);
    settings_done(&settings);
    settings_done(&again);
}

static void
c17_a_live_path_is_refused_1024_times_without_leaking_a_descriptor(void **state)
{
    struct settings settings = make_settings(path_in_folder("unix://", "live"));
    struct listening_socket first;

    (void)state;
    open_well(&settings, &first);
    size_t before = count_fds();
    for (int i = 0; i < 1024; i++)
        expect_problem(&settings, -EADDRINUSE, "a running server answers there");
    assert_int_equal(count_fds(), before);
    socket_close(&first);
    settings_done(&settings);
}

static void
reuse_port_lets_two_share_a_port(void **state)
{
    struct settings settings = make_settings("tcp://127.0.0.1:0");
    struct listening_socket first, second;

    (void)state;
    settings.reuse_port = true;
    open_well(&settings, &first);
    struct settings again = make_settings(first.address);
    again.reuse_port = true;
    open_well(&again, &second);
    assert_string_equal(first.address, second.address);
    socket_close(&first);
    socket_close(&second);
    settings_done(&settings);
    settings_done(&again);
}

/* ---- what a worker relies on ----------------------------------------------------------------- */

/* A reply must leave from the address that was asked, wherever there may be several. */
static void
datagrams_tell_their_address_where_there_may_be_several(void **state)
{
    static const struct {
        const char *host;
        bool several;
    } rows[] = {
        {"0.0.0.0", true},    {"255.255.255.255", true}, {"224.0.0.1", true},
        {"127.0.0.1", false}, {"192.0.2.1", false},
    };
    static const struct {
        const char *host;
        bool several;
    } ipv6_rows[] = {
        {"::", true},       {"ff02::1", true},  {"fe80::1", true},     {"::1", false},
        {"::1:0:0", false}, {"0:0:1::", false}, {"2001:db8::", false},
    };
    struct settings settings = make_settings("udp://0.0.0.0:0");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_storage address = {.ss_family = AF_INET};
        print_message("%s\n", rows[i].host);
        assert_int_equal(
            inet_pton(AF_INET, rows[i].host, &((struct sockaddr_in *)&address)->sin_addr), 1);
        assert_int_equal(socket_set_worker_options(fd, &settings, &address, false), 0);
        assert_int_equal(option(fd, IPPROTO_IP, IP_PKTINFO), rows[i].several);
    }
    for (size_t i = 0; have_ipv6() && i < ARRAY_SIZE(ipv6_rows) * 2; i++) {
        _cleanup_close_ int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_storage address = {.ss_family = AF_INET6};
        bool several = ipv6_rows[i / 2].several;
        settings.ipv6_only = i % 2 != 0;
        print_message("%s%s\n", ipv6_rows[i / 2].host, settings.ipv6_only ? " only" : "");
        assert_int_equal(inet_pton(AF_INET6, ipv6_rows[i / 2].host,
                                   &((struct sockaddr_in6 *)&address)->sin6_addr),
                         1);
        assert_int_equal(socket_set_worker_options(fd, &settings, &address, false), 0);
        assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO), several);
        assert_int_equal(option(fd, IPPROTO_IP, IP_PKTINFO), several && !settings.ipv6_only);
    }
    settings_done(&settings);
}

static void
larger_send_buffer_of_datagrams_stays(void **state)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct settings settings = make_settings("unixgram:@x");

    (void)state;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &(int){3 << 20}, sizeof(int)) < 0) {
        settings_done(&settings);
        print_message("needs root for a large buffer\n");
        skip();
    }
    assert_int_equal(option(fd, SOL_SOCKET, SO_SNDBUF), 6 << 20);
    assert_int_equal(socket_set_worker_options(fd, &settings, &address, false), 0);
    assert_int_equal(option(fd, SOL_SOCKET, SO_SNDBUF), 6 << 20);
    settings_done(&settings);
}

static void
backlog_is_the_kernels_most_unless_it_is_given(void **state)
{
    static const struct {
        uint32_t wanted;
        int backlog;
    } rows[] = {{0, INT_MAX}, {1, 1}, {INT_MAX, INT_MAX}, {UINT32_MAX, INT_MAX}};
    struct settings settings = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        settings.request_queue_size = rows[i].wanted;
        assert_int_equal(socket_backlog(&settings), rows[i].backlog);
    }
}

static void
wanted_address_is_told_as_far_as_it_is_known(void **state)
{
    static const struct {
        const char *address, *wanted;
    } rows[] = {
        {"tcp://127.0.0.1:7", "tcp://127.0.0.1:7"},
        {"udp://*:7", "udp://[::]:7"},
        {"tcp://a.invalid:7", NULL},
        {"unix:@x", NULL},
        {"systemd:web", NULL},
    };
    char text[ADDRESS_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct settings settings = make_settings(rows[i].address);
        const char *wanted = socket_wanted_address(&settings, NULL, text);
        print_message("%s\n", rows[i].address);
        if (rows[i].wanted == NULL)
            assert_null(wanted);
        else
            assert_string_equal(wanted, rows[i].wanted);
        settings_done(&settings);
    }
}

/* ---- while it is open ------------------------------------------------------------------------ */

static void
what_bind_has_settled_cannot_change(void **state)
{
    struct settings old = make_settings("tcp://127.0.0.1:7");
    struct settings same = make_settings("tcp://127.0.0.1:7");
    struct settings other = make_settings("tcp://127.0.0.1:8");
    struct errors errors = {0};

    (void)state;
    assert_true(socket_stays(&old, &same, &errors));
    assert_false(socket_stays(&old, &other, &errors));
    assert_int_equal(errors.count, 0);
    same.reuse_port = true;
    assert_true(socket_stays(&old, &same, &errors));
    assert_int_equal(errors.count, 1);
    assert_non_null(strstr(errors.texts[0], "reuse_port: cannot change while the socket is open; "
                                            "stop the listener first"));
    errors_done(&errors);
    settings_done(&old);
    settings_done(&same);
    settings_done(&other);
}

/* A socket that is none, or that has no clients that connect, is not shut down. */
static void
only_a_listening_socket_can_be_shut_down(void **state)
{
    struct settings stream = make_settings("tcp://127.0.0.1:0");
    struct settings datagram = make_settings("udp://127.0.0.1:0");
    struct listening_socket none = LISTENING_SOCKET_NONE, listening;

    (void)state;
    none.stream = true;
    assert_int_equal(socket_revive(&none, &stream), 0);
    open_well(&stream, &listening);
    assert_int_equal(socket_revive(&listening, &stream), 0);
    socket_close(&listening);
    open_well(&datagram, &listening);
    assert_int_equal(socket_revive(&listening, &datagram), 0);
    socket_close(&listening);
    settings_done(&stream);
    settings_done(&datagram);
}

/* At the port that the kernel had chosen for it, although the kernel forgets it. */
static void
shut_down_socket_listens_again_where_it_was(void **state)
{
    struct settings settings = make_settings("tcp://127.0.0.1:0");
    static const struct in_addr loopback = {.s_addr = 0x0100007f};
    struct listening_socket listening;

    (void)state;
    open_well(&settings, &listening);
    in_port_t port = htons((uint16_t)atoi(strrchr(listening.address, ':') + 1));
    int fd = listening.fd;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(shutdown(listening.fd, SHUT_RDWR), 0);
        assert_int_equal(connect_to(AF_INET, &loopback, port), -ECONNREFUSED);
        assert_in_range(socket_revive(&listening, &settings), SOCKET_REVIVED, SOCKET_REPLACED);
        assert_int_equal(listening.fd, fd);
        assert_int_equal(connect_to(AF_INET, &loopback, port), 0);
    }
    socket_close(&listening);
    settings_done(&settings);
}

/* Only its socket unit can open it anew. */
static void
shut_down_socket_of_a_unit_is_not_replaced(void **state)
{
    struct settings settings = make_settings("unix:@sockserverd-test-passed");
    struct listening_socket listening;

    (void)state;
    open_well(&settings, &listening);
    listening.passed = true;
    assert_int_equal(shutdown(listening.fd, SHUT_RDWR), 0);
    assert_int_equal(socket_revive(&listening, &settings), -ENOTCONN);
    socket_close(&listening);
    settings_done(&settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_every_kind_of_address),
        cmocka_unit_test(star_is_both_families_unless_ipv6_only),
        cmocka_unit_test(sets_the_options_asked_for),
        cmocka_unit_test(datagrams_tell_where_they_came_to_and_are_not_shared),
        cmocka_unit_test(datagrams_to_one_address_need_not_tell_it),
        cmocka_unit_test(ipv6_datagrams_tell_it_for_both_families),
        cmocka_unit_test(queue_has_the_size_asked_for),
        cmocka_unit_test(problems_name_the_remedy),
        cmocka_unit_test(a_name_is_bound_at_the_address_that_was_found_for_it),
        cmocka_unit_test(c17_a_taken_port_is_refused_1024_times_without_leaking_a_descriptor),
        in_folder(c17_a_live_path_is_refused_1024_times_without_leaking_a_descriptor),
        cmocka_unit_test(reuse_port_lets_two_share_a_port),
        cmocka_unit_test(datagrams_tell_their_address_where_there_may_be_several),
        cmocka_unit_test(larger_send_buffer_of_datagrams_stays),
        cmocka_unit_test(backlog_is_the_kernels_most_unless_it_is_given),
        cmocka_unit_test(wanted_address_is_told_as_far_as_it_is_known),
        cmocka_unit_test(what_bind_has_settled_cannot_change),
        cmocka_unit_test(only_a_listening_socket_can_be_shut_down),
        cmocka_unit_test(shut_down_socket_listens_again_where_it_was),
        cmocka_unit_test(shut_down_socket_of_a_unit_is_not_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
