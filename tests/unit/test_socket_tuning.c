/* SPDX-License-Identifier: MIT */
/*
 * test_socket_tuning.c - buffers, keepalive, interfaces and addresses to come of listening sockets
 */
#include "socket_fixture.h"

#include <netinet/tcp.h>

#include "common/array.h"
#include "supervisor/socket/socket_change.h"
#include "supervisor/socket/socket_private.h"

#define MIB (1 << 20)

/* The kernel doubles what it is told; without CAP_NET_ADMIN it stops at its limit. */
static bool
may_force(void)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){4096}, sizeof(int)) == 0;
}

static void
datagrams_have_room_for_a_burst(void **state)
{
    static const struct {
        const char *address;
        bool receive, send;
    } rows[] = {
        {"udp://127.0.0.1:0", true, true},
        {"unixgram:@socket-tuning", false, true},
        {"tcp://127.0.0.1:0", false, false},
        {"unix:@socket-tuning", false, false},
    };

    (void)state;
    if (!may_force()) {
        print_message("skipped: this user has no large buffers\n");
        skip();
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct settings settings = make_settings(rows[i].address);
        struct listening_socket listening;

        print_message("%s\n", rows[i].address);
        open_well(&settings, &listening);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_RCVBUF) >= 2 * MIB, rows[i].receive);
        assert_int_equal(option(listening.fd, SOL_SOCKET, SO_SNDBUF) >= 2 * MIB, rows[i].send);
        socket_close(&listening);
        settings_done(&settings);
    }
}

/* A reload changes them; what is given no more stays. */
static void
buffers_are_what_is_given(void **state)
{
    struct settings settings = make_settings("udp://127.0.0.1:0");
    struct listening_socket listening;

    (void)state;
    settings.receive_buffer = 32768;
    settings.send_buffer = 16384;
    open_well(&settings, &listening);
    assert_int_equal(option(listening.fd, SOL_SOCKET, SO_RCVBUF), 65536);
    assert_int_equal(option(listening.fd, SOL_SOCKET, SO_SNDBUF), 32768);
    settings.receive_buffer = 65536;
    assert_int_equal(socket_apply(&listening, &settings), 0);
    assert_int_equal(option(listening.fd, SOL_SOCKET, SO_RCVBUF), 131072);
    socket_close(&listening);
    settings_done(&settings);
}

static void
less_than_was_given_is_told(void **state)
{
    struct settings settings = make_settings("udp://127.0.0.1:0");
    struct listening_socket listening;
    char text[1024] = "";
    int ends[2], shown = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)dup2(ends[1], STDERR_FILENO);
    settings.receive_buffer = UINT64_C(1) << 30;
    open_well(&settings, &listening);
    /* Twice as much does not fit into the kernel's number, whoever asks. */
    (void)dup2(shown, STDERR_FILENO);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    assert_non_null(strstr(text, "[test]: receive_buffer: the kernel gives "));
    assert_non_null(strstr(text, " of 1073741824 bytes; raise net.core.rmem_max\n"));
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(shown);
    socket_close(&listening);
    settings_done(&settings);
}

static int
accepted_from(const struct listening_socket *listening, int *ret_client)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    *ret_client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getsockname(listening->fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(*ret_client, (struct sockaddr *)&address, size), 0);
    int fd = accept4(listening->fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void
connections_are_kept_alive_as_long_as_is_said(void **state)
{
    static const struct {
        double keepalive;
        int idle, between;
    } rows[] = {{60, 60, 10}, {1, 1, 1}, {32400, 32400, 5400}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct settings settings = make_settings("tcp://127.0.0.1:0");
        struct listening_socket listening;
        int client;

        settings.keepalive = rows[i].keepalive;
        open_well(&settings, &listening);
        int fd = accepted_from(&listening, &client);
        assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), rows[i].idle);
        assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), rows[i].between);
        assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 6);
        (void)close(fd);
        (void)close(client);
        settings.keepalive = 0;
        assert_int_equal(socket_apply(&listening, &settings), 0);
        fd = accepted_from(&listening, &client);
        assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
        (void)close(fd);
        (void)close(client);
        socket_close(&listening);
        settings_done(&settings);
    }
}

static void
address_to_come_is_bound_when_it_is_wanted(void **state)
{
    static const char *const addresses[] = {"tcp://192.0.2.1:0", "udp://[2001:db8::1]:0"};

    (void)state;
    for (size_t i = 0; i < (have_ipv6() ? 2 : 1); i++) {
        struct settings settings = make_settings(addresses[i]);
        struct listening_socket listening;

        expect_problem(&settings, -EADDRNOTAVAIL, "this machine has no such address");
        settings.freebind = true;
        open_well(&settings, &listening);
        socket_close(&listening);
        settings_done(&settings);
    }
}

static void
interface_is_the_one_that_is_named(void **state)
{
    struct settings settings = make_settings("tcp://127.0.0.1:0");
    struct listening_socket listening;
    char name[16] = "";
    socklen_t size = sizeof(name);

    (void)state;
    settings.interface = strdup("no-such-one");
    assert_true(socket_shares_address(&settings));
    expect_problem(&settings, -ENODEV, "this machine has no such interface; `ip link` shows");
    (void)strcpy(settings.interface, "lo");
    open_well(&settings, &listening);
    assert_int_equal(getsockopt(listening.fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size), 0);
    assert_string_equal(name, "lo");
    socket_close(&listening);
    settings_done(&settings);
}

static void
interface_cannot_change_while_the_socket_is_open(void **state)
{
    static const char *const pairs[][2] = {{NULL, "lo"}, {"lo", NULL}, {"lo", "eth0"}};
    struct errors errors = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct settings one = make_settings("tcp://127.0.0.1:7"),
                        other = make_settings("tcp://127.0.0.1:7");
        one.interface = pairs[i][0] == NULL ? NULL : strdup(pairs[i][0]);
        other.interface = pairs[i][1] == NULL ? NULL : strdup(pairs[i][1]);
        assert_true(socket_stays(&one, &one, &errors));
        assert_int_equal(errors.count, i);
        assert_true(socket_stays(&one, &other, &errors));
        assert_int_equal(errors.count, i + 1);
        assert_non_null(strstr(errors.texts[i], "interface: cannot change while the socket is "));
        settings_done(&one);
        settings_done(&other);
    }
    errors_done(&errors);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_have_room_for_a_burst),
        cmocka_unit_test(buffers_are_what_is_given),
        cmocka_unit_test(less_than_was_given_is_told),
        cmocka_unit_test(connections_are_kept_alive_as_long_as_is_said),
        cmocka_unit_test(address_to_come_is_bound_when_it_is_wanted),
        cmocka_unit_test(interface_is_the_one_that_is_named),
        cmocka_unit_test(interface_cannot_change_while_the_socket_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
