/* SPDX-License-Identifier: MIT */
/*
 * expect.h - what must hold in a fuzz target, whatever the input
 */
#ifndef TESTS_FUZZ_EXPECT_H
#define TESTS_FUZZ_EXPECT_H

#include <stdio.h>
#include <stdlib.h>

/* Ends the program, and so tells libFuzzer that the input is a finding. */
#define expect(what)                                                                               \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #what);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
