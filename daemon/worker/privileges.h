/* SPDX-License-Identifier: MIT */
/*
 * privileges.h - becoming the user that a listener's worker runs as
 */
#ifndef SOCKSERVERD_WORKER_PRIVILEGES_H
#define SOCKSERVERD_WORKER_PRIVILEGES_H

#include "common/errors.h"
#include "common/settings.h"

/*
 * Gives up what the plugin must not have, for good: supplementary groups,
 * group, user, and the way back. 0, or -EPERM with the reason in errors.
 */
int privileges_drop(const struct settings *settings, struct errors *errors);

#endif
