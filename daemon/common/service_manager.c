/* SPDX-License-Identifier: MIT */
/*
 * service_manager.c - messages to the service manager, without ever waiting for it
 *
 * sd_notify(3) makes a socket for each message, and waits while the manager's
 * queue is full. Both would stop the supervisor: a manager that hangs would hold
 * up every listener, and without a free descriptor not even the watchdog could
 * be told. So the socket is the supervisor's own and never waits. It is not
 * connected; each datagram names its destination, so there is nothing to repair
 * when the manager has been executed anew.
 *
 * Runs in:  the supervisor.
 * Owns:     the socket; the messages that are kept, and copies of their
 *           descriptors.
 * Failures: a manager that is gone is not told anything: it is an onlooker. A
 *           message for which there is no memory is lost.
 */
#include "common/service_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/clock.h"

/* A worker's descriptors are moved to lower numbers than this one. */
#define LOWEST_FD  32
#define PAUSE_NSEC 1000000

struct message {
    struct message *next;
    char *key, *text;
    int fd;      /* -1: none */
    bool yields; /* to those that do not */
};

static int own_socket = -1;
static struct message *kept; /* in the order in which they are to be sent */

/* ---- sending -------------------------------------------------------------------------------- */

/* Returns the size of the manager's address; 0: there is none that we can use. */
static socklen_t
find_manager(struct sockaddr_un *ret)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t length = name == NULL ? 0 : strlen(name);

    if (length < 2 || length >= sizeof(ret->sun_path) || (*name != '/' && *name != '@'))
        return 0;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, name, length);
    if (*name == '@')
        ret->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*name == '/'));
}

bool
service_manager_exists(void)
{
    return getenv("NOTIFY_SOCKET") != NULL;
}

const char *
service_manager_problem(void)
{
    struct sockaddr_un address;

    if (!service_manager_exists() || find_manager(&address) > 0)
        return NULL;
    return "expected an absolute path, or \"@\" and a name, of at most 107 characters";
}

int
service_manager_open(void)
{
    if (own_socket >= 0 || !service_manager_exists())
        return 0;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
    if (moved < 0)
        return -errno;
    own_socket = moved;
    return 0;
}

static void
attach(struct msghdr *header, char *control, int fd)
{
    struct cmsghdr *item;

    header->msg_control = control;
    header->msg_controllen = CMSG_SPACE(sizeof(fd));
    item = CMSG_FIRSTHDR(header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(item), &fd, sizeof(fd));
}

/* Returns 0, or a negative errno. */
static int
send_now(const char *text, int fd)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec data = {.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)};
    struct sockaddr_un address;
    struct msghdr header = {.msg_name = &address, .msg_iov = &data, .msg_iovlen = 1};
    ssize_t sent;
    int r = service_manager_open();

    if (r < 0)
        return r;
    header.msg_namelen = find_manager(&address);
    if (header.msg_namelen == 0)
        return -EDESTADDRREQ;
    if (fd >= 0)
        attach(&header, control, fd);
    do
        sent = sendmsg(own_socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* Whether the same message may be sent a little later. */
static bool
may_pass(int error)
{
    static const int shortages[] = {EAGAIN, ENOBUFS, ENOMEM, EMFILE, ENFILE, ETOOMANYREFS};

    for (size_t i = 0; i < ARRAY_SIZE(shortages); i++)
        if (error == -shortages[i])
            return true;
    return false;
}

/* ---- what is kept --------------------------------------------------------------------------- */

static void
message_free(struct message *message)
{
    if (message->fd >= 0)
        (void)close(message->fd);
    free(message->key);
    free(message->text);
    free(message);
}

static struct message *
message_new(const char *key, const char *text, int fd)
{
    struct message *message = calloc(1, sizeof(*message));

    if (message == NULL)
        return NULL;
    message->key = strdup(key);
    message->text = strdup(text);
    message->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
    if (message->key == NULL || message->text == NULL || (fd >= 0 && message->fd < 0)) {
        message_free(message);
        return NULL;
    }
    return message;
}

void
service_manager_forget(const char *key)
{
    struct message **at = &kept;

    while (*at != NULL && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    struct message *message = *at;
    *at = message->next;
    message_free(message);
}

/* Adds the message behind those that go before it. */
static void
keep(struct message *message)
{
    struct message **at = &kept;

    while (*at != NULL && (message->yields || !(*at)->yields))
        at = &(*at)->next;
    message->next = *at;
    *at = message;
}

unsigned
service_manager_flush(void)
{
    unsigned left = 0;

    while (kept != NULL && !may_pass(send_now(kept->text, kept->fd))) {
        struct message *sent = kept;
        kept = sent->next;
        message_free(sent);
    }
    for (const struct message *message = kept; message != NULL; message = message->next)
        left++;
    return left;
}

static void
tell(const char *key, const char *text, int fd, bool yields)
{
    if (!service_manager_exists())
        return;
    service_manager_forget(key);
    (void)service_manager_flush();
    if (kept == NULL && !may_pass(send_now(text, fd)))
        return;
    struct message *message = message_new(key, text, fd);
    if (message == NULL)
        return;
    message->yields = yields;
    keep(message);
}

void
service_manager_tell(const char *key, const char *text)
{
    tell(key, text, -1, false);
}

void
service_manager_give(const char *key, const char *text, int fd)
{
    tell(key, text, fd, true);
}

void
service_manager_linger(uint64_t usec)
{
    uint64_t end = monotonic_usec() + usec;

    while (service_manager_flush() > 0 && monotonic_usec() < end)
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NSEC}, NULL);
}

void
service_manager_close(void)
{
    while (kept != NULL) {
        struct message *message = kept;
        kept = message->next;
        message_free(message);
    }
    if (own_socket >= 0)
        (void)close(own_socket);
    own_socket = -1;
}
