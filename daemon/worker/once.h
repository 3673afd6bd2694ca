/* SPDX-License-Identifier: MIT */
/*
 * once.h - a process for one request on standard input and output
 */
#ifndef SOCKSERVERD_WORKER_ONCE_H
#define SOCKSERVERD_WORKER_ONCE_H

#include "common/settings.h"

/*
 * The role `sockserverd --stdio PLUGIN`: for inetd, for authors, for fuzzers.
 * settings must be finished; the address and the mixin are ignored. datagram:
 * standard input is one datagram; else that is so only for a plugin that serves
 * nothing else. Returns the exit status: 0, 1 if the request failed or the
 * plugin does not load, 78 if its options are wrong or it serves no datagrams.
 */
int once_main(const struct settings *settings, bool datagram);

#endif
