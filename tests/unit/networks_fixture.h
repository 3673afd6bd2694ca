/* SPDX-License-Identifier: MIT */
/*
 * networks_fixture.h - addresses and tables from texts, and numbers that nobody foresees, the same
 * each time
 */
#ifndef TESTS_UNIT_NETWORKS_FIXTURE_H
#define TESTS_UNIT_NETWORKS_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/networks.h"

static uint64_t seed = 1;

static inline uint32_t
random_below(uint32_t limit)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % limit;
}

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

static inline union address
address_of(const char *text)
{
    union address address = {.in6 = {.sin6_family = AF_INET6}};

    if (inet_pton(AF_INET6, text, &address.in6.sin6_addr) == 1)
        return address;
    address.in.sin_family = AF_INET;
    assert_int_equal(inet_pton(AF_INET, text, &address.in.sin_addr), 1);
    return address;
}

/* Items behind a minus sign are refusals. */
static inline struct networks *
table_of(const char *const *texts)
{
    struct networks_builder builder = {0};
    struct networks *networks;

    for (unsigned i = 0; texts[i] != NULL; i++) {
        bool deny = *texts[i] == '-';
        const struct network_item item = {texts[i] + deny, deny, "a.conf", i + 1};
        char *problem = NULL;

        if (networks_add(&builder, &item, network_id_number, &problem) < 0)
            fail_msg("%s", problem);
    }
    assert_int_equal(networks_build(&builder, &networks), 0);
    networks_builder_done(&builder);
    assert_true(networks_are_sound(networks, networks_size(networks)));
    return networks;
}

#endif
