/* SPDX-License-Identifier: MIT */
/*
 * who.c - good_command's commands that tell who serves whom; good_command.c lists the replies
 */
#include "command.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

static int
tell_pid(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "pid %d\n", getpid());
}

static int
tell_tid(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "tid %d\n", gettid());
}

static int
tell_worker(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "worker %s\n", ss_worker_name(request));
}

static int
tell_client(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "client %s\n", ss_client_name(request));
}

static int
tell_peer(struct ss_request *request, const char *argument)
{
    char text[INET6_ADDRSTRLEN] = "";
    socklen_t size = 0;
    const struct sockaddr *peer = ss_peer_address(request, &size);
    const struct sockaddr_in *in = (const struct sockaddr_in *)peer;

    (void)argument;
    if (peer->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
    return ss_printf(request, "peer %d %u %s\n", peer->sa_family, size, text);
}

static int
penalise(struct ss_request *request, const char *argument)
{
    char *reason;
    double seconds = strtod(argument, &reason);

    ss_penalise(request, seconds, *reason == ' ' ? reason + 1 : NULL);
    return ss_printf(request, "penalised\n");
}

static int
tell_sockaddr(struct ss_request *request, const char *argument)
{
    socklen_t size = 0;
    const struct sockaddr *address = ss_client_address(request, &size);

    (void)argument;
    return ss_printf(request, "sockaddr %d %u\n", address ? address->sa_family : 0, size);
}

static int
tell_credentials(struct ss_request *request, const char *argument)
{
    struct ss_credentials peer;
    int result = ss_client_credentials(request, &peer);

    (void)argument;
    if (result < 0)
        return ss_printf(request, "error %d\n", result);
    return ss_printf(request, "credentials %d %u %u\n", peer.pid, peer.uid, peer.gid);
}

static int
tell_address(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "address %s\n", ss_server_address(ss_server(request)));
}

static int
tell_name(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "name %s\n", ss_server_name(ss_server(request)));
}

static int
tell_fd(struct ss_request *request, const char *argument)
{
    int fd = ss_fd(request);

    (void)argument;
    return ss_printf(request, fd < 0 ? "error %d\n" : "fd %d\n", fd);
}

static int
tell_nodelay(struct ss_request *request, const char *argument)
{
    int value = 0;
    socklen_t size = sizeof(value);

    (void)argument;
    if (getsockopt(ss_fd(request), IPPROTO_TCP, TCP_NODELAY, &value, &size) < 0)
        return ss_printf(request, "error %d\n", -errno);
    return ss_printf(request, "nodelay %d\n", value != 0);
}

static const char *
or_none(const char *text)
{
    return text != NULL ? text : "none";
}

static int
tell_tls(struct ss_request *request, const char *argument)
{
    struct ss_tls tls = {.size = sizeof(tls)};

    (void)argument;
    if (!ss_tls(request, &tls))
        return ss_printf(request, "tls none\n");
    ss_printf(request, "tls %s cipher=%s server=%s alpn=%s resumed=%d", tls.version, tls.cipher,
              or_none(tls.server_name), or_none(tls.alpn), tls.resumed);
    ss_printf(request, " subject=%s issuer=%s fingerprint=%s", or_none(tls.subject),
              or_none(tls.issuer), or_none(tls.fingerprint));
    for (size_t i = 0; tls.names != NULL && tls.names[i] != NULL; i++)
        ss_printf(request, " %s", tls.names[i]);
    return ss_printf(request, "\n");
}

const struct command who_commands[] = {
    {"pid", tell_pid},
    {"tid", tell_tid},
    {"worker", tell_worker},
    {"client", tell_client},
    {"peer", tell_peer},
    {"penalise", penalise},
    {"sockaddr", tell_sockaddr},
    {"credentials", tell_credentials},
    {"address", tell_address},
    {"name", tell_name},
    {"fd", tell_fd},
    {"nodelay", tell_nodelay},
    {"tls", tell_tls},
    {0},
};
