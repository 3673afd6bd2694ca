/* SPDX-License-Identifier: MIT */
/*
 * test_crash.c - what a dead worker was doing, read from counters that may hold anything
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/counters.h"
#include "supervisor/listener/crash.h"

#define SLOTS 8

static struct counters *
make_counters(void)
{
    struct counters *counters;
    int fd;

    assert_int_equal(counters_create(SLOTS, &counters, &fd), 0);
    (void)close(fd);
    return counters;
}

static void
make_busy(struct counters *counters, uint32_t place, uint64_t request, uint16_t port)
{
    struct sockaddr_in client = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    counters_use(counters, &counters->slots[place]);
    counter_set(counters->slots[place].state, SLOT_BUSY);
    counter_set(counters->slots[place].request, request);
    memcpy(counters->slots[place].client, &client, sizeof(client));
}

static void
expect(const struct counters *counters, const char *text)
{
    char buffer[256];

    crash_describe(counters, SLOTS, 77, buffer, sizeof(buffer));
    assert_string_equal(buffer, text);
}

static void
names_the_request_that_began_last(void **state)
{
    struct counters *counters = make_counters();

    (void)state;
    expect(counters, "");
    make_busy(counters, 3, 412, 51234);
    expect(counters, " while it ran request 412 of 127.0.0.1:51234");
    make_busy(counters, 0, 411, 51233);
    expect(counters, " while it ran request 412 of 127.0.0.1:51234 (and 1 other)");
    make_busy(counters, 5, 9, 1);
    expect(counters, " while it ran request 412 of 127.0.0.1:51234 (and 2 others)");
    counter_set(counters->slots[3].state, SLOT_IDLE);
    expect(counters, " while it ran request 411 of 127.0.0.1:51233 (and 1 other)");
    memset(counters->slots[0].client, 0, sizeof(counters->slots[0].client));
    expect(counters, " while it ran request 411 (and 1 other)");
    counters_detach(counters, SLOTS);
}

static void
survives_any_bytes(void **state)
{
    struct counters *counters = make_counters();
    unsigned char *bytes = (unsigned char *)counters;
    size_t size = sizeof(*counters) + SLOTS * sizeof(struct slot);
    char buffer[64];

    (void)state;
    srandom(1);
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)random();
        counter_set(counters->used, SLOTS + (uint32_t)random());
        for (uint32_t i = 0; i < SLOTS; i++) {
            counter_set(counters->slots[i].state, SLOT_BUSY);
            memcpy(counters->slots[i].client, &(sa_family_t){(sa_family_t)(random() % 12)},
                   sizeof(sa_family_t));
        }
        crash_describe(counters, SLOTS, 77, buffer, sizeof(buffer));
        assert_memory_equal(buffer, " while it ran request ", 22);
        for (const char *c = buffer; *c != '\0'; c++)
            assert_in_range(*c, ' ', '~');
    }
    counters_detach(counters, SLOTS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_request_that_began_last),
        cmocka_unit_test(survives_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
