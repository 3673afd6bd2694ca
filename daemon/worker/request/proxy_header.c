/* SPDX-License-Identifier: MIT */
/*
 * proxy_header.c - reading a PROXY header, version 1 (text) or 2 (binary)
 *
 * Everything that the specification leaves no choice about is refused: more
 * than one space, leading zeroes, a port above 65535, an address block that is
 * too short, a family that does not exist, a TLV that reaches beyond the header,
 * a checksum that is wrong. What stands behind LOCAL and UNKNOWN is skipped
 * unread, as the specification demands; so are TLVs that are not known here.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     nothing.
 * Failures: returned with a text; never logged here.
 */
#include "worker/request/proxy_header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/array.h"

#define V1_BEGINNING "PROXY "
#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2_FIXED     16u /* bytes before the addresses */

#define TLV_CRC32C 0x03
#define TLV_FIXED  3u /* type and length */

/* Writes the text and returns -EBADMSG. */
static int malformed(char *ret_mistake, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int
malformed(char *ret_mistake, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(ret_mistake, PROXY_MISTAKE_SIZE, format, arguments);
    va_end(arguments);
    return -EBADMSG;
}

/* ---- version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\r\n" --------------------------- */

/* Finds where the line ends: returns 1 and its length without CRLF, 0 if that has not come, or
 * -EBADMSG. */
static int
find_line(const char *bytes, size_t size, size_t *ret, char *ret_mistake)
{
    size_t most = PROXY_HEADER_V1_MOST - 1; /* a CR behind these has no room for its LF */
    size_t length = 0;

    while (length < size && length < most && strchr("\r\n", bytes[length]) == NULL)
        length++; /* strchr() finds the NUL, too */
    if (length == most)
        return malformed(ret_mistake,
                         "found no CRLF in the first %u bytes; expected a line of at "
                         "most as many",
                         PROXY_HEADER_V1_MOST);
    if (length == size)
        return 0;
    if (bytes[length] != '\r')
        return malformed(ret_mistake, "found byte 0x%02x at %zu; expected text that ends with CRLF",
                         (unsigned char)bytes[length], length);
    if (length + 1 == size)
        return 0;
    if (bytes[length + 1] != '\n')
        return malformed(ret_mistake, "found byte 0x%02x behind CR; expected LF",
                         (unsigned char)bytes[length + 1]);
    *ret = length;
    return 1;
}

/* Writes what a word is in a log line: control characters and the like as "?". */
static const char *
show_word(const char *word, char buffer[PROXY_HEADER_V1_MOST])
{
    size_t i;

    for (i = 0; word[i] != '\0'; i++)
        buffer[i] = (word[i] > ' ' && word[i] < 0x7f) ? word[i] : '?';
    buffer[i] = '\0';
    return buffer;
}

/* Reads digits without leading zeroes, up to 65535. */
static bool
read_port(const char *word, in_port_t *ret)
{
    unsigned number = 0;
    size_t digits = strspn(word, "0123456789");

    if (digits == 0 || digits > 5 || word[digits] != '\0' || (digits > 1 && *word == '0'))
        return false;
    for (; *word != '\0'; word++)
        number = 10 * number + (unsigned)(*word - '0');
    if (number > UINT16_MAX)
        return false;
    *ret = htons((uint16_t)number);
    return true;
}

enum { WORD_FAMILY, WORD_SOURCE, WORD_TARGET, WORD_SOURCE_PORT, WORD_TARGET_PORT, WORDS };

/* Cuts the text at each space into exactly WORDS words; one may be empty, and is refused later. */
static bool
split(char *text, char *ret[WORDS])
{
    size_t count = 0;

    for (char *word; (word = strsep(&text, " ")) != NULL; count++) {
        if (count == WORDS)
            return false;
        ret[count] = word;
    }
    return count == WORDS;
}

static int
read_ports(char *const words[WORDS], in_port_t *ret_source, char *ret_mistake)
{
    char shown[PROXY_HEADER_V1_MOST];
    in_port_t ignored;

    for (size_t i = WORD_SOURCE_PORT; i < WORDS; i++)
        if (!read_port(words[i], i == WORD_SOURCE_PORT ? ret_source : &ignored))
            return malformed(ret_mistake,
                             "found port \"%.40s\"; expected a number from 0 to 65535 without "
                             "leading zeroes",
                             show_word(words[i], shown));
    return 0;
}

static int
read_addresses(char *const words[WORDS], int family, void *ret_source, char *ret_mistake)
{
    char shown[PROXY_HEADER_V1_MOST];
    struct in6_addr ignored;

    for (size_t i = WORD_SOURCE; i <= WORD_TARGET; i++)
        if (inet_pton(family, words[i], i == WORD_SOURCE ? ret_source : &ignored) != 1)
            return malformed(ret_mistake, "found address \"%.60s\"; expected an IPv%d address",
                             show_word(words[i], shown), family == AF_INET ? 4 : 6);
    return 0;
}

static int
read_ipv4_line(char *const words[WORDS], struct proxy_header *header, char *ret_mistake)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    int r = read_addresses(words, AF_INET, &in.sin_addr, ret_mistake);

    if (r == 0)
        r = read_ports(words, &in.sin_port, ret_mistake);
    memcpy(&header->client, &in, sizeof(in));
    header->client_size = sizeof(in);
    return r;
}

static int
read_ipv6_line(char *const words[WORDS], struct proxy_header *header, char *ret_mistake)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    int r = read_addresses(words, AF_INET6, &in6.sin6_addr, ret_mistake);

    if (r == 0)
        r = read_ports(words, &in6.sin6_port, ret_mistake);
    memcpy(&header->client, &in6, sizeof(in6));
    header->client_size = sizeof(in6);
    return r;
}

/* Reads the line behind "PROXY ". */
static int
read_line(char *text, struct proxy_header *header, char *ret_mistake)
{
    char shown[PROXY_HEADER_V1_MOST], *words[WORDS];

    if (strcmp(text, "UNKNOWN") == 0 || strncmp(text, "UNKNOWN ", 8) == 0)
        return 0;
    bool whole = split(text, words); /* then text is its first word */
    bool ipv4 = strcmp(text, "TCP4") == 0;
    if (!ipv4 && strcmp(text, "TCP6") != 0)
        return malformed(ret_mistake, "found \"%.40s\"; expected TCP4, TCP6 or UNKNOWN",
                         show_word(text, shown));
    if (!whole)
        return malformed(ret_mistake, "found fewer or more words; expected two addresses and two "
                                      "ports with one space before each");
    return ipv4 ? read_ipv4_line(words, header, ret_mistake)
                : read_ipv6_line(words, header, ret_mistake);
}

static int
parse_v1(const char *bytes, size_t size, struct proxy_header *header, char *ret_mistake)
{
    const size_t beginning = strlen(V1_BEGINNING);
    char text[PROXY_HEADER_V1_MOST];
    size_t length = 0;
    int r = find_line(bytes, size, &length, ret_mistake);

    if (r <= 0)
        return r;
    memcpy(text, bytes + beginning, length - beginning);
    text[length - beginning] = '\0';
    header->size = length + 2;
    r = read_line(text, header, ret_mistake);
    return r < 0 ? r : 1;
}

/* ---- version 2 ----------------------------------------------------------------------------- */

uint32_t
proxy_header_crc32c(uint32_t crc, const void *bytes, size_t size)
{
    static const uint32_t half_bytes[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *byte = bytes;

    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= byte[i];
        crc = half_bytes[crc & 15] ^ crc >> 4;
        crc = half_bytes[crc & 15] ^ crc >> 4;
    }
    return ~crc;
}

static unsigned
read16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static void
read_ipv4_block(const uint8_t *block, struct proxy_header *header)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    memcpy(&in.sin_addr, block, 4);
    memcpy(&in.sin_port, block + 8, 2);
    memcpy(&header->client, &in, sizeof(in));
    header->client_size = sizeof(in);
}

static void
read_ipv6_block(const uint8_t *block, struct proxy_header *header)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    memcpy(&in6.sin6_addr, block, 16);
    memcpy(&in6.sin6_port, block + 32, 2);
    memcpy(&header->client, &in6, sizeof(in6));
    header->client_size = sizeof(in6);
}

/* A path ends with its first NUL, an abstract name (which begins with one) with the last byte that
 * is none. Nothing at all is a socket without a name. */
static void
read_unix_block(const uint8_t *block, struct proxy_header *header)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t length = sizeof(un.sun_path);

    memcpy(un.sun_path, block, length);
    if (un.sun_path[0] != '\0')
        length = strnlen(un.sun_path, length);
    else
        while (length > 0 && un.sun_path[length - 1] == '\0')
            length--;
    memset(un.sun_path + length, 0, sizeof(un.sun_path) - length);
    if (un.sun_path[0] != '\0' && length < sizeof(un.sun_path))
        length++; /* a path has its NUL, as the kernel would give it */
    memcpy(&header->client, &un, sizeof(un));
    header->client_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* The first half of the byte is the family, the second stream or datagram. */
static const struct family {
    uint8_t byte;
    unsigned block; /* bytes of its two addresses and ports */
    void (*read)(const uint8_t *block, struct proxy_header *header);
} families[] = {
    {0x11, 12, read_ipv4_block}, {0x12, 12, read_ipv4_block},  {0x21, 36, read_ipv6_block},
    {0x22, 36, read_ipv6_block}, {0x31, 216, read_unix_block}, {0x32, 216, read_unix_block},
};

static int
check_crc32c(const uint8_t *bytes, size_t size, size_t at, char *ret_mistake)
{
    static const uint8_t zeroes[4];
    uint32_t found = (uint32_t)read16(bytes + at) << 16 | read16(bytes + at + 2);
    uint32_t crc = proxy_header_crc32c(0, bytes, at);

    crc = proxy_header_crc32c(crc, zeroes, sizeof(zeroes));
    crc = proxy_header_crc32c(crc, bytes + at + 4, size - at - 4);
    if (crc != found)
        return malformed(ret_mistake, "found checksum 0x%08x; expected 0x%08x", found, crc);
    return 0;
}

/* Checks the TLVs, which begin at `at` and end with the header. */
static int
check_tlvs(const uint8_t *bytes, size_t size, size_t at, char *ret_mistake)
{
    bool checked = false;

    while (at < size) {
        unsigned length = size - at < TLV_FIXED ? 0 : read16(bytes + at + 1);
        if (size - at < TLV_FIXED || size - at - TLV_FIXED < length)
            return malformed(ret_mistake,
                             "found a TLV at %zu that ends behind the header; expected at most "
                             "%zu bytes",
                             at, size - at);
        if (bytes[at] == TLV_CRC32C) {
            if (length != 4 || checked)
                return malformed(ret_mistake, "found %s checksum of %u bytes; expected one of 4",
                                 checked ? "another" : "a", length);
            int r = check_crc32c(bytes, size, at + TLV_FIXED, ret_mistake);
            if (r < 0)
                return r;
            checked = true;
        }
        at += TLV_FIXED + length;
    }
    return 0;
}

/* Reads what PROXY announces: the header is all there. */
static int
read_announced(const uint8_t *bytes, struct proxy_header *header, char *ret_mistake)
{
    size_t block = header->size - V2_FIXED;

    if (bytes[13] == 0)
        return 0; /* AF_UNSPEC is like LOCAL */
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        if (families[i].byte != bytes[13])
            continue;
        if (block < families[i].block)
            return malformed(ret_mistake,
                             "found %zu bytes of addresses; expected %u of family 0x%02x", block,
                             families[i].block, bytes[13]);
        families[i].read(bytes + V2_FIXED, header);
        return check_tlvs(bytes, header->size, V2_FIXED + families[i].block, ret_mistake);
    }
    return malformed(ret_mistake,
                     "found family 0x%02x; expected 0x00, 0x11, 0x12, 0x21, 0x22, 0x31 or 0x32",
                     bytes[13]);
}

static int
parse_v2(const uint8_t *bytes, size_t size, struct proxy_header *header, char *ret_mistake)
{
    if (size < V2_FIXED)
        return 0;
    unsigned command = bytes[12] & 15u, length = read16(bytes + 14);
    if (bytes[12] >> 4 != 2)
        return malformed(ret_mistake, "found version %d behind the signature; expected 2",
                         bytes[12] >> 4);
    if (command > 1)
        return malformed(ret_mistake, "found command %u; expected 0 (LOCAL) or 1 (PROXY)", command);
    if (length > PROXY_HEADER_BODY_MOST)
        return malformed(ret_mistake, "found a length of %u bytes; expected at most %u", length,
                         PROXY_HEADER_BODY_MOST);
    header->size = V2_FIXED + length;
    if (size < header->size)
        return 0;
    int r = command == 0 ? 0 : read_announced(bytes, header, ret_mistake);
    return r < 0 ? r : 1;
}

/* ---- both ---------------------------------------------------------------------------------- */

/* Returns how many of the bytes are as they must be, at most as many as there are of both. */
static size_t
common_bytes(const void *bytes, size_t size, const void *expected, size_t expected_size)
{
    const uint8_t *one = bytes, *other = expected;
    size_t i = 0;

    while (i < size && i < expected_size && one[i] == other[i])
        i++;
    return i;
}

int
proxy_header_parse(const void *bytes, size_t size, struct proxy_header *ret, char *ret_mistake)
{
    const size_t v1_size = strlen(V1_BEGINNING), v2_size = sizeof(V2_SIGNATURE) - 1;
    size_t v1 = common_bytes(bytes, size, V1_BEGINNING, v1_size);
    size_t v2 = common_bytes(bytes, size, V2_SIGNATURE, v2_size);
    struct proxy_header header = {0};
    int r = 0;

    if (v1 == v1_size) {
        r = parse_v1(bytes, size, &header, ret_mistake);
    } else if (v2 == v2_size) {
        r = parse_v2(bytes, size, &header, ret_mistake);
    } else if (v1 < size && v2 < size) {
        size_t at = v1 > v2 ? v1 : v2;
        (void)malformed(ret_mistake,
                        "found byte 0x%02x at %zu; expected \"PROXY \" or the signature of "
                        "version 2",
                        ((const uint8_t *)bytes)[at], at);
        return -ENOMSG;
    }
    if (r == 1)
        *ret = header;
    return r;
}
