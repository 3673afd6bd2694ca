/* SPDX-License-Identifier: MIT */
/*
 * test_datagram.c - datagrams over real sockets: who sent them, what is answered, what is left
 * behind
 */
#include "worker_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "worker/transport/unread.h"

static struct fixture fixture;
static struct ss_request *request; /* the fixture's */
static struct sockaddr_storage address;
static socklen_t address_size; /* of the server */
static int client;

static void
open_server(int family, const struct sockaddr *where, socklen_t size)
{
    int server = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

    fixture_open(&fixture, &datagram_transport);
    request = fixture.request;
    assert_int_equal(bind(server, where, size), 0);
    address_size = sizeof(address);
    assert_int_equal(getsockname(server, (struct sockaddr *)&address, &address_size), 0);
    if (family == AF_UNIX)
        assert_int_equal(setsockopt(server, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    if (family == AF_INET)
        assert_int_equal(setsockopt(server, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)), 0);
    if (family == AF_INET6)
        assert_int_equal(setsockopt(server, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)), 0);
    fixture.server.socket = server;
    fixture.server.ipv6 = family == AF_INET6;
    fixture.server.settings.write_timeout = 5;
    assert_int_equal(datagram_transport.prepare(&fixture.server), 0);
    assert_false(fcntl(server, F_GETFL) & O_NONBLOCK);
    client = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int
open_udp(void **state)
{
    const struct sockaddr_in where = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    (void)state;
    open_server(AF_INET, (const struct sockaddr *)&where, sizeof(where));
    return 0;
}

static int
open_unix(void **state)
{
    const struct sockaddr_un where = {.sun_family = AF_UNIX}; /* the kernel finds a name */

    (void)state;
    open_server(AF_UNIX, (const struct sockaddr *)&where, sizeof(sa_family_t));
    return 0;
}

static int
close_it(void **state)
{
    (void)state;
    (void)close(client);
    (void)close(fixture.server.socket);
    fixture_close(&fixture);
    return 0;
}

static void
name_client(void)
{
    const struct sockaddr_un where = {.sun_family = AF_UNIX};

    assert_int_equal(bind(client, (const struct sockaddr *)&where, sizeof(sa_family_t)), 0);
}

static void
send_packet(const char *bytes, size_t size)
{
    assert_int_equal(
        sendto(client, bytes, size, 0, (const struct sockaddr *)&address, address_size), size);
}

static void
take_packet(void)
{
    assert_int_equal(datagram_transport.get_request(request), 0);
    request_take(request);
    request->reason = CLOSE_DONE;
    request->error = 0;
    output_reset(&request->output);
}

/* Ends the request; what the client then finds, or "nothing". */
static const char *
reply(enum reply_mode mode, const char *written)
{
    static char bytes[100];
    struct sockaddr_storage from;
    socklen_t size = sizeof(from);

    fixture.server.settings.reply = mode;
    assert_int_equal(ss_write(request, written, strlen(written)), 0);
    datagram_transport.shutdown_request(request);
    datagram_transport.close_request(request);
    ssize_t got =
        recvfrom(client, bytes, sizeof(bytes) - 1, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (got < 0)
        return "nothing";
    assert_int_equal(size, address_size); /* from where it was asked */
    assert_memory_equal(&from, &address, size);
    bytes[got] = '\0';
    return bytes;
}

static void
packet_is_received_whole(void **state)
{
    size_t size;

    (void)state;
    send_packet("hello", 5);
    take_packet();
    assert_memory_equal(ss_packet(request, &size), "hello", 5);
    assert_int_equal(size, 5);
    assert_false(ss_truncated(request));
    assert_string_equal(reply(REPLY_IF_WRITTEN, "HELLO"), "HELLO");
}

static void
empty_packet_is_a_request(void **state)
{
    size_t size = 1;

    (void)state;
    send_packet("", 0);
    take_packet();
    assert_non_null(ss_packet(request, &size));
    assert_int_equal(size, 0);
    assert_string_equal(reply(REPLY_IF_WRITTEN, "x"), "x");
}

static void
long_packet_is_cut_and_flagged(void **state)
{
    static const struct {
        size_t size, kept;
        bool truncated;
    } rows[] = {{7, 7, false}, {8, 8, false}, {9, 8, true}, {5000, 8, true}, {3, 3, false}};
    static char bytes[5000];
    size_t size;

    (void)state;
    fixture.server.settings.max_packet_size = 8;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        send_packet(bytes, rows[i].size);
        take_packet();
        (void)ss_packet(request, &size);
        assert_int_equal(size, rows[i].kept);
        assert_int_equal(ss_truncated(request), rows[i].truncated);
    }
}

static void
reply_goes_by_its_mode(void **state)
{
    static const struct {
        enum reply_mode mode;
        const char *written, *expected;
    } rows[] = {
        {REPLY_IF_WRITTEN, "x", "x"},  {REPLY_IF_WRITTEN, "", "nothing"},
        {REPLY_ALWAYS, "x", "x"},      {REPLY_ALWAYS, "", ""},
        {REPLY_NEVER, "x", "nothing"}, {REPLY_NEVER, "", "nothing"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        send_packet("?", 1);
        take_packet();
        assert_string_equal(reply(rows[i].mode, rows[i].written), rows[i].expected);
    }
}

static void
failed_request_is_not_answered(void **state)
{
    (void)state;
    send_packet("?", 1);
    take_packet();
    request->reason = CLOSE_FAILED;
    assert_string_equal(reply(REPLY_ALWAYS, "partial"), "nothing");
    send_packet("?", 1);
    take_packet();
    (void)output_fail(request, -EIO);
    datagram_transport.shutdown_request(request);
    assert_int_equal(recv(client, &(char){0}, 1, MSG_DONTWAIT), -1);
}

static void
unnamed_sender_is_not_answered(void **state)
{
    (void)state;
    send_packet("?", 1);
    take_packet();
    assert_true(request->datagram.mute);
    assert_int_equal(request->client.size, 0);
    assert_string_equal(reply(REPLY_ALWAYS, "x"), "nothing");
    assert_int_equal(request->error, 0);
    assert_int_equal(request->reason, CLOSE_DONE);
}

static void
unix_sender_is_known(void **state)
{
    struct ss_credentials credentials = {0};

    (void)state;
    name_client();
    send_packet("?", 1);
    take_packet();
    assert_int_equal(ss_client_credentials(request, &credentials), 0);
    assert_int_equal(credentials.pid, getpid());
    assert_int_equal(credentials.uid, getuid());
    assert_string_equal(reply(REPLY_IF_WRITTEN, "x"), "x");
}

static void
sender_that_is_gone_has_vanished(void **state)
{
    (void)state;
    name_client();
    send_packet("?", 1);
    take_packet();
    (void)close(client);
    client = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_string_equal(reply(REPLY_IF_WRITTEN, "x"), "nothing");
    assert_int_equal(request->reason, CLOSE_VANISHED);
    assert_int_equal(request->error, 0);
}

/* Anyone who may send may attach descriptors; none may stay in the worker. */
static void
attached_descriptors_are_closed(void **state)
{
    int before = open_descriptors();
    struct iovec part = {.iov_base = (char[]){'?'}, .iov_len = 1};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(20 * sizeof(int))];
    } control;

    (void)state;
    for (unsigned count = 1; count <= 20; count++) {
        struct msghdr message = {
            .msg_name = &address,
            .msg_namelen = address_size,
            .msg_iov = &part,
            .msg_iovlen = 1,
            .msg_control = &control,
            .msg_controllen = CMSG_SPACE(count * sizeof(int)),
        };
        memset(&control, 0, sizeof(control));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
        for (unsigned i = 0; i < count; i++)
            memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &client, sizeof(int));
        assert_int_equal(sendmsg(client, &message, 0), 1);
        take_packet();
        assert_int_equal(open_descriptors(), before);
        assert_int_equal(request->client.credentials_state, 1);
    }
}

/* After one wait in vain nobody is waited for, until a while has passed. */
static void
receivers_that_do_not_read_are_waited_for_seldom(void **state)
{
    (void)state;
    assert_true(unread_patient(&fixture.server));
    unread_note(&fixture.server);
    assert_false(unread_patient(&fixture.server));
    counter_set(fixture.server.counters->impatient_until, monotonic_now());
    assert_true(unread_patient(&fixture.server));
}

#define UDP(function)  cmocka_unit_test_setup_teardown(function, open_udp, close_it)
#define UNIX(function) cmocka_unit_test_setup_teardown(function, open_unix, close_it)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        UDP(packet_is_received_whole),
        UDP(empty_packet_is_a_request),
        UDP(long_packet_is_cut_and_flagged),
        UNIX(long_packet_is_cut_and_flagged),
        UDP(reply_goes_by_its_mode),
        UDP(failed_request_is_not_answered),
        UNIX(unnamed_sender_is_not_answered),
        UNIX(unix_sender_is_known),
        UNIX(sender_that_is_gone_has_vanished),
        UNIX(attached_descriptors_are_closed),
        UNIX(receivers_that_do_not_read_are_waited_for_seldom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
