/* SPDX-License-Identifier: MIT */
/*
 * fds_fixture.h - how many descriptors this process has, to see that none is leaked
 */
#ifndef TESTS_UNIT_FDS_FIXTURE_H
#define TESTS_UNIT_FDS_FIXTURE_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The same each time: the folder's own, "." and ".." are counted, too. */
static inline size_t
count_fds(void)
{
    DIR *fds = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(fds);
    while (readdir(fds) != NULL)
        count++;
    (void)closedir(fds);
    return count;
}

#endif
