/* SPDX-License-Identifier: MIT */
/*
 * peer.c - other people's servers beside ours
 *
 * Runs in:  a test.
 * Owns:     the processes it has started, until the test ends.
 * Failures: fail the test.
 */
#include "support/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

#define PEERS_MAX 8

static pid_t peers[PEERS_MAX]; /* 0: none */

static struct sockaddr_in
loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

unsigned
peer_free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_return_code(bind(fd, (const struct sockaddr *)&address, size), errno);
    assert_return_code(getsockname(fd, (struct sockaddr *)&address, &size), errno);
    (void)close(fd);
    return ntohs(address.sin_port);
}

/* A connection, or -1. */
static int
connect_to_port(unsigned port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_return_code(fd, errno);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static bool
accepts(unsigned port)
{
    int fd = connect_to_port(port);

    return fd >= 0 && close(fd) == 0;
}

static void
become(const char *program, const char *const *arguments)
{
    int null = open("/dev/null", O_RDWR);

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int fd = 0; fd <= 2; fd++)
        (void)dup2(null, fd);
    (void)close_range(3, ~0u, 0);
    if (chdir("/") == 0)
        (void)execv(program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static pid_t *
find_peer(pid_t pid)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (peers[i] == pid)
            return &peers[i];
    fail_msg("no test has so many peers, or this one: %d", (int)pid);
    return NULL;
}

pid_t
peer_start(const char *program, const char *const *arguments, unsigned port)
{
    pid_t *place = find_peer(0), pid = fork();

    assert_return_code(pid, errno);
    if (pid == 0)
        become(program, arguments);
    *place = pid;
    if (port != 0)
        WAIT_UNTIL(accepts(port));
    return pid;
}

static void
end_with(pid_t *place, int number)
{
    (void)kill(*place, number);
    (void)waitpid(*place, NULL, 0);
    *place = 0;
}

void
peer_end(pid_t peer)
{
    end_with(find_peer(peer), SIGTERM);
}

void
peer_end_all(void)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (peers[i] != 0)
            end_with(&peers[i], SIGKILL);
}

const char *
peer_answer(unsigned port, const char *sent)
{
    int fd = connect_to_port(port);
    char answer[4096];
    size_t size = 0;
    ssize_t got;

    assert_true(fd >= 0);
    (void)send(fd, sent, strlen(sent), MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    while ((got = recv(fd, answer + size, sizeof(answer) - 1 - size, 0)) > 0)
        size += (size_t)got;
    (void)close(fd);
    return text_of("%.*s", (int)size, answer);
}
