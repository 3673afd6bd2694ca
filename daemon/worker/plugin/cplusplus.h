/* SPDX-License-Identifier: MIT */
/*
 * cplusplus.h - the C++ runtime that a plugin has brought with it
 */
#ifndef SOCKSERVERD_WORKER_PLUGIN_CPLUSPLUS_H
#define SOCKSERVERD_WORKER_PLUGIN_CPLUSPLUS_H

#include "worker/plugin/plugin.h"

/*
 * What __cxa_get_globals() is called as: it returns the calling thread's state of exceptions (which
 * are caught, how many fly), as the C++ ABI lays it out. NULL: nobody throws any, as neither the
 * plugin nor what it has loaded since is C++.
 */
typedef void *(*exception_state_getter)(void);

exception_state_getter plugin_exception_state(const struct plugin *plugin);

#endif
