/* SPDX-License-Identifier: MIT */
/*
 * describe.h - what a plugin says of itself
 */
#ifndef SOCKSERVERD_WORKER_PLUGIN_DESCRIBE_H
#define SOCKSERVERD_WORKER_PLUGIN_DESCRIBE_H

#include <stdbool.h>

/* The role `sockserverd --describe PLUGIN`. Returns the exit status: 0, or 1 if it does not load.
 */
int describe_main(const char *plugin_file, bool json);

#endif
