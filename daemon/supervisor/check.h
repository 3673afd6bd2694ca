/* SPDX-License-Identifier: MIT */
/*
 * check.h - trying a configuration without serving it
 */
#ifndef SOCKSERVERD_SUPERVISOR_CHECK_H
#define SOCKSERVERD_SUPERVISOR_CHECK_H

#include "common/config.h"
#include "common/errors.h"

/*
 * Lets a worker load each listener's plugin and check its options, several at
 * a time, binding nothing; disabled listeners too. Mistakes are added to
 * errors. Returns 0 if all could be tried, or a negative errno.
 */
int check_listeners(const struct config *config, struct errors *errors);

#endif
