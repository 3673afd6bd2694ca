/* SPDX-License-Identifier: MIT */
/*
 * plugin_file.h - a plugin's file for a worker that may be unable to open it
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_PLUGIN_FILE_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_PLUGIN_FILE_H

#include "common/settings.h"

/*
 * Returns a descriptor, which the caller closes, that a worker with the
 * listener's user can load the plugin from: the file itself, or a sealed copy
 * if the user may not read it. Returns -1 if the worker's user is the daemon's,
 * and if there is no such file: the worker finds out why.
 */
int plugin_for_worker(const struct settings *settings);

#endif
