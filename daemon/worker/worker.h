/* SPDX-License-Identifier: MIT */
/*
 * worker.h - the worker process
 */
#ifndef SOCKSERVERD_WORKER_WORKER_H
#define SOCKSERVERD_WORKER_WORKER_H

#include "common/settings.h"
#include "worker/request/gate.h"
#include "worker/request/server.h"

/*
 * The role `sockserverd --worker NAME`, executed by the supervisor with the
 * descriptors of enum inherited_fd: everything else stands in the brief.
 * Requests pass these gates; see gate.h.
 * Returns the exit status.
 */
int worker_main(int argc, char **argv, const struct gate *const *gates);

/*
 * Loads the plugin of server->settings and checks that it suits: its mixins,
 * its transports, its options. 0, or negative with every mistake in errors:
 * -ENOEXEC if it could not be loaded, -EINVAL if the configuration is wrong.
 */
int worker_load(struct ss_server *server, struct errors *errors);

#endif
