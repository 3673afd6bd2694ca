/* SPDX-License-Identifier: MIT */
/*
 * leave.h - how a child ends that must not run what its parent has registered for exit()
 *
 * In a build that counts lines, what the child has run is counted before it
 * ends. In every other build leave() is _exit(2), and leave_counts() does nothing.
 */
#ifndef SOCKSERVERD_COMMON_LEAVE_H
#define SOCKSERVERD_COMMON_LEAVE_H

#include <unistd.h>

#include "common/checked.h"

#if CHECKED_COVERAGE
#include <gcov.h>
#define leave_counts() (__gcov_dump(), __gcov_reset())
#else
#define leave_counts() ((void)0)
#endif

static inline _Noreturn void
leave(int status)
{
    leave_counts();
    _exit(status);
}

#endif
