/* SPDX-License-Identifier: MIT */
/*
 * updates.c - a client that changes its keys without end, and one that asks meanwhile
 *
 * updates PORT COUNT
 *
 * Of TLS 1.3: so many KeyUpdate records hold nothing for a handler, and each costs the server a
 * new key. Half of them are sent; then another client, whose connection is there already, asks
 * "echo beside"; then come the others, and "echo behind". Ends with status 0 if the other client
 * had its answer in less than half the time; with 1 if not, and with 2 if something else went
 * wrong.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void
fail(const char *what)
{
    (void)fprintf(stderr, "updates: %s failed\n", what);
    exit(2);
}

static int
connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        fail("connect");
    return fd;
}

static SSL *
open_session(SSL_CTX *ctx, int fd)
{
    SSL *ssl = SSL_new(ctx);

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
        fail("handshake");
    return ssl;
}

/* Whoever asks is answered by one line. */
static void
ask(SSL *ssl, const char *text)
{
    if (SSL_write(ssl, text, (int)strlen(text)) <= 0)
        fail("write");
}

static void
expect(SSL *ssl, const char *line)
{
    char answer[64] = "";
    int size = 0, got;

    while (strchr(answer, '\n') == NULL) {
        got = SSL_read(ssl, answer + size, (int)sizeof(answer) - 1 - size);
        if (got <= 0)
            fail("read");
        size += got;
    }
    if (strcmp(answer, line) != 0)
        fail("answer");
}

/* Makes them first, so that they can be sent faster than the server works. */
static void
make_updates(SSL *ssl, BIO *memory, int count)
{
    SSL_set0_wbio(ssl, memory);
    for (int i = 0; i < count; i++)
        if (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 || SSL_do_handshake(ssl) != 1)
            fail("key update");
}

static void
send_part(int fd, const char *bytes, size_t size)
{
    for (ssize_t sent; size > 0; bytes += sent, size -= (size_t)sent)
        if ((sent = send(fd, bytes, size, MSG_NOSIGNAL)) < 0)
            fail("send");
}

/* Returns when there is something to read. */
static double
await(int fd)
{
    struct pollfd input = {fd, POLLIN, 0};
    struct timespec now;

    if (poll(&input, 1, 120000) <= 0)
        fail("answer");
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int
main(int count, char **arguments)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    BIO *memory = BIO_new(BIO_s_mem());
    char *bytes;

    if (count != 3 || ctx == NULL || memory == NULL)
        return 2;
    int port = atoi(arguments[1]), fd = connect_to(port), other_fd = connect_to(port);
    SSL *ssl = open_session(ctx, fd), *other = open_session(ctx, other_fd);
    ask(other, "echo before\n"); /* and its tickets have been read, too */
    expect(other, "before\n");
    ask(ssl, "echo before\n");
    expect(ssl, "before\n");

    make_updates(ssl, memory, atoi(arguments[2]));
    ask(ssl, "echo behind\n");
    size_t size = (size_t)BIO_get_mem_data(memory, &bytes);
    int ends[2];
    if (pipe(ends) < 0)
        fail("pipe");
    pid_t child = fork();
    if (child == 0) {
        send_part(fd, bytes, size / 2);
        ask(other, "echo beside\n");
        (void)!write(ends[1], "x", 1);
        send_part(fd, bytes + size / 2, size - size / 2);
        _exit(0);
    }
    double asked = await(ends[0]), beside = await(other_fd) - asked, behind = await(fd) - asked;
    (void)printf("beside after %.3f s, behind after %.3f s\n", beside, behind);
    return beside < behind / 2 ? 0 : 1;
}
