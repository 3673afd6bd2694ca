/* SPDX-License-Identifier: MIT */
/*
 * test_sources.c - requests, rates and penalties of sources
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "sources_fixture.h"

static const struct source_limits unlimited;

static enum source_verdict
enter(uint32_t claim, struct source_key key, uint32_t most, int64_t now)
{
    return sources_enter(sources, claim, key, &(struct source_limits){.most = most}, now);
}

static void
a_source_has_no_more_requests_than_it_may(void **state)
{
    struct source_key one = source_number(1), other = source_number(2);

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(enter(i, one, 3, 1), SOURCE_ADMITTED);
    assert_int_equal(enter(3, one, 3, 1), SOURCE_BUSY);
    assert_int_equal(enter(3, other, 3, 1), SOURCE_ADMITTED);
    sources_leave(sources, 1);
    sources_leave(sources, 1); /* nothing more happens */
    assert_int_equal(active_of(one), 2);
    assert_int_equal(enter(4, one, 3, 1), SOURCE_ADMITTED);
    assert_int_equal(active_of(one), 3);
    assert_int_equal(active_of(other), 1);
    assert_int_equal(sources_uncounted(sources), 0);
}

/* Random requests in all contexts, beside plain counters. */
static void
counts_are_those_of_a_model(void **state)
{
    enum { CONTEXTS = 200, SOURCES = 40, MOST = 7 };
    static uint32_t runs[CONTEXTS], counts[SOURCES]; /* runs: the source's number, one above */

    (void)state;
    srandom(9);
    for (int64_t step = 0; step < 200000; step++) {
        uint32_t context = (uint32_t)random() % CONTEXTS, number = (uint32_t)random() % SOURCES;

        if (runs[context] != 0) {
            sources_leave(sources, context);
            counts[runs[context] - 1]--;
            runs[context] = 0;
            continue;
        }
        bool room = counts[number] < MOST;
        assert_int_equal(enter(context, source_number(number), MOST, step),
                         room ? SOURCE_ADMITTED : SOURCE_BUSY);
        if (room) {
            counts[number]++;
            runs[context] = number + 1;
        }
    }
    for (uint32_t i = 0; i < SOURCES; i++)
        assert_int_equal(active_of(source_number(i)), counts[i]);
}

static void
a_rate_lets_the_burst_in_and_then_one_after_another(void **state)
{
    const struct source_limits limits = {.rate = source_rate(20, 1, 40)};
    struct source_key key = source_number(1);
    int64_t now = 100 * SECOND;

    (void)state;
    for (int i = 0; i < 40; i++) {
        assert_int_equal(sources_enter(sources, 0, key, &limits, now), SOURCE_ADMITTED);
        sources_leave(sources, 0);
    }
    assert_int_equal(sources_enter(sources, 0, key, &limits, now), SOURCE_FAST);
    assert_int_equal(active_of(key), 0);
    assert_int_equal(sources_foresee(sources, key, &limits, now), SOURCE_FAST);
    now += SECOND / 20 + 1;
    assert_int_equal(sources_foresee(sources, key, &limits, now), SOURCE_ADMITTED);
    assert_int_equal(sources_pass(sources, 0, key, &limits, now), SOURCE_ADMITTED);
    assert_int_equal(sources_pass(sources, 0, key, &limits, now), SOURCE_FAST);
    now += 100 * SECOND; /* no more is saved up than the burst */
    for (int i = 0; i < 40; i++)
        assert_int_equal(sources_pass(sources, 0, key, &limits, now), SOURCE_ADMITTED);
    assert_int_equal(sources_pass(sources, 0, key, &limits, now), SOURCE_FAST);
}

static void
the_listeners_turns_come_evenly_behind_the_burst(void **state)
{
    const struct source_rate rate = source_rate(10, 1, 2);
    int64_t now = 50 * SECOND;

    (void)state;
    assert_int_equal(sources_take_turn(sources, &rate, now), 0);
    assert_int_equal(sources_take_turn(sources, &rate, now), 0);
    assert_int_equal(sources_take_turn(sources, &rate, now), now + SECOND / 10);
    assert_int_equal(sources_next_turn(sources, &rate, now), now + SECOND / 10);
    now += SECOND / 10;
    assert_int_equal(sources_next_turn(sources, &rate, now), 0);
    assert_int_equal(sources_take_turn(sources, &rate, now), 0);
    /* A clock that was set back, or a spoilt memory, closes it for no longer than one turn. */
    assert_in_range(sources_take_turn(sources, &rate, SECOND), SECOND, 2 * SECOND);
}

static void
penalties_add_up_to_the_most_and_end(void **state)
{
    const struct source_penalties penalty = {PENALTY_CRASH, 90 * SECOND, 200 * SECOND, NULL};
    struct source_key key = source_number(1);
    int64_t now = 10 * SECOND;
    struct source_state found;

    (void)state;
    assert_false(sources_any_penalised(sources, now));
    assert_true(sources_penalise(sources, 0, key, &penalty, now));
    assert_true(sources_any_penalised(sources, now));
    assert_int_equal(enter(1, key, 0, now), SOURCE_PENALISED);
    assert_int_equal(sources_foresee(sources, key, &unlimited, now), SOURCE_PENALISED);
    assert_true(sources_penalise(sources, 0, key, &penalty, now));
    assert_true(sources_find(sources, key, now, &found));
    assert_int_equal(found.penalty_left, 180 * SECOND);
    assert_string_equal(source_penalty_name(found.kind), "crash");
    assert_true(sources_penalise(sources, 0, key, &penalty, now));
    assert_true(sources_find(sources, key, now, &found));
    assert_int_equal(found.penalty_left, 200 * SECOND);
    assert_int_equal(enter(1, key, 0, now + 200 * SECOND), SOURCE_ADMITTED);
    assert_int_equal(active_of(key), 1);
}

static void
a_pardon_forgets_a_penalty(void **state)
{
    const struct source_penalties penalty = {PENALTY_HANDLER, SECOND, SECOND, "no\nmanners"};
    struct source_key key = source_number(1);
    struct source_state found;

    (void)state;
    assert_false(sources_pardon(sources, key, 1));
    assert_int_equal(enter(0, key, 0, 1), SOURCE_ADMITTED);
    assert_false(
        sources_penalise(sources, 0, source_number(2), &penalty, 1)); /* it runs another's */
    assert_true(sources_penalise(sources, 0, key, &penalty, 1));
    assert_true(sources_find(sources, key, 1, &found));
    assert_string_equal(found.reason, "no\nmanners");
    assert_int_equal(found.active, 1);
    assert_true(sources_pardon(sources, key, 1));
    assert_false(sources_pardon(sources, key, 1));
    assert_int_equal(enter(1, key, 0, 1), SOURCE_ADMITTED);
}

/* Neither who has requests nor who is under a penalty gives way; the memory does not grow. */
static void
a_scan_pushes_nobody_out_who_matters(void **state)
{
    const struct source_penalties penalty = {PENALTY_SLOW, 10 * SECOND, 10 * SECOND, NULL};
    struct source_key active = source_ipv6("2001:db8:1::1", whole);
    struct source_key penalised = source_ipv6("2001:db8:2::1", whole);
    struct stat status;
    int64_t now = SECOND;

    (void)state;
    assert_int_equal(enter(0, active, 2, now), SOURCE_ADMITTED);
    assert_true(sources_penalise(sources, 1, penalised, &penalty, now));
    for (uint32_t i = 0; i < 1u << 20; i++) {
        assert_int_equal(enter(2, source_number(i), 2, now + i), SOURCE_ADMITTED);
        sources_leave(sources, 2);
    }
    assert_int_equal(active_of(active), 1);
    assert_int_equal(enter(3, penalised, 2, now), SOURCE_PENALISED);
    assert_int_equal(sources_uncounted(sources), 0);
    assert_int_equal(fstat(sources_fd, &status), 0);
    assert_in_range(status.st_blocks * 512, SOURCES_MOST * 64, SOURCES_MOST * 256);
}

/* Sources that all have a request, more than there are places: the rest is let in, and said. */
static void
whoever_finds_no_place_is_let_in(void **state)
{
    uint32_t count = SOURCES_MOST * 2, counted = 0;
    struct source_state found;

    (void)state;
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(enter(i, source_number(i), 1, i), SOURCE_ADMITTED);
    for (uint32_t i = 0; i < SOURCES_MOST; i++)
        counted += sources_read(sources, i, 1, &found) && found.active == 1;
    assert_int_equal(counted + sources_uncounted(sources), count);
    assert_true(sources_uncounted(sources) >= SOURCES_MOST);
    for (uint32_t i = 0; i < count; i++)
        sources_leave(sources, i);
    for (uint32_t i = 0; i < SOURCES_MOST; i++)
        assert_false(sources_read(sources, i, 1, &found) && found.active > 0);
    assert_int_equal(sources_enter(sources, NO_CLAIM, source_number(0), &unlimited, 1),
                     SOURCE_ADMITTED);
    sources_leave(sources, NO_CLAIM);
}

static void
a_prefix_makes_one_source_of_many_addresses(void **state)
{
    const struct source_prefix wide = {.ipv4 = 24, .ipv6 = 48}, full = {.ipv4 = 32, .ipv6 = 128};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000263)};
    struct source_key ipv4 = source_key_of((const struct sockaddr *)&in, wide);
    char text[SOURCE_TEXT_SIZE];

    (void)state;
    assert_string_equal(source_format(ipv4, wide, text), "192.0.2.0/24");
    ipv4 = source_key_of((const struct sockaddr *)&in, whole);
    assert_string_equal(source_format(ipv4, whole, text), "192.0.2.99");
    assert_string_equal(source_format(source_ipv6("2001:db8:1:2:3::4", wide), wide, text),
                        "2001:db8:1::/48");
    assert_string_equal(source_format(source_ipv6("2001:db8:1:2:3::4", whole), whole, text),
                        "2001:db8:1:2::/64");
    assert_string_equal(source_format(source_ipv6("2001:db8::4", full), full, text), "2001:db8::4");
    assert_string_equal(source_format(source_ipv6("::1", full), full, text), "::1");
    assert_string_equal(source_format(source_ipv6("::1", whole), whole, text), "::/64");
    assert_string_equal(source_format(source_key_of_user(1000), whole, text), "uid 1000");
    assert_string_equal(source_format(source_key_of_user((uid_t)-1), whole, text), "unknown users");
}

static void
the_rate_that_is_shown_is_that_of_the_last_seconds(void **state)
{
    struct source_key key = source_number(1);
    struct source_state found;
    int64_t now = 1000 * SECOND;

    (void)state;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(sources_pass(sources, 0, key, &unlimited, now), SOURCE_ADMITTED);
        now += SECOND / 10;
    }
    assert_true(sources_find(sources, key, now, &found));
    assert_true(found.rate > 9 && found.rate < 11);
    assert_true(sources_find(sources, key, now + 100 * SECOND, &found));
    assert_true(found.rate == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_source_has_no_more_requests_than_it_may, make_sources,
                                        drop_sources),
        cmocka_unit_test_setup_teardown(counts_are_those_of_a_model, make_sources, drop_sources),
        cmocka_unit_test_setup_teardown(a_rate_lets_the_burst_in_and_then_one_after_another,
                                        make_sources, drop_sources),
        cmocka_unit_test_setup_teardown(the_listeners_turns_come_evenly_behind_the_burst,
                                        make_sources, drop_sources),
        cmocka_unit_test_setup_teardown(penalties_add_up_to_the_most_and_end, make_sources,
                                        drop_sources),
        cmocka_unit_test_setup_teardown(a_pardon_forgets_a_penalty, make_sources, drop_sources),
        cmocka_unit_test_setup_teardown(a_scan_pushes_nobody_out_who_matters, make_sources,
                                        drop_sources),
        cmocka_unit_test_setup_teardown(whoever_finds_no_place_is_let_in, make_sources,
                                        drop_sources),
        cmocka_unit_test(a_prefix_makes_one_source_of_many_addresses),
        cmocka_unit_test_setup_teardown(the_rate_that_is_shown_is_that_of_the_last_seconds,
                                        make_sources, drop_sources),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
