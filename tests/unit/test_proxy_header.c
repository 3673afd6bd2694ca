/* SPDX-License-Identifier: MIT */
/*
 * test_proxy_header.c - PROXY headers, good and bad, whole and in pieces
 *
 * Each header is put at the end of memory of its own, so that a sanitizer sees
 * whoever reads behind it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/address.h"
#include "common/array.h"
#include "worker/request/proxy_header.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

struct outcome {
    int result;
    struct proxy_header header;
    char mistake[PROXY_MISTAKE_SIZE];
};

static struct outcome
parse(const void *bytes, size_t size)
{
    struct outcome outcome = {0};
    char *copy = malloc(size == 0 ? 1 : size);

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    outcome.result = proxy_header_parse(copy, size, &outcome.header, outcome.mistake);
    free(copy);
    return outcome;
}

static void
expect_same(const struct outcome *one, const struct outcome *other, size_t cut)
{
    if (one->result != other->result || one->header.size != other->header.size ||
        one->header.client_size != other->header.client_size ||
        memcmp(&one->header.client, &other->header.client, sizeof(one->header.client)) != 0 ||
        strcmp(one->mistake, other->mistake) != 0)
        fail_msg("of %zu bytes: %d \"%s\"; of all: %d \"%s\"", cut, one->result, one->mistake,
                 other->result, other->mistake);
}

/* Whatever can be said of the first bytes is what is said of all. Returns how many it takes. */
static size_t
expect_same_in_pieces(const char *bytes, size_t size, const struct outcome *whole)
{
    size_t decided = size + 1;

    for (size_t cut = 0; cut <= size; cut++) {
        struct outcome part = parse(bytes, cut);
        if (part.result == 0) {
            assert_int_equal(decided, size + 1);
            continue;
        }
        if (decided > size)
            decided = cut;
        expect_same(&part, whole, cut);
    }
    if (whole->result == 1)
        assert_int_equal(decided, whole->header.size);
    return decided;
}

/* ---- version 1 ------------------------------------------------------------------------------ */

static void
expect_client(const struct outcome *outcome, const char *expected)
{
    char text[ADDRESS_TEXT_SIZE];

    if (expected == NULL) {
        assert_int_equal(outcome->header.client_size, 0);
        return;
    }
    assert_string_equal(address_format_peer((const struct sockaddr *)&outcome->header.client,
                                            outcome->header.client_size, text),
                        expected);
}

static void
good_lines_are_read(void **state)
{
    static const struct {
        const char *line, *client; /* NULL: nobody */
    } rows[] = {
        {"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n", "192.0.2.7:51234"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
        {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0"},
        {"PROXY TCP6 2001:db8::7 ::1 51234 443\r\n", "[2001:db8::7]:51234"},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {"PROXY UNKNOWN\r\n", NULL},
        {"PROXY UNKNOWN \r\n", NULL},
        {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         NULL},
    };
    char bytes[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t size = (size_t)snprintf(bytes, sizeof(bytes), "%sGET / \x16\x03\x01", rows[i].line);
        struct outcome outcome = parse(bytes, size);

        assert_int_equal(outcome.result, 1);
        assert_int_equal(outcome.header.size, strlen(rows[i].line));
        expect_client(&outcome, rows[i].client);
        (void)expect_same_in_pieces(bytes, size, &outcome);
    }
}

static void
bad_lines_are_refused(void **state)
{
    static const struct {
        const char *line;
        int error;
        const char *said;
    } rows[] = {
        {"PROXY TCP4  192.0.2.7 198.51.100.1 51234 443\r\n", -EBADMSG, "fewer or more words"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443 \r\n", -EBADMSG, "fewer or more words"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 51234\r\n", -EBADMSG, "fewer or more words"},
        {"PROXY TCP4\r\n", -EBADMSG, "fewer or more words"},
        {"PROXY TCP4\t192.0.2.7 198.51.100.1 51234 443\r\n", -EBADMSG,
         "found \"TCP4?192.0.2.7\"; expected TCP4"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 051234 443\r\n", -EBADMSG, "port \"051234\""},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 00 443\r\n", -EBADMSG, "port \"00\""},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 51234 65536\r\n", -EBADMSG, "port \"65536\""},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n", -EBADMSG, "port \"-1\""},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n", -EBADMSG, "port \"+1\""},
        {"PROXY TCP4 192.0.2.7 198.51.100.1  443\r\n", -EBADMSG, "port \"\""},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 1x 443\r\n", -EBADMSG, "port \"1x\""},
        {"PROXY TCP4 192.0.2.07 198.51.100.1 1 443\r\n", -EBADMSG, "address \"192.0.2.07\""},
        {"PROXY TCP4 192.0.2 198.51.100.1 1 443\r\n", -EBADMSG, "address \"192.0.2\""},
        {"PROXY TCP4 192.0.2.7 198.51.100.256 1 443\r\n", -EBADMSG, "address \"198.51.100.256\""},
        {"PROXY TCP4 2001:db8::7 ::1 1 443\r\n", -EBADMSG, "expected an IPv4 address"},
        {"PROXY TCP6 192.0.2.7 ::1 1 443\r\n", -EBADMSG, "expected an IPv6 address"},
        {"PROXY TCP6 fe80::1%lo ::1 1 443\r\n", -EBADMSG, "expected an IPv6 address"},
        {"PROXY TCP5 192.0.2.7 198.51.100.1 1 443\r\n", -EBADMSG, "expected TCP4, TCP6 or UNKN"},
        {"PROXY tcp4 192.0.2.7 198.51.100.1 1 443\r\n", -EBADMSG, "expected TCP4, TCP6 or UNKN"},
        {"PROXY UNKNOWNS\r\n", -EBADMSG, "found \"UNKNOWNS\""},
        {"PROXY \r\n", -EBADMSG, "found \"\""},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 1 443\n", -EBADMSG, "found byte 0x0a at 39"},
        {"PROXY TCP4 192.0.2.7 198.51.100.1 1 443\r \n", -EBADMSG, "found byte 0x20 behind CR"},
        {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n",
         -EBADMSG, "no CRLF in the first 107 bytes"},
        {"PROXZ TCP4 192.0.2.7 198.51.100.1 1 443\r\n", -ENOMSG, "found byte 0x5a at 4"},
        {"proxy TCP4 192.0.2.7 198.51.100.1 1 443\r\n", -ENOMSG, "found byte 0x70 at 0"},
        {"PROXY\r\n", -ENOMSG, "found byte 0x0d at 5"},
        {" PROXY UNKNOWN\r\n", -ENOMSG, "found byte 0x20 at 0"},
        {"GET / HTTP/1.0\r\n", -ENOMSG, "expected \"PROXY \""},
        {"\r\n\r\nGET", -ENOMSG, "found byte 0x47 at 4"},
        {"\x16\x03\x01", -ENOMSG, "found byte 0x16 at 0"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t size = strlen(rows[i].line);
        struct outcome outcome = parse(rows[i].line, size);

        assert_int_equal(outcome.result, rows[i].error);
        if (strstr(outcome.mistake, rows[i].said) == NULL)
            fail_msg("%s: \"%s\" lacks \"%s\"", rows[i].line, outcome.mistake, rows[i].said);
        assert_true(expect_same_in_pieces(rows[i].line, size, &outcome) <= size);
    }
}

static void
a_zero_byte_ends_no_line(void **state)
{
    static const char line[] = "PROXY TCP4 192.0.2.7\0 198.51.100.1 1 443\r\n";
    struct outcome outcome = parse(line, sizeof(line) - 1);

    (void)state;
    assert_int_equal(outcome.result, -EBADMSG);
    assert_non_null(strstr(outcome.mistake, "found byte 0x00 at 20"));
    (void)expect_same_in_pieces(line, sizeof(line) - 1, &outcome);
}

/* ---- version 2 ------------------------------------------------------------------------------ */

#define INET "\xc0\x00\x02\x07\xc6\x33\x64\x01\xc8\x22\x01\xbb"
#define INET6                                                                                      \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xc8\x22\x01\xbb"

#define ROW(command, family, length, rest)                                                         \
    V2 command family length rest, sizeof(V2 command family length rest) - 1

static void
good_binary_headers_are_read(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *client; /* NULL: nobody */
    } rows[] = {
        {ROW("\x21", "\x11", "\0\x0c", INET), "192.0.2.7:51234"},
        {ROW("\x21", "\x12", "\0\x0c", INET), "192.0.2.7:51234"},
        {ROW("\x21", "\x21", "\0\x24", INET6), "[2001:db8::7]:51234"},
        {ROW("\x21", "\x22", "\0\x24", INET6), "[2001:db8::7]:51234"},
        {ROW("\x20", "\x00", "\0\0", ""), NULL},
        {ROW("\x20", "\xff", "\0\x03", "abc"), NULL}, /* LOCAL: all else is skipped */
        {ROW("\x20", "\x11", "\0\x0c", INET), NULL},
        {ROW("\x21", "\x00", "\0\0", ""), NULL},
        {ROW("\x21", "\x00", "\0\x02", "ab"), NULL},
        /* NOOP, an unknown TLV without and one with a value */
        {ROW("\x21", "\x11", "\0\x18",
             INET "\x04\0\0\xe7\0\0\xea\0\x03"
                  "abc"),
         "192.0.2.7:51234"},
        /* CRC-32C */
        {ROW("\x21", "\x11", "\0\x13", INET "\x03\0\x04\x00\x00\x00\x00"), "192.0.2.7:51234"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t size = rows[i].size;
        char bytes[128];

        memcpy(bytes, rows[i].bytes, size);
        if (size == 35 && bytes[28] == 3) { /* its checksum, of the header with zeroes there */
            uint32_t crc = htonl(proxy_header_crc32c(0, bytes, size));
            memcpy(bytes + 31, &crc, 4);
        }
        memcpy(bytes + size, "\x16\x03\x01", 3);
        struct outcome outcome = parse(bytes, size + 3);
        if (outcome.result != 1)
            fail_msg("row %zu: %s", i, outcome.mistake);
        assert_int_equal(outcome.header.size, size);
        expect_client(&outcome, rows[i].client);
        (void)expect_same_in_pieces(bytes, size + 3, &outcome);
    }
}

static void
bad_binary_headers_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *said;
    } rows[] = {
        {ROW("\x11", "\x11", "\0\x0c", INET), "found version 1"},
        {ROW("\x31", "\x11", "\0\x0c", INET), "found version 3"},
        {ROW("\x22", "\x11", "\0\x0c", INET), "found command 2"},
        {ROW("\x2f", "\x11", "\0\x0c", INET), "found command 15"},
        {ROW("\x21", "\x10", "\0\x0c", INET), "found family 0x10"},
        {ROW("\x21", "\x01", "\0\x0c", INET), "found family 0x01"},
        {ROW("\x21", "\x13", "\0\x0c", INET), "found family 0x13"},
        {ROW("\x21", "\x41", "\0\x0c", INET), "found family 0x41"},
        {ROW("\x21", "\x11", "\0\x0b", INET), "found 11 bytes of addresses; expected 12"},
        {ROW("\x21", "\x11", "\0\0", ""), "found 0 bytes of addresses; expected 12"},
        {ROW("\x21", "\x21", "\0\x23", INET6), "found 35 bytes of addresses; expected 36"},
        {ROW("\x21", "\x31", "\0\x0c", INET), "found 12 bytes of addresses; expected 216"},
        {ROW("\x21", "\x11", "\x08\x01", ""), "found a length of 2049 bytes; expected at most"},
        {ROW("\x20", "\x00", "\xff\xff", ""), "found a length of 65535 bytes; expected at most"},
        {ROW("\x21", "\x11", "\0\x0d", INET "\x04"), "found a TLV at 28"},
        {ROW("\x21", "\x11", "\0\x0e", INET "\x04\0"), "found a TLV at 28"},
        {ROW("\x21", "\x11", "\0\x0f", INET "\x04\0\x01"), "found a TLV at 28"},
        {ROW("\x21", "\x11", "\0\x13", INET "\x04\0\x01z\x04\xff\xff"), "found a TLV at 32"},
        {ROW("\x21", "\x11", "\0\x12",
             INET "\x03\0\x03"
                  "abc"),
         "a checksum of 3 bytes"},
        {ROW("\x21", "\x11", "\0\x0f", INET "\x03\0\0"), "a checksum of 0 bytes"},
        {ROW("\x21", "\x11", "\0\x13",
             INET "\x03\0\x04"
                  "abcd"),
         "found checksum 0x61626364"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct outcome outcome = parse(rows[i].bytes, rows[i].size);

        if (outcome.result != -EBADMSG || strstr(outcome.mistake, rows[i].said) == NULL)
            fail_msg("row %zu: %d \"%s\" lacks \"%s\"", i, outcome.result, outcome.mistake,
                     rows[i].said);
        assert_true(expect_same_in_pieces(rows[i].bytes, rows[i].size, &outcome) <= rows[i].size);
    }
}

/* Changes any byte of a header with a checksum: nothing but the header's beginning may hide it. */
static void
a_checksum_finds_every_changed_byte(void **state)
{
    char bytes[] = V2 "\x21\x11\0\x1a" INET "\xea\0\x04name\x03\0\x04\0\0\0\0";
    const size_t size = sizeof(bytes) - 1;
    uint32_t crc = htonl(proxy_header_crc32c(0, bytes, size));

    (void)state;
    memcpy(bytes + size - 4, &crc, 4);
    assert_int_equal(parse(bytes, size).result, 1);
    for (size_t i = 0; i < size; i++) {
        bool skips = i == 12 || i == 13 || i == size - 7; /* LOCAL, UNSPEC, no checksum */
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
            if (!skips)
                assert_int_not_equal(parse(bytes, size).result, 1);
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
        }
    }
}

static void
the_checksum_is_castagnolis(void **state)
{
    uint8_t zeroes[32] = {0};

    (void)state;
    assert_int_equal(proxy_header_crc32c(0, "123456789", 9), 0xe3069283); /* RFC 3720, B.4 */
    assert_int_equal(proxy_header_crc32c(0, zeroes, 32), 0x8a9136aa);
    assert_int_equal(proxy_header_crc32c(proxy_header_crc32c(0, "1234", 4), "56789", 5),
                     0xe3069283);
}

static void
unix_clients_have_paths_names_or_nothing(void **state)
{
    static const struct {
        const char *path;
        size_t size;
        socklen_t expected_size;
        const char *expected;
    } rows[] = {
        {"/run/client", 11, 2 + 12, "/run/client"},
        {"/run/client\0rest", 16, 2 + 12, "/run/client"},
        {"\0name", 5, 2 + 5, "@name"},
        {"\0na\0me", 6, 2 + 6, "@na?me"},
        {"", 0, 2, ""},
    };
    char bytes[16 + 216] = V2 "\x21\x31\0\xd8";

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        memset(bytes + 16, 0, 216);
        memcpy(bytes + 16, rows[i].path, rows[i].size);
        struct outcome outcome = parse(bytes, sizeof(bytes));

        assert_int_equal(outcome.result, 1);
        assert_int_equal(outcome.header.client_size, rows[i].expected_size);
        expect_client(&outcome, rows[i].expected);
    }
    memset(bytes + 16, 'x', 216); /* a path without its NUL */
    struct outcome outcome = parse(bytes, sizeof(bytes));
    assert_int_equal(outcome.header.client_size, sizeof(struct sockaddr_un));
}

/* ---- both ----------------------------------------------------------------------------------- */

/* Random bytes behind every beginning that gets far: the answer never depends on the pieces. */
static void
garbage_is_the_same_in_all_pieces(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } beginnings[] = {
        {"", 0},  {"PROXY ", 6},         {"PROXY TCP4 ", 11},
        {V2, 12}, {V2 "\x21\x11\0", 15}, {V2 "\x21\x11\0\x40" INET, 28},
    };
    unsigned seed = 4711;

    (void)state;
    for (int round = 0; round < 600; round++) {
        size_t i = (size_t)round % ARRAY_SIZE(beginnings);
        char bytes[160];

        for (size_t j = 0; j < sizeof(bytes); j++)
            bytes[j] = (char)(i == 2 ? "0123456789. :\r\nT"[rand_r(&seed) % 16] : rand_r(&seed));
        memcpy(bytes, beginnings[i].bytes, beginnings[i].size);
        struct outcome outcome = parse(bytes, sizeof(bytes));
        (void)expect_same_in_pieces(bytes, sizeof(bytes), &outcome);
    }
}

/* At the latest then something is said, so a reader needs no more room. */
static void
enough_bytes_always_decide(void **state)
{
    char bytes[PROXY_HEADER_MOST] = V2 "\x20\x00\x08\x00";

    (void)state;
    assert_int_equal(parse(bytes, sizeof(bytes) - 1).result, 0);
    assert_int_equal(parse(bytes, sizeof(bytes)).result, 1);
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, "PROXY ", 6);
    assert_int_equal(parse(bytes, PROXY_HEADER_V1_MOST - 2).result, 0);
    assert_int_equal(parse(bytes, PROXY_HEADER_V1_MOST).result, -EBADMSG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lines_are_read),
        cmocka_unit_test(bad_lines_are_refused),
        cmocka_unit_test(a_zero_byte_ends_no_line),
        cmocka_unit_test(good_binary_headers_are_read),
        cmocka_unit_test(bad_binary_headers_are_refused),
        cmocka_unit_test(a_checksum_finds_every_changed_byte),
        cmocka_unit_test(the_checksum_is_castagnolis),
        cmocka_unit_test(unix_clients_have_paths_names_or_nothing),
        cmocka_unit_test(garbage_is_the_same_in_all_pieces),
        cmocka_unit_test(enough_bytes_always_decide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
