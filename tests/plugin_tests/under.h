/* SPDX-License-Identifier: MIT */
/*
 * under.h - rows of a cmocka table: one test under one mixin, or under each
 *
 * The test finds the mixin's name as its state. Include it behind cmocka.h.
 */
#ifndef SOCKSERVERD_TESTS_UNDER_H
#define SOCKSERVERD_TESTS_UNDER_H

#define UNDER(test, mixin)                                                                         \
    {                                                                                              \
        .name = #test " " mixin, .test_func = test, .initial_state = (void *)mixin                 \
    }
#define UNDER_EACH(test)                                                                           \
    UNDER(test, "none"), UNDER(test, "threading"), UNDER(test, "forking"), UNDER(test, "coroutine")

#endif
