/* SPDX-License-Identifier: MIT */
/*
 * bad_activate.c - a plugin whose server_activate() fails
 *
 * Loads and passes --check; its listener fails when it starts and is tried again.
 */
#include <errno.h>
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "bad_activate", .summary = "fails in server_activate()",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING)

int
server_activate(struct ss_server *server)
{
    (void)server;
    ss_log(LOG_ERR, "bad_activate: the database is not there");
    return -EIO;
}

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
