/* SPDX-License-Identifier: MIT */
/*
 * patience.h - trying again what failed only because the machine was short of something
 *
 * For the few steps that must not fail, at a time when nobody else is kept
 * waiting: a program that has just been executed by an upgrade either takes
 * everything over, or the service ends.
 *
 *     do
 *         r = step();
 *     while (patience_allows(r));
 */
#ifndef SOCKSERVERD_COMMON_PATIENCE_H
#define SOCKSERVERD_COMMON_PATIENCE_H

#include <stdbool.h>

/* From now on the process may wait for at most a second, all in all; before, never. */
void patience_begin(void);
void patience_end(void);

/* Whether to try again after this error (a negative errno). If so, it has waited a little. */
bool patience_allows(int error);

#endif
