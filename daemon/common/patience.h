/* SPDX-License-Identifier: MIT */
/*
 * patience.h - trying again what failed only because the machine was short of something
 *
 * This is for the few steps that must not fail, at a time when nobody else has
 * to wait: a program that an upgrade has just executed either takes everything
 * over, or the service ends.
 *
 *     do
 *         r = step();
 *     while (patience_allows(r));
 */
#ifndef SOCKSERVERD_COMMON_PATIENCE_H
#define SOCKSERVERD_COMMON_PATIENCE_H

#include <stdbool.h>

/* From now on the process may wait for a second at most, all in all; before, it may not wait at
 * all. */
void patience_begin(void);
void patience_end(void);

/* True if the caller shall try again after this error (a negative errno); then it has waited a
 * little. */
bool patience_allows(int error);

#endif
