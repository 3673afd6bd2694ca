/* SPDX-License-Identifier: MIT */
/*
 * datagram.c - requests that are datagrams: UDP and Unix datagram sockets
 *
 * The packet is in the request's input buffer before the handler runs: it is
 * received there, or copied there from a batch (batch.c), whose buffers are
 * needed again while the request may still run. ss_packet() hands out that
 * buffer. What the handler writes gathers in the output buffer and leaves as
 * one datagram, from the address that was asked.
 *
 * Runs in:  a serving context of a worker.
 * Owns:     nothing; the socket is the listener's.
 * Failures: returned, or (the reply's) noted in the request.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/source.h"
#include "worker/request/wait.h"
#include "worker/transport/ancillary.h"
#include "worker/transport/batch.h"
#include "worker/transport/hoard.h"
#include "worker/transport/transports.h"
#include "worker/transport/unread.h"

#define PAUSE 1000000 /* ns, between two tries where others run meanwhile */

/*
 * Where contexts of several threads or processes share the socket, each takes
 * one datagram: the others are not its to hold. Coroutines of one loop may take
 * more; but a Unix socket's replies can block, which those may not.
 */
static bool
takes_batches(const struct ss_server *server)
{
    const struct settings *settings = &server->settings;

    if (!server->mixin->batches)
        return false;
    if (server->mixin->blocking)
        return true;
    return settings->cpus == 1 && settings->address.scheme == ADDRESS_UDP;
}

static int
datagram_prepare(struct ss_server *server)
{
    int error = set_socket_timeout(server->socket, SO_SNDTIMEO, UNREAD_PATIENCE);

    if (error < 0)
        return error;
    int flags = fcntl(server->socket, F_GETFL);
    if (flags < 0 || ((flags & O_NONBLOCK) && fcntl(server->socket, F_SETFL, flags & ~O_NONBLOCK)))
        return -errno;
    return 0;
}

static void
note_ipv4_destination(struct datagram *datagram, const struct in_pktinfo *info)
{
    unsigned char *mapped = datagram->reply_from.ipi6_addr.s6_addr;

    memset(&datagram->reply_from, 0, sizeof(datagram->reply_from));
    mapped[10] = mapped[11] = 0xff;
    memcpy(mapped + 12, &info->ipi_spec_dst, 4);
    datagram->reply_from_known = true;
}

static void
note_ipv6_destination(struct datagram *datagram, const struct in6_pktinfo *info)
{
    if (IN6_IS_ADDR_MULTICAST(&info->ipi6_addr))
        return; /* no address to answer from: the kernel chooses */
    datagram->reply_from = *info;
    datagram->reply_from_known = true;
}

static void
note_sender(struct peer *client, const struct ucred *sender)
{
    client->credentials =
        (struct ss_credentials){.pid = sender->pid, .uid = sender->uid, .gid = sender->gid};
    client->credentials_state = sender->pid > 0 ? 1 : -ENODATA;
}

/* Whoever may send to a Unix socket may attach descriptors. Nobody asked for them. */
static void
close_descriptors(const struct cmsghdr *attached)
{
    size_t count = (attached->cmsg_len - CMSG_LEN(0)) / sizeof(int);

    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(attached) + i * sizeof(int), sizeof(int));
        (void)close(fd);
    }
}

static void
read_ancillary(struct ss_request *request, struct msghdr *message)
{
    request->datagram.reply_from_known = false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        const void *data = CMSG_DATA(c);
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
            note_ipv6_destination(&request->datagram, data);
        else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
            note_ipv4_destination(&request->datagram, data);
        else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
            note_sender(&request->client, data);
        else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            close_descriptors(c);
    }
}

/* Nobody to answer: an unnamed Unix socket, or a port that cannot have sent this. */
static bool
is_mute(const struct sockaddr_storage *sender, socklen_t size)
{
    if (sender->ss_family == AF_INET)
        return ((const struct sockaddr_in *)sender)->sin_port == 0;
    if (sender->ss_family == AF_INET6)
        return ((const struct sockaddr_in6 *)sender)->sin6_port == 0;
    return size <= offsetof(struct sockaddr_un, sun_path);
}

/* Notes everything that a message says of its request, except for its bytes. */
static void
note_message(struct ss_request *request, struct msghdr *message, size_t size)
{
    struct ss_server *server = request->server;
    struct datagram *datagram = &request->datagram;
    struct peer *client = &request->client;

    if (message->msg_namelen == 0)
        client->address.ss_family = AF_UNIX;
    client->credentials_state = -ENODATA;
    client->credentials = (struct ss_credentials){.uid = (uid_t)-1, .gid = (gid_t)-1};
    read_ancillary(request, message);
    client->size = message->msg_namelen;
    datagram->mute = is_mute(&client->address, client->size);
    if (server->ipv6)
        address_unmap(&client->address, &client->size);
    datagram->truncated = (message->msg_flags & MSG_TRUNC) != 0;
    request->fd = request->output_fd = server->socket;
    datagram->size = size;
    request->bytes_in = size;
    request->input.start = 0;
    request->input.end = size;
}

static int
get_one(struct ss_request *request, size_t limit)
{
    const struct ss_server *server = request->server;
    union ancillary control;
    struct iovec part = {.iov_base = request->input.data, .iov_len = limit};
    struct msghdr message = {
        .msg_name = &request->client.address,
        .msg_namelen = sizeof(request->client.address),
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    int flags = server->mixin->blocking ? MSG_CMSG_CLOEXEC : MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
    ssize_t got = recvmsg(server->socket, &message, flags);

    if (got < 0)
        return -errno;
    note_message(request, &message, (size_t)got);
    return 0;
}

static int
get_next_of_batch(struct ss_request *request)
{
    struct msghdr *message;
    ssize_t got = batch_next(request->server, &message);

    if (got < 0)
        return (int)got;
    memcpy(request->input.data, message->msg_iov->iov_base, (size_t)got);
    memcpy(&request->client.address, message->msg_name, message->msg_namelen);
    note_message(request, message, (size_t)got);
    return 0;
}

static int
datagram_get_request(struct ss_request *request)
{
    const struct ss_server *server = request->server;
    size_t limit = (size_t)server->settings.max_packet_size;

    if (input_reserve(&request->input, limit) < 0)
        return -ENOMEM;
    return takes_batches(server) ? get_next_of_batch(request) : get_one(request, limit);
}

/* The packet is all there is. */
static ssize_t
datagram_receive(struct ss_request *request, void *buffer, size_t size)
{
    (void)request;
    (void)buffer;
    (void)size;
    return 0;
}

static void
add_source(const struct ss_request *request, struct msghdr *message)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);

    if (request->server->ipv6) {
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(struct in6_pktinfo));
        struct in6_pktinfo info = {.ipi6_addr = request->datagram.reply_from.ipi6_addr};
        if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
            info.ipi6_ifindex = request->datagram.reply_from.ipi6_ifindex;
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        message->msg_controllen = CMSG_SPACE(sizeof(info));
    } else {
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, request->datagram.reply_from.ipi6_addr.s6_addr + 12, 4);
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        message->msg_controllen = CMSG_SPACE(sizeof(info));
    }
}

/* A message without a source of its own goes by the cheaper call. */
static ssize_t
send_message(int socket, const struct msghdr *message, int flags)
{
    if (message->msg_controllen > 0)
        return sendmsg(socket, message, flags);
    return sendto(socket, message->msg_iov->iov_base, message->msg_iov->iov_len, flags,
                  message->msg_name, message->msg_namelen);
}

/*
 * Nobody can be told when a receiver's queue has room: the socket is not
 * connected to it. A blocking context waits in sendmsg(), others try again.
 */
static int
send_patiently(struct ss_request *request, const struct msghdr *message)
{
    struct ss_server *server = request->server;
    int64_t until = monotonic_after(UNREAD_PATIENCE);
    int flags = MSG_NOSIGNAL | (server->mixin->blocking ? 0 : MSG_DONTWAIT);
    int error = 0;

    while (error == 0) {
        if (send_message(server->socket, message, flags) >= 0)
            return 0;
        int64_t now = monotonic_now();
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        if (now >= until || request_is_cut(request))
            break;
        if (!server->mixin->blocking)
            error = server->mixin->wait(request, -1, 0, now + PAUSE);
    }
    unread_note(server);
    return -EAGAIN;
}

/* may_hold: it is the reply, and may go out with those to others. */
static int
send_to_sender(struct ss_request *request, struct iovec part, bool from_known, bool may_hold)
{
    socklen_t size;
    const struct sockaddr *sender = ss_peer_address(request, &size); /* whoever it speaks for */
    union ancillary control;
    struct sockaddr_in6 mapped;
    struct msghdr message = {
        .msg_name = (void *)(uintptr_t)sender,
        .msg_namelen = size,
        .msg_iov = &part,
        .msg_iovlen = 1,
    };

    if (request->server->ipv6 && sender->sa_family == AF_INET) {
        mapped = address_map((const struct sockaddr_in *)sender);
        message.msg_name = &mapped;
        message.msg_namelen = sizeof(mapped);
    }
    if (from_known) {
        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        add_source(request, &message);
    }
    if (sender->sa_family == AF_UNIX && hoard_refuses(request->server, &message))
        return -EAGAIN;
    if (may_hold && takes_batches(request->server) && batch_hold(request, &message))
        return 0;
    for (;;) {
        if (send_message(request->server->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return 0;
        if (errno == EAGAIN)
            return unread_patient(request->server) ? send_patiently(request, &message) : -EAGAIN;
        if (errno != EINTR)
            return -errno;
        if (request_is_cut(request))
            return -ECANCELED;
    }
}

/* Asked by broadcast, or at an address that is gone since: the kernel chooses another one. */
static int
answer(struct ss_request *request, struct iovec part, bool may_hold)
{
    bool known = request->datagram.reply_from_known;
    int error = send_to_sender(request, part, known, may_hold);

    if (known && (error == -EINVAL || error == -EADDRNOTAVAIL))
        error = send_to_sender(request, part, false, may_hold);
    return error;
}

static int
datagram_send(struct ss_request *request, const void *bytes, size_t size)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};

    if (request->datagram.mute)
        return -EDESTADDRREQ;
    int error = answer(request, part, false);
    if (error == 0)
        request->bytes_out += size;
    return error;
}

static void
drop(struct ss_request *request)
{
    request->reason = CLOSE_UNSENT;
    unread_warn(request->server);
}

/* What the kernel says of broadcast addresses; the gate knows those that were there at the start.
 */
static void
refuse(struct ss_request *request)
{
    request->reason = CLOSE_REFUSED;
    source_warn(request->server, SOURCE_IS_BROADCAST, &request->client.address,
                request->client.size);
}

/* Python's DatagramRequestHandler.finish(): one datagram with everything that was written. */
static void
datagram_shutdown_request(struct ss_request *request)
{
    enum reply_mode mode = request->server->settings.reply;
    size_t size = request->output.used;

    if (request->reason != CLOSE_DONE || request->output.error < 0 || request->datagram.mute ||
        mode == REPLY_NEVER || (size == 0 && mode != REPLY_ALWAYS))
        return;
    struct iovec part = {.iov_base = request->output.data, .iov_len = size};
    int error = answer(request, part, true);
    if (error == 0)
        request->bytes_out += size;
    else if (error == -ECONNREFUSED || error == -ENOENT || error == -ENOTCONN)
        request->reason = CLOSE_VANISHED;
    else if (error == -EAGAIN)
        drop(request);
    else if (error == -EACCES)
        refuse(request);
    else
        request->error = error;
}

static int
datagram_transmit(struct ss_request *request, struct iovec *parts, int count)
{
    (void)request;
    (void)parts;
    (void)count;
    return -ENOTSUP; /* output only gathers: see ss_write() */
}

static void
datagram_close_request(struct ss_request *request)
{
    request->fd = request->output_fd = -1;
    if (takes_batches(request->server))
        batch_end(request->server);
}

static void
datagram_flush(struct ss_server *server)
{
    if (takes_batches(server))
        batch_flush(server);
}

const struct transport datagram_transport = {
    .stream = false,
    .prepare = datagram_prepare,
    .get_request = datagram_get_request,
    .receive = datagram_receive,
    .transmit = datagram_transmit,
    .send_datagram = datagram_send,
    .shutdown_request = datagram_shutdown_request,
    .close_request = datagram_close_request,
    .flush = datagram_flush,
};
