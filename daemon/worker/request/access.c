/* SPDX-License-Identifier: MIT */
/*
 * access.c - `allow` and `deny`: who may come in
 *
 * The table comes from the supervisor, in a memory file that all workers with
 * the same lists map. A peer of a Unix socket is asked for its user and groups
 * only if a list names any. Who that is cannot always be found out (a datagram
 * that was sent before the socket asked for credentials): then nobody comes in.
 *
 * Runs in:  a serving context of a worker; prepare() before it serves. Under
 *           *forking*, also in the zygote, for connections that it takes.
 * Owns:     the mapping, as long as the worker lives.
 * Failures: a table that cannot be mapped keeps the worker from starting.
 */
#include "worker/request/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/access_list.h"
#include "common/channel.h"
#include "common/cleanup.h"
#include "common/errors.h"
#include "common/peer_groups.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/turned_away.h"

static const struct networks *networks; /* NULL: the listener has no lists */
static struct turned_away *of_deny, *of_allow;

static const struct refusal denied = {
    .reason = "deny",
    .counter = offsetof(struct slot, denied),
    .warnings = &of_deny,
};
static const struct refusal not_allowed = {
    .reason = "allow",
    .counter = offsetof(struct slot, denied),
    .warnings = &of_allow,
};

/* ---- once per worker ------------------------------------------------------------ */

static int
prepare(struct ss_server *server, struct errors *errors)
{
    if (!settings_restrict_access(&server->settings))
        return 0;
    int error = access_list_map(INHERITED_ACCESS, &networks);
    (void)close(INHERITED_ACCESS);
    if (error < 0) {
        errors_add(errors, NULL, 0, "cannot map the table of \"allow\" and \"deny\": %s",
                   strerror(-error));
        return error;
    }
    error = turned_away_new(&of_deny);
    if (error == 0)
        error = turned_away_new(&of_allow);
    if (error < 0)
        errors_add(errors, NULL, 0, "cannot count who is turned away: %s", strerror(-error));
    return error < 0 ? error : 1;
}

/* ---- once per request ----------------------------------------------------------- */

static const struct refusal *
verdict(uint32_t item)
{
    if (!networks_refuse(networks, item))
        return NULL;
    return item == NETWORKS_NONE ? &not_allowed : &denied;
}

/* A user's item decides before its groups', and one of these that denies before one that allows. */
int
access_find_connection(const struct networks *list, int fd, uint32_t *ret_item)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof(peer);
    size_t count;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid == (uid_t)-1)
        return -ENODATA;
    _cleanup_free_ gid_t *gids = peer_groups(fd, &count);
    if (gids == NULL)
        return -ENODATA;
    gids[count] = peer.gid;
    *ret_item = networks_find_peer(list, peer.uid, gids, count + 1);
    return 0;
}

static const struct refusal *
judge_connection(const struct ss_request *request)
{
    uint32_t item;

    /* The client is another one than the peer, and nobody knows who that is. */
    if (request->announcer != NULL)
        return &not_allowed;
    return access_find_connection(networks, request->fd, &item) < 0 ? &not_allowed : verdict(item);
}

/* The kernel tells no more than the sender's first group. A sender whose user it did not note has
 * no number, or the one that stands for unknown users. */
static const struct refusal *
judge_sender(const struct ss_request *request)
{
    const struct ss_credentials *sender = &request->client.credentials;

    if (sender->uid == (uid_t)-1 || (sender->pid == 0 && sender->uid == 65534))
        return &not_allowed;
    return verdict(networks_find_peer(networks, sender->uid, &sender->gid, 1));
}

/* Returns why the client is turned away, or NULL. */
static const struct refusal *
judge(const struct ss_request *request)
{
    const struct sockaddr *client = (const struct sockaddr *)&request->client.address;

    if (client->sa_family != AF_UNIX || !networks_name_peers(networks))
        return verdict(networks_find(networks, client));
    return request->server->transport->stream ? judge_connection(request) : judge_sender(request);
}

int
access_enter(struct ss_request *request)
{
    const struct refusal *refusal = networks == NULL ? NULL : judge(request);

    return refusal == NULL ? 0 : gate_refuse(request, refusal);
}

static bool
would_pass(const struct ss_request *request)
{
    return judge(request) == NULL;
}

const struct gate access_gate = {
    .name = "access",
    .failed = {.reason = "access"},
    .prepare = prepare,
    .enter = access_enter,
    .would_pass = would_pass,
};
