/* SPDX-License-Identifier: MIT */
/*
 * problem.c - a mistake in one text that somebody wrote, for whoever knows where it stands
 *
 * Runs in:  every process.
 * Owns:     nothing.
 * Failures: returned.
 */
#include "common/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

int
problem(char **ret_problem, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(ret_problem, format, arguments);
    va_end(arguments);
    if (length < 0)
        *ret_problem = NULL;
    return length < 0 ? -ENOMEM : -EINVAL;
}
