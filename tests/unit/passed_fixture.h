/* SPDX-License-Identifier: MIT */
/*
 * passed_fixture.h - sockets as a service manager passes them, in this very process
 *
 * They wait with high numbers until all are known. Then they get the numbers
 * from 3 on, and the environment says so.
 */
#ifndef TESTS_UNIT_PASSED_FIXTURE_H
#define TESTS_UNIT_PASSED_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PUT_ASIDE   30 /* what is to be passed waits from here on */
#define PASSED_MOST 8

static struct {
    int fds[PASSED_MOST];
    size_t count;
    char names[400];
} waiting;

/* Whoever started this program may have left something where sockets are passed. */
static inline int
clear_passed(void **state)
{
    (void)state;
    for (int fd = 3; fd < PUT_ASIDE; fd++)
        (void)close(fd);
    return 0;
}

/* The descriptor will be passed under this name. It is not the caller's any more. */
static inline void
pass(const char *name, int fd)
{
    assert_true(fd >= 0 && waiting.count < PASSED_MOST);
    waiting.fds[waiting.count] = fcntl(fd, F_DUPFD_CLOEXEC, PUT_ASIDE);
    assert_true(waiting.fds[waiting.count] >= 0);
    (void)close(fd);
    if (waiting.count++ > 0)
        strcat(waiting.names, ":");
    strcat(waiting.names, name);
}

static inline void
place_passed(void)
{
    char number[16];

    (void)snprintf(number, sizeof(number), "%d", (int)getpid());
    (void)setenv("LISTEN_PID", number, 1);
    (void)snprintf(number, sizeof(number), "%zu", waiting.count);
    (void)setenv("LISTEN_FDS", number, 1);
    (void)setenv("LISTEN_FDNAMES", waiting.names, 1);
    for (size_t i = 0; i < waiting.count; i++) {
        assert_int_equal(dup2(waiting.fds[i], 3 + (int)i), 3 + (int)i);
        (void)close(waiting.fds[i]);
    }
    waiting.count = 0;
    waiting.names[0] = '\0';
}

#endif
