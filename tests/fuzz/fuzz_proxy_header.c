/* SPDX-License-Identifier: MIT */
/*
 * fuzz_proxy_header.c - any bytes as a PROXY header
 *
 * A libFuzzer target. What is said of all the bytes must be what is said of each
 * of their beginnings, once anything is; a header that is taken ends where the
 * first beginning does that is enough. A line of version 1 must be taken exactly
 * if a model takes it that writes the line anew from what it understood.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "worker/request/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    int result;
    struct proxy_header header;
    char mistake[PROXY_MISTAKE_SIZE];
};

/* The bytes end where their memory does, so that a sanitizer sees who reads on. */
static struct outcome
parse(const uint8_t *data, size_t size)
{
    struct outcome outcome = {0};
    uint8_t *copy = malloc(size == 0 ? 1 : size);

    expect(copy != NULL);
    memcpy(copy, data, size);
    outcome.result = proxy_header_parse(copy, size, &outcome.header, outcome.mistake);
    free(copy);
    return outcome;
}

static void
expect_same_of_beginnings(const uint8_t *data, size_t size, const struct outcome *whole)
{
    bool decided = false;

    for (size_t cut = 0; cut < size; cut++) {
        struct outcome part = parse(data, cut);

        expect(part.result != 0 || !decided);
        if (part.result == 0)
            continue;
        expect(part.result == whole->result && strcmp(part.mistake, whole->mistake) == 0);
        expect(memcmp(&part.header, &whole->header, sizeof(part.header)) == 0);
        expect(part.result != 1 || decided || cut == part.header.size);
        decided = true;
    }
}

/* An IPv6 address has many spellings, of which any will do. */
static bool
is_address(const char *word, int family)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];

    return inet_pton(family, word, &address) == 1 &&
           (family == AF_INET6 ||
            strcmp(inet_ntop(family, &address, text, sizeof(text)), word) == 0);
}

static bool
is_port(const char *word)
{
    char text[16];
    unsigned long number = strtoul(word, NULL, 10);

    (void)snprintf(text, sizeof(text), "%lu", number);
    return number <= 65535 && strcmp(text, word) == 0;
}

/* Whether a whole line, without its CRLF, is one of version 1. */
static bool
model_takes(const char *line)
{
    char family[2], source[108], target[108], source_port[108], target_port[108], again[600];

    if (strncmp(line, "PROXY UNKNOWN", 13) == 0)
        return line[13] == '\0' || line[13] == ' ';
    if (sscanf(line, "PROXY TCP%1[46] %107s %107s %107s %107s", family, source, target, source_port,
               target_port) != 5)
        return false;
    (void)snprintf(again, sizeof(again), "PROXY TCP%s %s %s %s %s", family, source, target,
                   source_port, target_port);
    int kind = *family == '4' ? AF_INET : AF_INET6;
    return strcmp(again, line) == 0 && is_address(source, kind) && is_address(target, kind) &&
           is_port(source_port) && is_port(target_port);
}

static void
expect_as_the_model(const uint8_t *data, size_t size, const struct outcome *outcome)
{
    char line[PROXY_HEADER_V1_MOST + 1];
    size_t length = size < PROXY_HEADER_V1_MOST ? size : PROXY_HEADER_V1_MOST;

    if (size < 6 || memcmp(data, "PROXY ", 6) != 0)
        return;
    memcpy(line, data, length);
    line[length] = '\0';
    char *end = strstr(line, "\r\n");
    if (end == NULL) {
        expect(outcome->result != 1);
        return;
    }
    *end = '\0';
    bool stray = strpbrk(line, "\r\n") != NULL;
    expect((outcome->result == 1) == (!stray && model_takes(line)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > PROXY_HEADER_MOST + 16)
        size = PROXY_HEADER_MOST + 16;
    struct outcome whole = parse(data, size);

    expect(whole.result == 0 || whole.result == 1 || whole.result == -ENOMSG ||
           whole.result == -EBADMSG);
    expect(whole.result != 0 || size < PROXY_HEADER_MOST);
    expect((whole.result < 0) == (whole.mistake[0] != '\0'));
    expect(whole.result != 1 || (whole.header.size >= 15 && whole.header.size <= size));
    expect_same_of_beginnings(data, size, &whole);
    expect_as_the_model(data, size, &whole);
    return 0;
}
