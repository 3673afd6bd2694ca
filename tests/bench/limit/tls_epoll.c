/* SPDX-License-Identifier: MIT */
/*
 * tls_epoll.c - the least that an event loop with TLS must do: OpenSSL on each socket
 *
 * Level-triggered: after a read that found something no second one has to find nothing.
 *
 * usage: limit-tls_epoll [-d] [-f] [-r] CERTIFICATE KEY ADDRESS
 *   -d  downloads in place of echo: for each line "WORD BYTES" so many bytes
 *   -f  downloads come out of a file, which must be read for each of them
 *   -r  idle connections keep no buffers
 */
#include "tls.h"

#include <sys/epoll.h>
#include <sys/mman.h>

struct connection {
    SSL *ssl;
    uint64_t left; /* of its download */
    bool writing;  /* waits for room, not for input */
};

static int loop;
static bool downloads;
static int file = -1; /* that downloads come from, if they come from one */

/* Waits for room or for input, whichever it is now. */
static bool
wait_for(struct connection *c, bool room)
{
    struct epoll_event event = {room ? EPOLLOUT : EPOLLIN, {.ptr = c}};

    if (room != c->writing)
        epoll_ctl(loop, EPOLL_CTL_MOD, SSL_get_fd(c->ssl), &event);
    c->writing = room;
    return true;
}

/* Goes on with a download as long as there is room; false when the peer is gone. */
static bool
download(struct connection *c)
{
    static char piece[PIECE];

    while (c->left > 0) {
        size_t size = c->left < PIECE ? c->left : PIECE;
        if (file >= 0 && pread(file, piece, size, 0) != (ssize_t)size)
            fatal("pread");
        int sent = SSL_write(c->ssl, piece, (int)size);
        if (sent <= 0)
            return tls_waits(c->ssl, sent) && wait_for(c, true);
        c->left -= (uint64_t)sent;
    }
    return wait_for(c, false);
}

static bool
answer(struct connection *c, const char *bytes, size_t size)
{
    if (!downloads)
        return tls_send_all(c->ssl, bytes, size);
    c->left = tls_wanted(bytes, size);
    return download(c);
}

/* Serves what is there; false when the connection is over. */
static bool
serve(struct connection *c)
{
    static char bytes[65536];

    if (c->left > 0)
        return download(c);
    do {
        int got = SSL_read(c->ssl, bytes, sizeof(bytes));
        if (got <= 0)
            return tls_waits(c->ssl, got);
        if (!answer(c, bytes, (size_t)got))
            return false;
    } while (SSL_has_pending(c->ssl));
    return true;
}

static void
accept_all(SSL_CTX *context, int listening)
{
    for (int fd; (fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct connection *c = calloc(1, sizeof(*c));
        if (c == NULL)
            fatal("calloc");
        struct epoll_event event = {EPOLLIN, {.ptr = c}};
        c->ssl = tls_open(context, fd);
        epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
    }
}

static void
run(SSL_CTX *context, int listening)
{
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}}, events[512];

    loop = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(loop, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        int count = epoll_wait(loop, events, 512, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (c == NULL) {
                accept_all(context, listening);
            } else if (!serve(c)) {
                tls_close(c->ssl);
                free(c);
            }
        }
    }
}

int
main(int argc, char **argv)
{
    bool release = false;

    for (int c; (c = getopt(argc, argv, "dfr")) != -1;) {
        downloads |= c == 'd' || c == 'f';
        release |= c == 'r';
        if (c == 'f' && ((file = memfd_create("download", 0)) < 0 || ftruncate(file, PIECE) < 0))
            fatal("memfd_create");
    }
    if (argc - optind != 3)
        return 2;
    run(tls_context(argv[optind], argv[optind + 1], release),
        tls_server(argv[optind + 2], SOCK_NONBLOCK));
}
