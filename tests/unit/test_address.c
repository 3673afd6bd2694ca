/* SPDX-License-Identifier: MIT */
/*
 * test_address.c - addresses: text, parts, socket address, and back
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/address.h"
#include "common/array.h"
#include "common/cleanup.h"

/* It takes the C library's place in the program; the test says what goes wrong. */
static int lookup_error, lookup_errno;

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
            struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    errno = lookup_errno;
    return lookup_error != 0 ? lookup_error : real(node, service, hints, ret);
}

static void
parts_are_told_apart(void **state)
{
    static const struct {
        const char *text;
        enum address_scheme scheme;
        const char *host, *port, *path;
    } rows[] = {
        {"tcp://127.0.0.1:9999", ADDRESS_TCP, "127.0.0.1", "9999", NULL},
        {"tcp://localhost:http", ADDRESS_TCP, "localhost", "http", NULL},
        {"tcp://*:0", ADDRESS_TCP, "*", "0", NULL},
        {"udp://[::1]:53", ADDRESS_UDP, "::1", "53", NULL},
        {"udp://[fe80::1%lo]:53", ADDRESS_UDP, "fe80::1%lo", "53", NULL},
        {"unix:///run/x.sock", ADDRESS_UNIX, NULL, NULL, "/run/x.sock"},
        {"unix:///with space", ADDRESS_UNIX, NULL, NULL, "/with space"},
        {"unix:@name", ADDRESS_UNIX, NULL, NULL, "@name"},
        {"unixgram:///x", ADDRESS_UNIXGRAM, NULL, NULL, "/x"},
        {"unixgram:@x", ADDRESS_UNIXGRAM, NULL, NULL, "@x"},
        {"systemd:web", ADDRESS_SYSTEMD, NULL, NULL, "web"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *problem = NULL;
        struct address address, copy;

        print_message("%s\n", rows[i].text);
        assert_int_equal(address_parse(rows[i].text, &address, &problem), 0);
        assert_int_equal(address_copy(&address, &copy), 0);
        address_done(&address);
        assert_null(address.text);
        assert_int_equal(copy.scheme, rows[i].scheme);
        assert_string_equal(copy.text, rows[i].text);
        assert_true(rows[i].host == NULL ? !copy.host : strcmp(copy.host, rows[i].host) == 0);
        assert_true(rows[i].port == NULL ? !copy.port : strcmp(copy.port, rows[i].port) == 0);
        assert_true(rows[i].path == NULL ? !copy.path : strcmp(copy.path, rows[i].path) == 0);
        address_done(&copy);
    }
}

/* The words are in tests/conf/bad/addresses.expected. */
static void
mistakes_are_refused_and_explained(void **state)
{
    static const char *const rows[] = {
        "",
        "9999",
        "localhost:80",
        "http://x:80",
        "tcp://",
        "tcp://x",
        "tcp://x:",
        "tcp://:80",
        "tcp://x:80/",
        "tcp://x:65536",
        "tcp://x:-1",
        "tcp://::1:80",
        "tcp://[::1]80",
        "tcp://[]:80",
        "tcp://[*]:80",
        "tcp://[1.2.3.4]:80",
        "tcp://x y:80",
        "tcp://x\n:80",
        "unix:",
        "unix:relative",
        "unix://host/path",
        "unix:@",
        "unix:///",
        "systemd:",
        "systemd:a:b",
        "systemd://x",
        "TCP://127.0.0.1:80",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *problem = NULL;
        struct address address = {.scheme = ADDRESS_SYSTEMD};

        print_message("\"%s\"\n", rows[i]);
        assert_int_equal(address_parse(rows[i], &address, &problem), -EINVAL);
        assert_non_null(problem);
        assert_null(strchr(problem, '\n'));
        assert_null(address.text); /* untouched */
        assert_int_equal(address.scheme, ADDRESS_SYSTEMD);
    }
}

static void
unix_path_may_be_107_characters_long(void **state)
{
    char text[200] = "unix:///";
    _cleanup_free_ char *problem = NULL;
    struct address address;
    char shown[ADDRESS_TEXT_SIZE];
    struct resolved to;

    (void)state;
    memset(text + 8, 'p', 106);
    assert_int_equal(address_parse(text, &address, &problem), 0);
    assert_int_equal(address_resolve(&address, &to, &problem), 0);
    assert_string_equal(address_format((struct sockaddr *)&to.address, to.size, true, shown), text);
    address_done(&address);
    text[8 + 106] = 'p';
    assert_int_equal(address_parse(text, &address, &problem), -EINVAL);
}

/* Resolved and shown again, an address is what was written. */
static void
resolved_address_reads_as_written(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"tcp://127.0.0.1:9999", "tcp://127.0.0.1:9999"},
        {"udp://[::1]:53", "udp://[::1]:53"},
        {"tcp://*:7", "tcp://[::]:7"},
        {"tcp://localhost:80", "tcp://127.0.0.1:80"}, /* IPv4 first */
        {"unix:///run/x.sock", "unix:///run/x.sock"},
        {"unix:@name", "unix:@name"},
        {"unixgram:///x", "unixgram:///x"},
        {"unixgram:@name", "unixgram:@name"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *problem = NULL;
        char shown[ADDRESS_TEXT_SIZE];
        struct address address;
        struct resolved to;

        print_message("%s\n", rows[i].text);
        assert_int_equal(address_parse(rows[i].text, &address, &problem), 0);
        assert_int_equal(address_resolve(&address, &to, &problem), 0);
        assert_int_equal(to.any, strchr(rows[i].text, '*') != NULL);
        assert_string_equal(address_format((struct sockaddr *)&to.address, to.size,
                                           address_is_stream(&address), shown),
                            rows[i].shown);
        address_done(&address);
    }
}

static void
unknown_service_and_systemd_do_not_resolve(void **state)
{
    static const char *const rows[] = {"tcp://127.0.0.1:no-such-service", "systemd:web"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *parse_problem = NULL, *problem = NULL;
        struct address address;
        struct resolved to = {.size = 77};

        assert_int_equal(address_parse(rows[i], &address, &parse_problem), 0);
        assert_true(address_resolve(&address, &to, &problem) < 0);
        assert_non_null(problem);
        assert_int_equal(to.size, 77);
        address_done(&address);
    }
}

static void
peers_are_shown_without_scheme(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(51234)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(51234)};
    struct sockaddr_un un = {.sun_family = AF_UNIX,
                             .sun_path = "/tmp/\x1b"
                                         "x"};
    const socklen_t unnamed = offsetof(struct sockaddr_un, sun_path);
    char text[ADDRESS_TEXT_SIZE];

    (void)state;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in6.sin6_addr = in6addr_loopback;
    assert_string_equal(address_format_peer((struct sockaddr *)&in, sizeof(in), text),
                        "127.0.0.1:51234");
    assert_string_equal(address_format_peer((struct sockaddr *)&in6, sizeof(in6), text),
                        "[::1]:51234");
    assert_string_equal(address_format_peer((struct sockaddr *)&un, sizeof(un), text), "/tmp/?x");
    assert_string_equal(address_format_peer((struct sockaddr *)&un, unnamed, text), "");
    assert_string_equal(address_format_peer((struct sockaddr *)&in, 0, text), "");
    /* A kernel may give 108 characters without a NUL; cut-off ones must not be read beyond. */
    memset(un.sun_path, 'p', sizeof(un.sun_path));
    assert_int_equal(strlen(address_format_peer((struct sockaddr *)&un, sizeof(un), text)), 108);
    assert_string_equal(address_format_peer((struct sockaddr *)&in6, sizeof(in), text), "");
}

static void
mapped_address_becomes_ipv4(void **state)
{
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr_storage storage = {0};
    char text[ADDRESS_TEXT_SIZE];
    socklen_t size = sizeof(mapped);

    (void)state;
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr), 1);
    memcpy(&storage, &mapped, sizeof(mapped));
    address_unmap(&storage, &size);
    assert_int_equal(size, sizeof(struct sockaddr_in));
    struct sockaddr_in6 back = address_map((const struct sockaddr_in *)&storage);
    assert_memory_equal(&back, &mapped, sizeof(mapped));
    assert_string_equal(address_format_peer((struct sockaddr *)&storage, size, text),
                        "192.0.2.1:80");

    mapped.sin6_addr = in6addr_loopback;
    size = sizeof(mapped);
    memcpy(&storage, &mapped, sizeof(mapped));
    address_unmap(&storage, &size);
    assert_int_equal(storage.ss_family, AF_INET6);
    assert_int_equal(size, sizeof(mapped));
}

/* "text" with its "%s" replaced by so many x. */
static void
expect_longest(const char *format, size_t longest, const char *words)
{
    char filling[300], text[400];

    for (size_t size = longest; size <= longest + 1; size++) {
        _cleanup_free_ char *problem = NULL;
        struct address address = {0};

        memset(filling, 'x', size);
        filling[size] = '\0';
        (void)snprintf(text, sizeof(text), format, filling);
        assert_int_equal(address_parse(text, &address, &problem), size == longest ? 0 : -EINVAL);
        if (size > longest && strstr(problem, words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", problem, words);
        address_done(&address);
    }
}

static void
names_have_a_longest_length(void **state)
{
    (void)state;
    expect_longest("tcp://%s:80", 253, "expected a host name");
    expect_longest("tcp://127.0.0.1:%s", 32, "expected a number from 0 to 65535 or the name of");
    expect_longest("systemd:%s", 255, "FileDescriptorName=");
}

static void
ports_are_numbers_of_16_bits_or_names(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"tcp://x:0", true},       {"tcp://x:65535", true},  {"tcp://x:00080", true},
        {"tcp://x:000080", false}, {"tcp://x:99999", false}, {"tcp://x:9pfs", true},
        {"tcp://x:a-b_c.d", true}, {"tcp://x:-a", false},    {"tcp://x:a/b", false},
        {"tcp://x:a b", false},    {"systemd:/x", false},    {"systemd:x/y", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *problem = NULL;
        struct address address = {0};

        print_message("%s\n", rows[i].text);
        assert_int_equal(address_parse(rows[i].text, &address, &problem),
                         rows[i].good ? 0 : -EINVAL);
        address_done(&address);
    }
}

static void
odd_addresses_are_shown(void **state)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_storage long_unix = {.ss_family = AF_UNIX};
    struct sockaddr other = {.sa_family = AF_APPLETALK};
    char text[ADDRESS_TEXT_SIZE], expected[80], name[IF_NAMESIZE];

    (void)state;
    assert_string_equal(address_format(&other, sizeof(other), true, text), "?");
    assert_string_equal(address_format(&other, 1, true, text), "?");
    assert_string_equal(address_format((struct sockaddr *)&in, 8, true, text), "?");
    assert_string_equal(address_format((struct sockaddr *)&in6, 8, false, text), "?");
    assert_string_equal(address_format_peer(&other, sizeof(other), text), "");

    /* The zone by its name, or by its number if the interface is gone. */
    assert_int_equal(inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr), 1);
    in6.sin6_scope_id = 1;
    (void)snprintf(expected, sizeof(expected), "tcp://[fe80::1%%%s]:80",
                   if_indextoname(1, name) != NULL ? name : "1");
    assert_string_equal(address_format((struct sockaddr *)&in6, sizeof(in6), true, text), expected);
    in6.sin6_scope_id = 987654321;
    assert_string_equal(address_format((struct sockaddr *)&in6, sizeof(in6), true, text),
                        "tcp://[fe80::1%987654321]:80");

    /* More than a Unix address has. */
    memset((char *)&long_unix + sizeof(sa_family_t), 'p', sizeof(long_unix) - sizeof(sa_family_t));
    assert_int_equal(
        strlen(address_format((struct sockaddr *)&long_unix, sizeof(long_unix), true, text)),
        strlen("unix:") + 108);
}

static void
only_whole_mapped_addresses_become_ipv4(void **state)
{
    static const struct {
        const char *host;
        socklen_t size;
        bool mapped;
    } rows[] = {
        {"::ffff:192.0.2.1", sizeof(struct sockaddr_in6), true},
        {"::ffff:192.0.2.1", sizeof(struct sockaddr_in), false},
        {"1::ffff:192.0.2.1", sizeof(struct sockaddr_in6), false},
        {"::1:0:0:ffff:192.0.2.1", sizeof(struct sockaddr_in6), false},
        {"::fffe:192.0.2.1", sizeof(struct sockaddr_in6), false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sockaddr_storage address = {.ss_family = AF_INET6};
        socklen_t size = rows[i].size;

        assert_int_equal(
            inet_pton(AF_INET6, rows[i].host, &((struct sockaddr_in6 *)&address)->sin6_addr), 1);
        address_unmap(&address, &size);
        assert_int_equal(address.ss_family, rows[i].mapped ? AF_INET : AF_INET6);
    }
}

static void
failed_lookups_have_their_reasons(void **state)
{
    static const struct {
        int error, error_number, result;
        const char *words;
    } rows[] = {
        {EAI_NONAME, 0, -EADDRNOTAVAIL, "Name or service not known"},
        {EAI_SYSTEM, EMFILE, -EADDRNOTAVAIL, "Too many open files"},
        {EAI_MEMORY, 0, -ENOMEM, "Memory allocation failure"},
        {EAI_AGAIN, 0, -EAGAIN, "Temporary failure in name resolution"},
        {EAI_SERVICE, 0, -EADDRNOTAVAIL, "no such service; expected a port number or a name"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *problem = NULL;
        struct address address;
        struct resolved to;

        assert_int_equal(address_parse("tcp://somewhere:80", &address, &problem), 0);
        lookup_error = rows[i].error;
        lookup_errno = rows[i].error_number;
        assert_int_equal(address_resolve(&address, &to, &problem), rows[i].result);
        lookup_error = lookup_errno = 0;
        assert_memory_equal(problem, "cannot resolve \"somewhere\" port \"80\": ", 38);
        assert_non_null(strstr(problem, rows[i].words));
        address_done(&address);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_told_apart),
        cmocka_unit_test(mistakes_are_refused_and_explained),
        cmocka_unit_test(unix_path_may_be_107_characters_long),
        cmocka_unit_test(resolved_address_reads_as_written),
        cmocka_unit_test(unknown_service_and_systemd_do_not_resolve),
        cmocka_unit_test(peers_are_shown_without_scheme),
        cmocka_unit_test(mapped_address_becomes_ipv4),
        cmocka_unit_test(names_have_a_longest_length),
        cmocka_unit_test(failed_lookups_have_their_reasons),
        cmocka_unit_test(ports_are_numbers_of_16_bits_or_names),
        cmocka_unit_test(odd_addresses_are_shown),
        cmocka_unit_test(only_whole_mapped_addresses_become_ipv4),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
