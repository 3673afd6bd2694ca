/* SPDX-License-Identifier: MIT */
/*
 * socket_tuning.c - how much the kernel keeps for a listener, and when it asks after a silent
 * client
 *
 * Connections have from their listening socket what it had when they came.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: logged as a warning. The socket serves all the same.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/array.h"
#include "common/log.h"
#include "supervisor/socket/socket_private.h"

/*
 * The kernel's default for UDP has room for some 200 small datagrams. A burst of
 * a few hundred clients, or a moment in which no thread is awake, loses some.
 *
 * A Unix datagram listener's answers that their clients have not read yet fill
 * the send buffer, which all clients share (worker/transport/hoard.c). The
 * default has room for some 270 of them, no more than a few busy clients have
 * under way.
 */
#define DATAGRAM_ROOM (1 << 20) /* bytes; the kernel doubles them for its own data */

#define PROBES 6 /* a client that answers none of these is gone */

static const struct buffer {
    const char *key, *limit; /* the limit is the kernel's, for those without CAP_NET_ADMIN */
    size_t offset;           /* in struct settings */
    int option, force;
    bool local; /* a Unix datagram listener has DATAGRAM_ROOM of it, too */
} buffers[] = {
    {"receive_buffer", "net.core.rmem_max", offsetof(struct settings, receive_buffer), SO_RCVBUF,
     SO_RCVBUFFORCE, false},
    {"send_buffer", "net.core.wmem_max", offsetof(struct settings, send_buffer), SO_SNDBUF,
     SO_SNDBUFFORCE, true},
};

/* Returns the size without what the kernel adds for its own data. */
static uint64_t
buffer_size(int fd, const struct buffer *buffer)
{
    int bytes = 0;
    socklen_t size = sizeof(bytes);

    return getsockopt(fd, SOL_SOCKET, buffer->option, &bytes, &size) < 0 ? 0 : (uint64_t)bytes / 2;
}

static void
set_buffer(int fd, const struct buffer *buffer, uint64_t bytes)
{
    int value = (int)bytes;

    if (setsockopt(fd, SOL_SOCKET, buffer->force, &value, sizeof(value)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, buffer->option, &value, sizeof(value));
}

/* What is not given is never made smaller: whoever bound the socket may have set it. */
static void
tune_buffer(int fd, const struct settings *settings, const struct buffer *buffer, uint64_t least)
{
    uint64_t given = *(const uint64_t *)((const char *)settings + buffer->offset);

    if (given == 0 && buffer_size(fd, buffer) >= least)
        return;
    set_buffer(fd, buffer, given == 0 ? least : given);
    uint64_t made = buffer_size(fd, buffer);
    if (given != 0 && made < given)
        log_listener(settings->name, LOG_WARNING,
                     "%s: the kernel gives %" PRIu64 " of %" PRIu64 " bytes; raise %s", buffer->key,
                     made, given, buffer->limit);
}

/* A client that is gone is noticed after twice the time of silence. What is not given stays as
 * whoever bound the socket has set it. */
static void
tune_keepalive(int fd, const struct settings *settings)
{
    int silence = (int)settings->keepalive, between = silence / PROBES > 1 ? silence / PROBES : 1;
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_KEEPIDLE, silence},
        {IPPROTO_TCP, TCP_KEEPINTVL, between},
        {IPPROTO_TCP, TCP_KEEPCNT, PROBES},
    };

    if (silence == 0 && !settings_have(settings, "keepalive"))
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){silence > 0}, sizeof(int));
    for (size_t i = 0; i < ARRAY_SIZE(options) && silence > 0; i++)
        if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0)
            log_listener(settings->name, LOG_WARNING, "keepalive cannot be set: %m");
}

void
socket_tune(int fd, const struct settings *settings, bool local, bool stream)
{
    for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
        tune_buffer(fd, settings, &buffers[i],
                    stream || (local && !buffers[i].local) ? 0 : DATAGRAM_ROOM);
    if (stream && !local)
        tune_keepalive(fd, settings);
}
