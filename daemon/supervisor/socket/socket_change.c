/* SPDX-License-Identifier: MIT */
/*
 * socket_change.c - what may become of a listening socket while it is open
 *
 * Runs in:  the supervisor, at reload and at the end of a listener.
 * Owns:     nothing beyond a call.
 * Failures: returned, or added to the mistakes of a reload.
 */
#include "supervisor/socket/socket_change.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/array.h"
#include "common/datagram_ports.h"
#include "common/texts.h"
#include "supervisor/socket/socket_private.h"

/* ---- other settings ------------------------------------------------------------------- */

/* What bind() has settled. */
static const struct {
    const char *key;
    size_t offset;
} bound_for_good[] = {
    {"ipv6_only", offsetof(struct settings, ipv6_only)},
    {"reuse_port", offsetof(struct settings, reuse_port)},
};

static void
refuse_change(const struct settings *settings, const char *key, struct errors *errors)
{
    settings_mistake_at(settings, setting_find(key), errors,
                        "cannot change while the socket is open; stop the listener first, or give "
                        "it another address");
}

bool
socket_stays(const struct settings *old, const struct settings *settings, struct errors *errors)
{
    if (strcmp(old->address.text, settings->address.text) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(bound_for_good); i++) {
        size_t at = bound_for_good[i].offset;
        if (*((const bool *)old + at) != *((const bool *)settings + at))
            refuse_change(settings, bound_for_good[i].key, errors);
    }
    if (!text_equal(old->interface, settings->interface))
        refuse_change(settings, "interface", errors);
    return true;
}

int
socket_apply(const struct listening_socket *socket, const struct settings *settings)
{
    const struct unix_path_owner owner = socket_path_owner(settings);

    if (socket->stream && !socket->passed && listen(socket->fd, socket_backlog(settings)) < 0)
        return -errno;
    if (socket->stream && !address_is_unix(&settings->address))
        (void)setsockopt(socket->fd, IPPROTO_TCP, TCP_NODELAY, &(int){settings->nodelay},
                         sizeof(int));
    socket_tune(socket->fd, settings, address_is_unix(&settings->address), socket->stream);
    return socket->path.name == NULL ? 0 : unix_path_own(&socket->path, &owner);
}

/* ---- another holder --------------------------------------------------------------------- */

int
socket_share(const struct listening_socket *socket, struct listening_socket *ret)
{
    int fd = fcntl(socket->fd, F_DUPFD_CLOEXEC, 3);

    if (fd < 0)
        return -errno;
    *ret = *socket;
    ret->fd = fd;
    ret->path = UNIX_PATH_NONE;
    ret->stored[0] = '\0';
    ret->datagram_port = datagram_ports_add(fd);
    return 0;
}

void
socket_hand_over(struct listening_socket *socket, struct listening_socket *heir)
{
    heir->path = socket->path;
    (void)strcpy(heir->stored, socket->stored);
    socket->path = UNIX_PATH_NONE;
    socket->stored[0] = '\0';
    socket->shared = true;
}

int
socket_take_back(struct listening_socket *socket, struct listening_socket *ret)
{
    int r = socket_share(socket, ret);

    if (r < 0)
        return r;
    socket_hand_over(socket, ret);
    ret->shared = false;
    return 0;
}

void
socket_thaw(struct listening_socket *socket)
{
    (void)setsockopt(socket->fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, sizeof(int));
}

/* ---- its end ------------------------------------------------------------------------------- */

/* Systemd holds what it passed; what is kept in the store is for the daemon's next process. */
static bool
is_ours_alone(const struct listening_socket *socket)
{
    return !socket->shared && !socket->passed && !socket->kept;
}

void
socket_keep(struct listening_socket *socket)
{
    socket->kept = socket->stored[0] != '\0';
}

static int
domain_of(int fd)
{
    int domain = AF_UNSPEC;
    socklen_t size = sizeof(domain);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ? AF_UNSPEC : domain;
}

bool
socket_freeze(struct listening_socket *socket)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &drop};

    if (socket->fd < 0 || !socket->stream || !is_ours_alone(socket))
        return false;
    if (domain_of(socket->fd) == AF_UNIX) {
        bool has_path = socket->path.name != NULL;
        unix_path_remove(&socket->path);
        return has_path; /* an abstract name cannot be taken away: its queue might never end */
    }
    return setsockopt(socket->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

void
socket_give_up(struct listening_socket *socket)
{
    if (socket->fd >= 0 && socket->stream && is_ours_alone(socket))
        (void)shutdown(socket->fd, SHUT_RDWR);
    socket_close(socket);
}
