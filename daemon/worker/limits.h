/* SPDX-License-Identifier: MIT */
/*
 * limits.h - a worker's resource limits
 */
#ifndef SOCKSERVERD_WORKER_LIMITS_H
#define SOCKSERVERD_WORKER_LIMITS_H

#include "common/errors.h"
#include "common/settings.h"

/*
 * Sets the limits that the listener has, for good: soft and hard ones. Must
 * come before privileges are dropped, which raising one takes. 0, or -EINVAL
 * with the reasons in errors.
 */
int limits_set(const struct settings *settings, struct errors *errors);

/* Sets the priority that the listener has, in the same way. */
int limits_set_nice(const struct settings *settings, struct errors *errors);

#endif
