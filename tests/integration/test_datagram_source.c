/* SPDX-License-Identifier: MIT */
/*
 * test_datagram_source.c - datagrams whose source is not their sender's
 *
 * They are written byte for byte to a raw socket, in a network namespace of
 * this program's own, which only root can make.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "support/client.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/test.h"

/* ---- a network of our own ------------------------------------------------------- */

static void
set_interface(const char *name, const char *ipv4)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK};
    struct sockaddr_storage address;

    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ipv4 == NULL) {
        assert_return_code(ioctl(fd, SIOCSIFFLAGS, &request), errno);
    } else {
        (void)client_resolve(ipv4, &address);
        memcpy(&request.ifr_addr, &address, sizeof request.ifr_addr);
        assert_return_code(ioctl(fd, SIOCSIFADDR, &request), errno);
        ((struct sockaddr_in *)&request.ifr_netmask)->sin_addr.s_addr = htonl(0xffffff00);
        assert_return_code(ioctl(fd, SIOCSIFNETMASK, &request), errno);
    }
    (void)close(fd);
}

/* The whole program moves there, at its first test. */
static void
enter_network(void)
{
    static bool entered;

    if (entered)
        return;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
        print_message("skipped: only root makes a network namespace\n");
        skip();
    }
    entered = true;
    set_interface("lo", NULL);
}

/* ---- raw datagrams ---------------------------------------------------------------- */

static size_t
put_ipv4(char *packet, const struct sockaddr_in *from, const struct sockaddr_in *to, size_t size)
{
    struct iphdr head = {.version = 4,
                         .ihl = 5,
                         .ttl = 64,
                         .protocol = IPPROTO_UDP,
                         .saddr = from->sin_addr.s_addr,
                         .daddr = to->sin_addr.s_addr};

    head.tot_len = htons((uint16_t)(sizeof head + size));
    memcpy(packet, &head, sizeof head);
    return sizeof head;
}

static size_t
put_ipv6(char *packet, const struct sockaddr_in6 *from, const struct sockaddr_in6 *to, size_t size)
{
    struct ip6_hdr head = {.ip6_src = from->sin6_addr, .ip6_dst = to->sin6_addr};

    head.ip6_vfc = 6 << 4;
    head.ip6_nxt = IPPROTO_UDP;
    head.ip6_hlim = 64;
    head.ip6_plen = htons((uint16_t)size);
    memcpy(packet, &head, sizeof head);
    return sizeof head;
}

/* UDP over IPv6 demands it. */
static uint16_t
checksum(const struct sockaddr_in6 *from, const struct sockaddr_in6 *to, const char *udp,
         size_t size)
{
    uint32_t sum = IPPROTO_UDP + (uint32_t)size;
    uint16_t word;

    for (size_t i = 0; i < 16; i += 2) {
        memcpy(&word, from->sin6_addr.s6_addr + i, 2);
        sum += ntohs(word);
        memcpy(&word, to->sin6_addr.s6_addr + i, 2);
        sum += ntohs(word);
    }
    for (size_t i = 0; i < size; i += 2) {
        word = (uint16_t)((unsigned char)udp[i] << 8);
        if (i + 1 < size)
            word = (uint16_t)(word | (unsigned char)udp[i + 1]);
        sum += word;
    }
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* One datagram that says it is from there: "udp://127.0.0.1:7". */
static void
send_from(const char *source, const char *destination, const char *text)
{
    struct sockaddr_storage from, to;
    socklen_t size = client_resolve(destination, &to);
    bool ipv6 = to.ss_family == AF_INET6;
    struct udphdr udp = {0};
    char packet[256];
    size_t length = sizeof udp + strlen(text), head;
    int raw = socket(to.ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

    assert_return_code(raw, errno);
    (void)client_resolve(source, &from);
    head = ipv6 ? put_ipv6(packet, (struct sockaddr_in6 *)&from, (struct sockaddr_in6 *)&to, length)
                : put_ipv4(packet, (struct sockaddr_in *)&from, (struct sockaddr_in *)&to, length);
    udp.source = ((struct sockaddr_in *)&from)->sin_port;
    udp.dest = ((struct sockaddr_in *)&to)->sin_port;
    udp.len = htons((uint16_t)length);
    memcpy(packet + head, &udp, sizeof udp);
    memcpy(packet + head + sizeof udp, text, strlen(text));
    if (ipv6) {
        udp.check = htons(checksum((struct sockaddr_in6 *)&from, (struct sockaddr_in6 *)&to,
                                   packet + head, length));
        memcpy(packet + head, &udp, sizeof udp);
        ((struct sockaddr_in6 *)&to)->sin6_port = 0; /* a raw socket knows no ports */
    }
    assert_int_equal(sendto(raw, packet, head + length, 0, (struct sockaddr *)&to, size),
                     head + length);
    (void)close(raw);
}

/* ---- what the daemon makes of them ---------------------------------------------------- */

static const char *
port_of(const char *address)
{
    return strrchr(address, ':') + 1;
}

/* So many were refused, and others are answered all the same; none has answered itself. */
static void
expect_refused(struct daemon *daemon, const char *name, long refused, long others)
{
    const char *address = daemon_address(daemon, name);
    const char *port = port_of(address);

    if (strstr(address, "0.0.0.0") != NULL || strstr(address, "[::]") != NULL)
        address = text_of("udp://127.0.0.1:%s", port);
    WAIT_UNTIL(control_figure(daemon, name, "refused") == refused);
    assert_string_equal(client_ask(address, "still here"), "still here");
    WAIT_UNTIL(control_figure(daemon, name, "accepted") == refused + others + 1);
    assert_int_equal(control_figure(daemon, name, "refused"), refused);
}

static void
the_own_address_is_not_answered(void **state)
{
    const struct server_case *server = *state;

    enter_network();
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "echo", "");
    const char *address = daemon_address(daemon, "test");

    for (int i = 0; i < 3; i++)
        send_from(address, address, "to myself");
    expect_refused(daemon, "test", 3, 0);
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "is not answered, because"), 1);
    assert_contains(daemon_log(daemon),
                    text_of("a datagram from %s is not answered, because its source is a listener "
                            "of this daemon; such datagrams are dropped and counted as refused",
                            address + strlen("udp://")));
}

static void
no_address_of_the_machine_is_answered_at_the_own_port(void **state)
{
    (void)state;
    enter_network();
    struct daemon *daemon =
        daemon_start("listeners = { test = { address = \"udp://*:0\"; plugin = \"echo\"; }; };");
    const char *port = port_of(daemon_address(daemon, "test"));

    send_from(text_of("udp://127.0.0.1:%s", port), text_of("udp://127.0.0.1:%s", port), "x");
    send_from(text_of("udp://127.1.2.3:%s", port), text_of("udp://127.0.0.1:%s", port), "x");
    send_from(text_of("udp://[::1]:%s", port), text_of("udp://[::1]:%s", port), "x");
    /* Another machine may use the same port: it is answered. */
    send_from(text_of("udp://192.0.2.7:%s", port), text_of("udp://127.0.0.1:%s", port), "x");
    expect_refused(daemon, "test", 3, 1);
    daemon_expect_stop(daemon);
}

/* Then every address can be bound, and tells nothing. */
static void
a_strangers_address_that_can_be_bound_stays_a_strangers(void **state)
{
    (void)state;
    enter_network();
    int setting = open("/proc/sys/net/ipv4/ip_nonlocal_bind", O_WRONLY | O_CLOEXEC);
    if (setting < 0 || write(setting, "1", 1) != 1) {
        print_message("skipped: net.ipv4.ip_nonlocal_bind cannot be set here\n");
        skip();
    }
    struct daemon *daemon = daemon_serve("udp", "none", "echo", "");
    const char *address = daemon_address(daemon, "test");

    send_from(address, address, "x");
    send_from(text_of("udp://198.51.100.7:%s", port_of(address)), address, "x");
    expect_refused(daemon, "test", 1, 1);
    assert_int_equal(pwrite(setting, "0", 1, 0), 1);
    (void)close(setting);
    daemon_expect_stop(daemon);
}

static bool
can_bind(const char *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_storage place;
    socklen_t size = client_resolve(address, &place);
    bool bound = bind(fd, (struct sockaddr *)&place, size) == 0;

    (void)close(fd);
    return bound;
}

static void
another_listener_is_not_answered_as_long_as_it_is_there(void **state)
{
    (void)state;
    enter_network();
    const char *two = listener_text("two", "udp", "threading", "echo", "");
    struct daemon *daemon =
        daemon_start("listeners = {\n%s%s};", listener_text("one", "udp", "none", "echo", ""), two);
    const char *first = daemon_address(daemon, "one"), *second = daemon_address(daemon, "two");
    const char *text = file_text(daemon_file(daemon)), *at = strstr(text, two);

    send_from(second, first, "x");
    expect_refused(daemon, "one", 1, 0);
    send_from(first, second, "x");
    expect_refused(daemon, "two", 1, 0);
    assert_non_null(at);
    (void)test_file(strrchr(daemon_file(daemon), '/') + 1,
                    text_of("%.*s%s", (int)(at - text), text, at + strlen(two)));
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log(daemon, "reloaded: ");
    WAIT_UNTIL(can_bind(second));
    send_from(second, first, "x");
    expect_refused(daemon, "one", 1, 2); /* the other is "still here" */
    daemon_expect_stop(daemon);
}

struct source {
    const char *address;
    const char *reason;
};

static const struct source no_sources[] = {
    {"udp://127.0.0.1:0", "its source port is 0"},
    {"udp://0.0.0.1:5000", "its source is no address"},
    {"udp://224.0.0.1:5000", "its source is a multicast address"},
    {"udp://239.255.1.2:5000", "its source is a multicast address"},
    {"udp://255.255.255.255:5000", "its source is a broadcast address"},
    {"udp://127.255.255.255:5000", "its source is a broadcast address"},
    {"udp://[::1]:0", "its source port is 0"},
    {"udp://[::]:5000", "its source is no address"},
};

static void
what_is_no_clients_address_is_not_answered(void **state)
{
    const size_t count = sizeof no_sources / sizeof *no_sources;

    (void)state;
    enter_network();
    struct daemon *daemon =
        daemon_start("log = { access = true; }; listeners = { test = { address = \"udp://*:0\"; "
                     "plugin = \"echo\"; }; };");
    const char *port = port_of(daemon_address(daemon, "test"));

    for (size_t i = 0; i < count; i++) {
        const char *host = no_sources[i].address[6] == '[' ? "[::1]" : "127.0.0.1";
        send_from(no_sources[i].address, text_of("udp://%s:%s", host, port), "x");
        (void)daemon_wait_log(
            daemon, text_of("%s: refused: %s", no_sources[i].address + 6, no_sources[i].reason));
    }
    expect_refused(daemon, "test", (long)count, 0);
    daemon_expect_stop(daemon);
    assert_int_equal(daemon_count_log(daemon, "is not answered, because"), 1);
}

/* An interface that came later: the kernel refuses the answer. */
static void
a_broadcast_address_that_came_later_is_not_answered(void **state)
{
    const struct server_case *server = *state;

    enter_network();
    struct daemon *daemon = daemon_serve(server->scheme, server->mixin, "echo", "");
    const char *address = daemon_address(daemon, "test");

    set_interface(text_of("lo:%d", (int)getpid() % 1000), "udp://10.98.76.1:1");
    send_from("udp://10.98.76.255:5000", address, "x");
    expect_refused(daemon, "test", 1, 0);
    daemon_expect_stop(daemon);
    assert_contains(daemon_log(daemon), "its source is a broadcast address");
    assert_lacks(daemon_log(daemon), "cannot answer");
}

static void
a_stock_plugin_answers_no_reflecting_port(void **state)
{
    static const int ports[] = {7, 11, 13, 17, 19, 37, 53, 69, 123};
    const char *plugin = *state;
    const long count = sizeof ports / sizeof *ports;

    enter_network();
    struct daemon *daemon = daemon_serve("udp", "none", plugin, "");
    const char *address = daemon_address(daemon, "test");

    for (long i = 0; i < count; i++)
        send_from(text_of("udp://192.0.2.1:%d", ports[i]), address, "x");
    WAIT_UNTIL(control_figure(daemon, "test", "refused") == count);
    send_from("udp://192.0.2.1:1024", address, "x");
    WAIT_UNTIL(control_figure(daemon, "test", "accepted") == count + 1);
    assert_int_equal(control_figure(daemon, "test", "refused"), count);
    daemon_expect_stop(daemon);
}

#define STOCK(plugin) TEST_ROW(a_stock_plugin_answers_no_reflecting_port, plugin, plugin)

RUN_TESTS(TEST_EACH_MIXIN(the_own_address_is_not_answered, "udp"),
          TEST(no_address_of_the_machine_is_answered_at_the_own_port),
          TEST(a_strangers_address_that_can_be_bound_stays_a_strangers),
          TEST(another_listener_is_not_answered_as_long_as_it_is_there),
          TEST(what_is_no_clients_address_is_not_answered),
          TEST_CASE(a_broadcast_address_that_came_later_is_not_answered, "udp", "none"),
          TEST_CASE(a_broadcast_address_that_came_later_is_not_answered, "udp", "threading"),
          STOCK("echo"), STOCK("chargen"), STOCK("daytime"), STOCK("time"), STOCK("upper"),
          STOCK("example_datagram"))
