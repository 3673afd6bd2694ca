/* SPDX-License-Identifier: MIT */
/*
 * client.c - the other end: stream and datagram clients
 *
 * Owns: the clients' descriptors, until closed or until the test ends.
 */
#include "support/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/address.h"
#include "common/array.h"
#include "support/test.h"
#include "support/tls.h"

static bool opened[4096];

static int
remember(int fd)
{
    if (fd < 0 || (size_t)fd >= ARRAY_SIZE(opened))
        fail_msg("cannot open a socket: %m");
    opened[fd] = true;
    return fd;
}

void
client_close(int fd)
{
    assert_true(opened[fd]);
    opened[fd] = false;
    (void)close(fd);
}

void
client_close_all(void)
{
    for (int fd = 0; fd < (int)ARRAY_SIZE(opened); fd++) {
        if (opened[fd])
            client_close(fd);
    }
}

void
client_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), errno);
    client_close(fd);
}

static socklen_t
resolve_unix(const char *path, struct sockaddr_storage *ret)
{
    struct sockaddr_un *address = (struct sockaddr_un *)ret;
    size_t size = strlen(path);

    assert_in_range(size, 1, sizeof address->sun_path - 1);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, size);
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    else
        size++;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

static socklen_t
resolve_inet(const char *host_and_port, struct sockaddr_storage *ret)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    char host[128];
    const char *colon = strrchr(host_and_port, ':');
    bool bracketed = host_and_port[0] == '[';
    struct addrinfo *found;
    socklen_t size;

    assert_non_null(colon);
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - host_and_port) - 2 * bracketed,
                   host_and_port + bracketed);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        fail_msg("cannot resolve %s", host_and_port);
    size = found->ai_addrlen;
    memcpy(ret, found->ai_addr, size);
    freeaddrinfo(found);
    return size;
}

/* Splits off the scheme; the rest of the address. */
static const char *
split_scheme(const char *address, char *scheme, size_t size)
{
    const char *colon = strchr(address, ':');

    assert_non_null(colon);
    (void)snprintf(scheme, size, "%.*s", (int)(colon - address), address);
    return strncmp(colon, "://", 3) == 0 ? colon + 3 : colon + 1;
}

socklen_t
client_resolve(const char *address, struct sockaddr_storage *ret)
{
    char scheme[16];
    const char *rest = split_scheme(address, scheme, sizeof scheme);

    memset(ret, 0, sizeof *ret);
    return strncmp(scheme, "unix", 4) == 0 ? resolve_unix(rest, ret) : resolve_inet(rest, ret);
}

/* A Unix datagram client can be answered only if it has a name: the kernel picks one. */
static void
bind_own_name(int fd)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};

    assert_return_code(bind(fd, (struct sockaddr *)&any, sizeof any.sun_family), errno);
}

static int
open_socket(const char *address, int flags)
{
    char scheme[16];
    struct sockaddr_storage peer;
    int fd;

    (void)split_scheme(address, scheme, sizeof scheme);
    (void)client_resolve(address, &peer);
    fd = remember(
        socket(peer.ss_family, (scheme_is_stream(scheme) ? SOCK_STREAM : SOCK_DGRAM) | flags, 0));
    if (strcmp(scheme, "unixgram") == 0)
        bind_own_name(fd);
    return fd;
}

/* The descriptor that the test uses. */
static int
through_tls(const char *address, int fd)
{
    int end = tls_client(address, fd);

    if (end == fd)
        return fd;
    opened[fd] = false;
    return remember(end);
}

int
client_try_connect(const char *address, bool block, int *ret_fd)
{
    struct sockaddr_storage peer;
    socklen_t size = client_resolve(address, &peer);
    int fd = open_socket(address, SOCK_CLOEXEC | (block ? 0 : SOCK_NONBLOCK));

    if (connect(fd, (struct sockaddr *)&peer, size) < 0 && errno != EINPROGRESS) {
        int error = -errno;

        client_close(fd);
        return error;
    }
    *ret_fd = block ? through_tls(address, fd) : fd;
    return 0;
}

int
client_connect(const char *address)
{
    int fd = -1;
    int error = client_try_connect(address, true, &fd);

    if (error < 0)
        fail_msg("cannot connect to %s: %s", address, strerror(-error));
    return fd;
}

int
client_connect_from(const char *source, const char *address)
{
    int fd = client_socket(address);
    struct sockaddr_storage from, to;
    socklen_t size = client_resolve(text_of("tcp://%s:0", source), &from);
    socklen_t to_size = client_resolve(address, &to);

    assert_return_code(bind(fd, (struct sockaddr *)&from, size), errno);
    if (connect(fd, (struct sockaddr *)&to, to_size) < 0 && errno != EINPROGRESS)
        fail_msg("cannot connect to %s from %s: %s", address, source, strerror(errno));
    return through_tls(address, fd);
}

int
client_socket(const char *address)
{
    return open_socket(address, SOCK_CLOEXEC);
}

int
client_listen(const char *address, int backlog, const char **ret_address)
{
    char text[ADDRESS_TEXT_SIZE];
    bool stream = address[0] == 't' || strncmp(address, "unix:", 5) == 0;
    struct sockaddr_storage own;
    socklen_t size = client_resolve(address, &own);
    int type = (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC;
    int fd = remember(socket(own.ss_family, type, 0));

    assert_return_code(bind(fd, (struct sockaddr *)&own, size), errno);
    if (own.ss_family == AF_UNIX)
        assert_return_code(chmod(((struct sockaddr_un *)&own)->sun_path, 0777), errno);
    if (own.ss_family == AF_UNIX)
        assert_return_code(chmod(test_folder(), 0755), errno);
    if (stream)
        assert_return_code(listen(fd, backlog), errno);
    size = sizeof own;
    assert_return_code(getsockname(fd, (struct sockaddr *)&own, &size), errno);
    *ret_address = text_of("%s", address_format((struct sockaddr *)&own, size, stream, text));
    return fd;
}

int
client_accept(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};

    if (poll(&wanted, 1, (int)(DEADLINE * 1000)) != 1)
        fail_msg("nobody has connected");
    return remember(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
}

void
client_send_bytes(int fd, const void *bytes, size_t size)
{
    const char *next = bytes;

    do {
        ssize_t sent = send(fd, next, size, MSG_NOSIGNAL);

        if (sent < 0)
            fail_msg("cannot send: %m");
        next += sent;
        size -= (size_t)sent;
    } while (size > 0);
}

void
client_send(int fd, const char *text)
{
    client_send_bytes(fd, text, strlen(text));
}

void
client_send_to(int fd, const char *address, const char *text)
{
    struct sockaddr_storage peer;
    socklen_t size = client_resolve(address, &peer);

    if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&peer, size) < 0)
        fail_msg("cannot send to %s: %m", address);
}

void
client_half_close(int fd)
{
    assert_return_code(shutdown(fd, SHUT_WR), errno);
}

bool
client_readable(int fd, double seconds)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};

    return poll(&wanted, 1, (int)(seconds * 1000)) > 0;
}

/* One recv with a deadline; a negative errno if the connection broke. */
static ssize_t
receive_some(int fd, void *buffer, size_t size)
{
    ssize_t got;

    if (!client_readable(fd, DEADLINE))
        fail_msg("nothing came from the server in %g s", DEADLINE);
    got = recv(fd, buffer, size, 0);
    return got < 0 ? -errno : got;
}

size_t
client_receive_bytes(int fd, void *buffer, size_t size)
{
    size_t used = 0;

    while (used < size) {
        ssize_t got = receive_some(fd, (char *)buffer + used, size - used);

        if (got < 0)
            fail_msg("cannot receive: %s", strerror((int)-got));
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return used;
}

const char *
client_receive(int fd)
{
    static char buffer[65536 + 1];
    ssize_t got = receive_some(fd, buffer, sizeof buffer - 1);

    if (got < 0)
        fail_msg("cannot receive: %s", strerror((int)-got));
    buffer[got] = '\0';
    return text_of("%s", buffer);
}

const char *
client_receive_all(int fd)
{
    char *text = NULL;
    size_t used = 0, got;

    do {
        char *grown = realloc(text, used + 65536 + 1);

        if (grown == NULL)
            abort();
        text = grown;
        got = client_receive_bytes(fd, text + used, 65536);
        used += got;
    } while (got == 65536);
    text[used] = '\0';
    return keep(text);
}

const char *
client_receive_line(int fd)
{
    char line[8192];
    size_t used = 0;

    while (used < sizeof line - 1 && client_receive_bytes(fd, line + used, 1) == 1) {
        if (line[used++] == '\n')
            break;
    }
    line[used] = '\0';
    return text_of("%s", line);
}

void
client_expect(int fd, const char *text)
{
    size_t size = strlen(text);
    char *got = keep(calloc(1, size + 1));

    (void)client_receive_bytes(fd, got, size);
    assert_string_equal(got, text);
}

void
client_expect_end(int fd)
{
    assert_string_equal(client_receive(fd), "");
}

void
client_expect_gone(int fd)
{
    char rest[256];
    ssize_t got;

    do {
        got = receive_some(fd, rest, sizeof rest);
    } while (got > 0);
    if (got != 0 && got != -ECONNRESET)
        fail_msg("expected the connection to end: %s", strerror((int)-got));
}

int
client_busy(const char *address, const char *command)
{
    int client = client_connect(address);

    client_send(client, text_of("echo busy\nflush\n%s%s", command, *command == '\0' ? "" : "\n"));
    client_expect(client, "busy\nflushed\n");
    return client;
}

const char *
client_ask(const char *address, const char *text)
{
    char scheme[16];
    int fd = client_connect(address);
    const char *answer;

    (void)split_scheme(address, scheme, sizeof scheme);
    if (text[0] != '\0' || !scheme_is_stream(scheme)) /* who answers unasked may be gone already */
        client_send(fd, text);
    if (scheme_is_stream(scheme)) {
        client_half_close(fd);
        answer = client_receive_all(fd);
    } else {
        answer = client_receive(fd);
    }
    client_close(fd);
    return answer;
}
