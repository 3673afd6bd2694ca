/* SPDX-License-Identifier: MIT */
/*
 * proxy.h - `proxy`: whose PROXY header is believed
 */
#ifndef SOCKSERVERD_CONFIG_PROXY_H
#define SOCKSERVERD_CONFIG_PROXY_H

#include "common/errors.h"
#include "common/settings.h"

/*
 * Checks the listener's `proxy.trusted`: it must be there if `proxy` is, name
 * somebody, and not everybody. Users and groups become their numbers, which is
 * what a worker understands. Mistakes are added to errors.
 */
void proxy_finish(struct settings *settings, struct errors *errors);

#endif
