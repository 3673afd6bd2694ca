/* SPDX-License-Identifier: MIT */
/*
 * tunnel.c - TLS between a test's client and the daemon
 *
 *   tunnel CONTROL CERTIFICATE
 *
 * CONTROL is a descriptor: a socket on which each message brings two others, the
 * test's end of a connection and the daemon's. Bytes go from one to the other,
 * through a TLS client that trusts the certificate alone. A half-close of the test
 * is a close_notify, and the other way round. It ends when CONTROL does.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINKS_MAX 20000
#define CHUNK     16384

struct flow {
    char bytes[CHUNK];
    size_t start, end;
    bool ended; /* where it comes from */
    bool told;  /* where it goes to */
};

struct link {
    int plain, wire;
    SSL *ssl;
    struct flow out, in; /* to the daemon, and from it */
    bool wants_write, broken;
};

static struct link *links[LINKS_MAX];
static size_t link_count;
static SSL_CTX *ctx;

/* ---- one step of a connection ------------------------------------------------------ */

static bool
is_empty(const struct flow *flow)
{
    return flow->start == flow->end;
}

/* What it means that a call of OpenSSL did not succeed. True: try again later. */
static bool
can_wait(struct link *link, int result)
{
    int error = SSL_get_error(link->ssl, result);

    if (error == SSL_ERROR_WANT_WRITE)
        link->wants_write = true;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return true;
    if (error != SSL_ERROR_ZERO_RETURN)
        link->broken = true;
    return false;
}

static bool
read_wire(struct link *link)
{
    size_t got;

    if (!is_empty(&link->in) || link->in.ended)
        return false;
    ERR_clear_error();
    int result = SSL_read_ex(link->ssl, link->in.bytes, CHUNK, &got);
    if (result != 1) {
        link->in.ended = !can_wait(link, result);
        return link->in.ended;
    }
    link->in.start = 0;
    link->in.end = got;
    return true;
}

static bool
write_plain(struct link *link)
{
    struct flow *in = &link->in;

    if (is_empty(in)) {
        if (!in->ended || in->told)
            return false;
        (void)shutdown(link->plain, SHUT_WR);
        return in->told = true;
    }
    ssize_t sent =
        send(link->plain, in->bytes + in->start, in->end - in->start, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        in->start = in->end;
        in->ended = in->told = true; /* the test has closed its end, and a flood goes to nobody */
    }
    if (sent > 0)
        in->start += (size_t)sent;
    return sent > 0;
}

static bool
read_plain(struct link *link)
{
    struct flow *out = &link->out;

    if (!is_empty(out) || out->ended)
        return false;
    ssize_t got = recv(link->plain, out->bytes, CHUNK, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    out->ended = got <= 0;
    out->start = 0;
    out->end = got > 0 ? (size_t)got : 0;
    return true;
}

/* The same for a write. A daemon that reads no more may have answered before: what it has said is
 * still to be read, so the link is not broken yet. */
static bool
can_wait_to_write(struct link *link, int result)
{
    bool broken = link->broken;
    bool waits = can_wait(link, result);

    link->broken = broken;
    return waits;
}

static bool
write_wire(struct link *link)
{
    struct flow *out = &link->out;
    size_t put;
    int result;

    ERR_clear_error();
    if (is_empty(out)) {
        if (!out->ended || out->told)
            return false;
        result = SSL_is_init_finished(link->ssl) ? SSL_shutdown(link->ssl) : SSL_connect(link->ssl);
        out->told = result >= 0 && SSL_get_shutdown(link->ssl) != 0;
        if (result < 0)
            out->told = !can_wait_to_write(link, result);
        if (out->told)
            (void)shutdown(link->wire, SHUT_WR);
        return out->told;
    }
    result = SSL_write_ex(link->ssl, out->bytes + out->start, out->end - out->start, &put);
    if (result == 1) {
        out->start += put;
        return true;
    }
    if (!can_wait_to_write(link, result))
        out->start = out->end; /* the daemon reads no more */
    return false;
}

static bool
is_over(const struct link *link)
{
    return link->broken || (link->out.told && link->in.told);
}

static void
pump(struct link *link)
{
    bool moved = true;

    link->wants_write = false;
    while (moved && !is_over(link)) {
        moved = read_wire(link);
        moved = write_plain(link) || moved;
        moved = read_plain(link) || moved;
        moved = write_wire(link) || moved;
    }
    if (link->broken) /* what had come before is still the test's */
        while (!is_empty(&link->in) && write_plain(link))
            ;
}

/* ---- all of them ------------------------------------------------------------------- */

static void
add_link(int plain, int wire)
{
    struct link *link = calloc(1, sizeof(*link));

    if (link == NULL || link_count == LINKS_MAX)
        exit(1);
    (void)fcntl(wire, F_SETFL, O_NONBLOCK);
    link->plain = plain;
    link->wire = wire;
    link->ssl = SSL_new(ctx);
    BIO *bio = BIO_new_socket(wire, BIO_NOCLOSE);
    SSL_set_bio(link->ssl, bio, bio);
    SSL_set_connect_state(link->ssl);
    (void)SSL_set_tlsext_host_name(link->ssl, "localhost");
    links[link_count++] = link;
    pump(link);
}

/* False at the end. */
static bool
receive_link(int control)
{
    int fds[2];
    char byte, memory[CMSG_SPACE(sizeof(fds))];
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = memory, .msg_controllen = sizeof(memory)};

    if (recvmsg(control, &message, MSG_CMSG_CLOEXEC) <= 0)
        return false;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_len != CMSG_LEN(sizeof(fds)))
        return false;
    memcpy(fds, CMSG_DATA(header), sizeof(fds));
    add_link(fds[0], fds[1]);
    return true;
}

static void
close_link(size_t i)
{
    struct link *link = links[i];

    SSL_free(link->ssl);
    (void)close(link->plain);
    (void)close(link->wire);
    free(link);
    links[i] = links[--link_count];
}

static short
wanted_plain(const struct link *link)
{
    return (short)((is_empty(&link->out) && !link->out.ended ? POLLIN : 0) |
                   (is_empty(&link->in) ? 0 : POLLOUT));
}

static short
wanted_wire(const struct link *link)
{
    return (short)((is_empty(&link->in) && !link->in.ended ? POLLIN : 0) |
                   (link->wants_write ? POLLOUT : 0));
}

/* poll() reports a hang-up even if nobody asks, so who is not waited for is left out. */
static int
fd_if(int fd, short wanted)
{
    return wanted == 0 ? -1 : fd;
}

static void
serve(int control)
{
    static struct pollfd fds[2 * LINKS_MAX + 1];

    for (;;) {
        size_t count = link_count;

        fds[0] = (struct pollfd){.fd = control, .events = POLLIN};
        for (size_t i = 0; i < count; i++) {
            short plain = wanted_plain(links[i]), wire = wanted_wire(links[i]);
            fds[2 * i + 1] = (struct pollfd){.fd = fd_if(links[i]->plain, plain), .events = plain};
            fds[2 * i + 2] = (struct pollfd){.fd = fd_if(links[i]->wire, wire), .events = wire};
        }
        if (poll(fds, 2 * count + 1, -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents != 0 && !receive_link(control))
            return;
        for (size_t i = count; i-- > 0;) {
            if (fds[2 * i + 1].revents != 0 || fds[2 * i + 2].revents != 0)
                pump(links[i]);
            if (is_over(links[i]))
                close_link(i);
        }
    }
}

int
main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    (void)signal(SIGPIPE, SIG_IGN);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_load_verify_file(ctx, arguments[2]) != 1)
        return 1;
    serve((int)strtol(arguments[1], NULL, 10));
    return 0;
}
