/* SPDX-License-Identifier: MIT */
/*
 * forward.c - passes each connection on to another address, and datagrams with their answers
 *
 * The daemon's ss_connect() and ss_relay() do the work; this plugin chooses the target, announces
 * the client, and encrypts. The manual is sockserverd-forward(7).
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     the connection to the target.
 * Failures: logged here, once, and returned: the client's connection is closed.
 */
#include "forward.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct ss_option options[] = {
    {.name = "to",
     .type = SS_LIST,
     .required = true,
     .min = 1,
     .max = TARGETS_MOST,
     .help = "the targets: \"tcp://HOST:PORT\", \"unix:///PATH\"; of datagrams \"udp://...\", "
             "\"unixgram:...\""},
    {.name = "balance",
     .type = SS_CHOICE,
     .fallback = "round",
     .choices = "round least",
     .help = "\"round\": each target in turn; \"least\": the one with the fewest connections"},
    {.name = "fail_timeout",
     .type = SS_DURATION,
     .fallback = "10s",
     .max = 86400,
     .help = "a target that failed is left alone for so long, while others work"},
    {.name = "connect_timeout",
     .type = SS_DURATION,
     .fallback = "5s",
     .max = 3600,
     .help = "for one target to answer; 0: as long as the kernel tries"},
    {.name = "idle_timeout",
     .type = SS_DURATION,
     .fallback = "1h",
     .max = 31536000,
     .help = "a connection without a byte in either direction ends; 0: never"},
    {.name = "session_timeout",
     .type = SS_DURATION,
     .fallback = "30s",
     .min = 0.1,
     .max = 86400,
     .help = "so long answers to a peer's datagrams are waited for"},
    {.name = "max_sessions",
     .type = SS_INTEGER,
     .fallback = "0",
     .max = 1000000,
     .help = "peers of datagrams at a time; 0: three quarters of max_connections"},
    {.name = "proxy_protocol",
     .type = SS_CHOICE,
     .fallback = "none",
     .choices = "none v1 v2",
     .help = "announces the client to the target"},
    {.name = "tls", .type = SS_BOOLEAN, .help = "encrypts the connection to the target"},
    {.name = "tls_ca",
     .type = SS_STRING,
     .help = "a file with certificates; one must have signed the target's. Default: the system's"},
    {.name = "tls_name",
     .type = SS_STRING,
     .help = "the name that the target's certificate must be for; default: its host"},
    {0},
};

SS_PLUGIN(.name = "forward", .summary = "passes connections and datagrams on to another address",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = options)

/* Where systemd passes the socket, its kind is not known before the worker has it. */
int
check_options(struct ss_server *server)
{
    struct service *service;

    if (ss_server_transport(server) == 0)
        return 0;
    int error = service_new(server, &service);
    if (error == 0)
        service_free(service);
    return error;
}

int
server_activate(struct ss_server *server)
{
    struct service *service;
    int error = service_new(server, &service);

    if (error == 0)
        ss_server_set_data(server, service);
    return error;
}

void
server_close(struct ss_server *server)
{
    service_free(ss_server_data(server));
    ss_server_set_data(server, NULL);
}

/* A new socket takes a header as a whole. */
static int
announce(struct ss_request *request, const struct service *service, int fd)
{
    char header[HEADER_MOST];

    if (service->proxy == PROXY_NONE)
        return 0;
    int size = header_write(request, service->proxy, header);
    ssize_t sent = send(fd, header, (size_t)size, MSG_NOSIGNAL);
    if (sent < 0)
        return -errno;
    return sent == size ? 0 : -EIO;
}

/* What the target is told before the client's first byte. */
static int
open_target(struct ss_request *request, const struct service *service, const struct target *target,
            int fd, void *userdata)
{
    struct ssl_st **session = userdata;
    int error = announce(request, service, fd);

    if (error == 0 && service->tls != NULL)
        error = encryption_begin(request, service, target, fd, session);
    return error;
}

static int
relay(struct ss_request *request, const struct service *service, int fd, struct ssl_st *session)
{
    if (session == NULL)
        return ss_relay(request, fd, service->idle_timeout);
    struct ss_stream stream = encryption_stream(session, fd);
    return ss_relay_stream(request, &stream, service->idle_timeout);
}

int
handle(struct ss_request *request)
{
    struct service *service = ss_server_data(ss_server(request));
    struct ssl_st *session = NULL;
    struct target *target;

    if (service->datagrams)
        return sessions_serve(request, service);
    int fd = targets_connect(request, service, open_target, &session, &target);
    if (fd < 0)
        return fd;
    ss_set_outcome(request, target->outcome);
    int error = relay(request, service, fd, session);
    if (error == -EREMOTEIO)
        ss_log(LOG_NOTICE, "%s has failed: %m", target->address);
    encryption_end(session);
    (void)close(fd);
    target_leave(target);
    return error;
}

/* handle() has said what it was, in words that name the target. */
void
handle_error(struct ss_request *request, int error)
{
    (void)request, (void)error;
}
