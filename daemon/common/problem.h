/* SPDX-License-Identifier: MIT */
/*
 * problem.h - a mistake in one text that somebody wrote, for whoever knows where it stands
 */
#ifndef SOCKSERVERD_COMMON_PROBLEM_H
#define SOCKSERVERD_COMMON_PROBLEM_H

/* Puts the text into *ret_problem, which the caller frees, and returns -EINVAL; without memory
 * NULL and -ENOMEM. */
int problem(char **ret_problem, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
