/* SPDX-License-Identifier: MIT */
/*
 * sources_fixture.h - a table of sources, and addresses to come from
 */
#ifndef TESTS_UNIT_SOURCES_FIXTURE_H
#define TESTS_UNIT_SOURCES_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "common/sources.h"

#define SECOND INT64_C(1000000000)

static const struct source_prefix whole = {.ipv4 = 32, .ipv6 = 64};

static struct sources *sources;
static int sources_fd;

static int
make_sources(void **state)
{
    (void)state;
    return sources_create(&sources, &sources_fd);
}

static int
drop_sources(void **state)
{
    (void)state;
    sources_detach(sources);
    return close(sources_fd);
}

/* The number-th IPv4 source. */
static inline struct source_key
source_number(uint32_t number)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(number + 1)};

    return source_key_of((const struct sockaddr *)&in, whole);
}

static inline struct source_key
source_ipv6(const char *text, struct source_prefix prefix)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    (void)inet_pton(AF_INET6, text, &in6.sin6_addr);
    return source_key_of((const struct sockaddr *)&in6, prefix);
}

static inline uint32_t
active_of(struct source_key key)
{
    struct source_state state;

    return sources_find(sources, key, 1, &state) ? state.active : 0;
}

#endif
