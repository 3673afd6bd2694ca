/* SPDX-License-Identifier: MIT */
/*
 * bad_hook_elsewhere.c - a plugin without handle(), linked to a library that has one
 *
 * Must be refused by the loader: a hook counts only if it lies in the plugin.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "bad_hook_elsewhere", .summary = "has its handle() in a library",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING)

const char *elsewhere(void);

/* Uses the library, so that the linker keeps it. */
int
server_activate(struct ss_server *server)
{
    (void)server;
    ss_log(LOG_INFO, "%s", elsewhere());
    return 0;
}
