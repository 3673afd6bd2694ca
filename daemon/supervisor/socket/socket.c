/* SPDX-License-Identifier: MIT */
/*
 * socket.c - the listening socket of a listener
 *
 * Only here are listening sockets created, with every option that a worker
 * relies on already set: accepted connections inherit them. Those that were
 * passed to this process (adopt.c) get the same options here.
 *
 * Runs in:  the supervisor, at start, reload and when a failed listener is
 *           tried again.
 * Owns:     the socket and its Unix path, until socket_close().
 * Failures: returned with a sentence for the log; nothing is left behind.
 */
#include "supervisor/socket/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/datagram_ports.h"
#include "supervisor/socket/adopt.h"
#include "supervisor/socket/socket_private.h"

/* A socket address and how it was asked for. */
struct target {
    struct resolved to;
    int type;
};

bool
socket_has_path(const struct address *address)
{
    return address_is_unix(address) && address->path[0] != '@';
}

/* Returns what a person can do about the error, or NULL. */
static const char *
remedy_for(const struct settings *settings, int error)
{
    const struct address *address = &settings->address;

    if (error == -EMFILE)
        return "raise LimitNOFILE= of the daemon's unit, or ulimit -n";
    if (address_is_unix(address)) {
        if (error == -EACCES)
            return "the daemon's user may not make files in that folder";
        return error == -ENAMETOOLONG ? "a socket's path has at most 107 bytes" : NULL;
    }
    switch (error) {
    case -EACCES:
        return "a port below 1024 needs root or the capability CAP_NET_BIND_SERVICE";
    case -EADDRNOTAVAIL:
        return "this machine has no such address; \"*\" means all it has";
    case -EAFNOSUPPORT:
        return "this machine has no IPv6; write 0.0.0.0 for every IPv4 address";
    case -EADDRINUSE:
        return "another program has it; `ss -lnp` shows which";
    case -ENODEV:
        return "this machine has no such interface; `ip link` shows which it has";
    default:
        return NULL;
    }
}

static int
problem(const struct settings *settings, int error, const char *why, const char *remedy,
        char **ret_problem)
{
    if (remedy == NULL && why == NULL)
        remedy = remedy_for(settings, error);
    if (why == NULL)
        why = strerror(-error);
    if (asprintf(ret_problem, "cannot listen on %s: %s%s%s", settings->address.text, why,
                 remedy == NULL ? "" : "; ", remedy == NULL ? "" : remedy) < 0)
        *ret_problem = NULL;
    return error;
}

static int
set_flag(int fd, int level, int option)
{
    return setsockopt(fd, level, option, &(int){1}, sizeof(int)) < 0 ? -errno : 0;
}

struct socket_option {
    int level, name;
    bool wanted;
};

static int
set_flags(int fd, const struct socket_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = options[i].wanted ? set_flag(fd, options[i].level, options[i].name) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Not the wildcard, nor a group of hosts. A link-local address needs its interface said, too. */
static bool
is_one_host(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6) {
        const struct in6_addr *host = &((const struct sockaddr_in6 *)address)->sin6_addr;
        return !IN6_IS_ADDR_UNSPECIFIED(host) && !IN6_IS_ADDR_MULTICAST(host) &&
               !IN6_IS_ADDR_LINKLOCAL(host);
    }
    uint32_t host = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr);
    return host != INADDR_ANY && host != INADDR_BROADCAST && !IN_MULTICAST(host);
}

int
socket_set_worker_options(int fd, const struct settings *settings,
                          const struct sockaddr_storage *address, bool stream)
{
    int family = address->ss_family;
    bool ipv6 = family == AF_INET6, local = family == AF_UNIX;
    bool several = !stream && !local && !is_one_host(address);
    const struct socket_option options[] = {
        {SOL_SOCKET, SO_PASSCRED, local && !stream},
        {IPPROTO_TCP, TCP_NODELAY, !local && stream && settings->nodelay},
        /* So that a reply can leave from the address that was asked, if there are several. */
        {IPPROTO_IPV6, IPV6_RECVPKTINFO, several && ipv6},
        {IPPROTO_IP, IP_PKTINFO, several && (!ipv6 || !settings->ipv6_only)},
    };

    socket_tune(fd, settings, local, stream);
    return set_flags(fd, options, ARRAY_SIZE(options));
}

static int
bind_interface(int fd, const struct settings *settings)
{
    const char *name = settings->interface;

    if (name == NULL)
        return 0;
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) < 0 ? -errno
                                                                                          : 0;
}

static int
set_options(int fd, const struct settings *settings, const struct target *target)
{
    int family = target->to.address.ss_family;
    bool stream = target->type == SOCK_STREAM;
    const struct socket_option options[] = {
        /* On UDP it would let another process of this user take the port over. */
        {SOL_SOCKET, SO_REUSEADDR, family != AF_UNIX && stream && settings->reuse_address},
        {SOL_SOCKET, SO_REUSEPORT, family != AF_UNIX && settings->reuse_port},
        {IPPROTO_IP, IP_FREEBIND, family == AF_INET && settings->freebind},
        {IPPROTO_IPV6, IPV6_FREEBIND, family == AF_INET6 && settings->freebind},
    };
    int r;

    if (family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){settings->ipv6_only}, sizeof(int)) < 0)
        return -errno;
    if ((r = set_flags(fd, options, ARRAY_SIZE(options))) < 0 ||
        (r = bind_interface(fd, settings)) < 0)
        return r;
    return socket_set_worker_options(fd, settings, &target->to.address, stream);
}

int
socket_backlog(const struct settings *settings)
{
    uint32_t wanted = settings->request_queue_size;

    return wanted == 0 || wanted > INT_MAX ? INT_MAX : (int)wanted;
}

struct unix_path_owner
socket_path_owner(const struct settings *settings)
{
    return (struct unix_path_owner){
        .mode = settings->socket_mode,
        .uid = settings->socket_uid,
        .gid = settings->socket_gid,
    };
}

static int
bind_path(int fd, const struct settings *settings, int type, struct unix_path *ret,
          const char **ret_remedy)
{
    const struct unix_path_plan plan = {
        .name = settings->address.path,
        .type = type,
        .backlog = socket_backlog(settings),
        .owner = socket_path_owner(settings),
    };

    return unix_path_bind(fd, &plan, ret, ret_remedy);
}

static int
bind_and_listen(int fd, const struct settings *settings, const struct target *target,
                struct unix_path *ret_path, const char **ret_remedy)
{
    if (socket_has_path(&settings->address))
        return bind_path(fd, settings, target->type, ret_path, ret_remedy);
    if (bind(fd, (const struct sockaddr *)&target->to.address, target->to.size) < 0)
        return -errno;
    if (target->type == SOCK_STREAM && listen(fd, socket_backlog(settings)) < 0)
        return -errno;
    return 0;
}

int
socket_read_address(int fd, const struct settings *settings, bool stream, char *buffer)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    if (address_is_unix(&settings->address)) /* as written: it does not differ */
        (void)snprintf(buffer, ADDRESS_TEXT_SIZE, "%s", settings->address.text);
    else
        (void)address_format((const struct sockaddr *)&address, size, stream, buffer);
    return 0;
}

static int
open_target(const struct settings *settings, const struct target *target,
            struct listening_socket *ret, const char **ret_remedy)
{
    struct listening_socket made = LISTENING_SOCKET_NONE;
    _cleanup_close_ int fd = -1;
    int r;

    *ret_remedy = NULL;
    fd = socket(target->to.address.ss_family, target->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if ((r = set_options(fd, settings, target)) < 0)
        return r;
    if ((r = bind_and_listen(fd, settings, target, &made.path, ret_remedy)) < 0)
        return r;
    made.stream = target->type == SOCK_STREAM;
    if ((r = socket_read_address(fd, settings, made.stream, made.address)) < 0) {
        unix_path_remove(&made.path);
        return r;
    }
    made.fd = take_fd(fd);
    *ret = made;
    return 0;
}

/* Turns [::] into 0.0.0.0, same port. */
static void
without_ipv6(struct resolved *to)
{
    in_port_t port = ((const struct sockaddr_in6 *)&to->address)->sin6_port;

    *to = (struct resolved){.size = sizeof(struct sockaddr_in), .any = true};
    *(struct sockaddr_in *)&to->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
}

static bool
lacks_ipv6(const struct resolved *to, int error)
{
    return to->any && to->address.ss_family == AF_INET6 &&
           (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL);
}

static int
not_passed(const struct settings *settings, char **ret_problem)
{
    _cleanup_free_ char *names = adopt_names(), *why = NULL;

    if (asprintf(&why, "systemd passed no socket of that name; it passed: %s",
                 names == NULL ? "?" : names) < 0)
        why = NULL;
    return problem(settings, -ENOENT, why,
                   "start its socket unit, and give it FileDescriptorName=", ret_problem);
}

/* ---- what others use ---------------------------------------------------------- */

/* Resolves the address without asking anybody: a name without its address is an error. */
static int
resolve(const struct settings *settings, const struct resolved *found, struct resolved *ret,
        char **ret_why)
{
    if (!address_is_name(&settings->address))
        return address_resolve(&settings->address, ret, ret_why);
    if (found == NULL) {
        *ret_why = strdup("its name was not looked up in time; try again");
        return -EAGAIN;
    }
    *ret = *found;
    return 0;
}

static int
open_resolved(const struct settings *settings, const struct resolved *found,
              struct listening_socket *ret, char **ret_problem)
{
    _cleanup_free_ char *why = NULL;
    struct target target = {0};
    const char *remedy = NULL;
    int r;

    target.type = address_is_stream(&settings->address) ? SOCK_STREAM : SOCK_DGRAM;
    if ((r = resolve(settings, found, &target.to, &why)) < 0)
        return problem(settings, r, why, NULL, ret_problem);

    r = open_target(settings, &target, ret, &remedy);
    if (lacks_ipv6(&target.to, r)) {
        without_ipv6(&target.to);
        r = open_target(settings, &target, ret, &remedy);
    }
    return r < 0 ? problem(settings, r, NULL, remedy, ret_problem) : 0;
}

static int
take_or_open(const struct settings *settings, const struct resolved *found,
             struct listening_socket *ret, char **ret_problem)
{
    int r = socket_take_passed(settings, found, ret);

    if (r != 0)
        return r < 0 ? problem(settings, r, NULL, NULL, ret_problem) : 0;
    if (settings->address.scheme == ADDRESS_SYSTEMD)
        return not_passed(settings, ret_problem);
    if ((r = open_resolved(settings, found, ret, ret_problem)) < 0)
        return r;
    socket_store(settings, ret);
    return 0;
}

int
socket_open(const struct settings *settings, const struct resolved *found,
            struct listening_socket *ret, char **ret_problem)
{
    *ret_problem = NULL;
    int r = take_or_open(settings, found, ret, ret_problem);

    if (r == 0)
        ret->datagram_port = datagram_ports_add(ret->fd);
    return r;
}

const char *
socket_wanted_address(const struct settings *settings, const struct resolved *found, char *buffer)
{
    _cleanup_free_ char *why = NULL;
    struct resolved to;

    if (settings->address.host == NULL || resolve(settings, found, &to, &why) < 0)
        return NULL;
    return address_format((const struct sockaddr *)&to.address, to.size,
                          address_is_stream(&settings->address), buffer);
}

bool
socket_needs_lookup(const struct settings *settings)
{
    return address_is_name(&settings->address) && !adopt_has(settings);
}

/* ---- a socket that was shut down ----------------------------------------------- */

/* A socket that listens never has an end of input. */
static bool
is_shut_down(const struct listening_socket *listening)
{
    struct pollfd look = {.fd = listening->fd, .events = POLLRDHUP};

    return listening->stream && listening->fd >= 0 && poll(&look, 1, 0) > 0 &&
           (look.revents & (POLLHUP | POLLRDHUP)) != 0;
}

/* A TCP socket may listen again; one whose port the kernel had chosen gets another one. There
 * nobody would look for it, and it is shut down again. */
static bool
listens_again(const struct listening_socket *listening, const struct settings *settings)
{
    char address[ADDRESS_TEXT_SIZE] = "";

    if (listen(listening->fd, socket_backlog(settings)) < 0)
        return false;
    (void)socket_read_address(listening->fd, settings, true, address);
    if (strcmp(address, listening->address) == 0)
        return true;
    (void)shutdown(listening->fd, SHUT_RDWR);
    return false;
}

/* Opens a socket at the same address and puts it in the old one's place. The old path goes first,
 * as nobody may be listening where it is made anew. */
static int
open_in_its_place(struct listening_socket *listening, const struct settings *settings)
{
    _cleanup_free_ char *problem_text = NULL;
    struct listening_socket fresh = LISTENING_SOCKET_NONE;
    int r = unix_path_take_away(&listening->path);

    if (r == 0)
        r = open_resolved(settings, NULL, &fresh, &problem_text);
    if (r == 0 && dup3(fresh.fd, listening->fd, O_CLOEXEC) < 0) {
        r = -errno;
        unix_path_remove(&fresh.path);
    }
    if (fresh.fd >= 0)
        (void)close(fresh.fd);
    if (r < 0)
        return r;
    socket_unstore(listening);
    listening->path = fresh.path;
    listening->shared = false;
    socket_store(settings, listening);
    return 0;
}

static int
replace(struct listening_socket *listening, const struct settings *settings)
{
    _cleanup_free_ char *why = NULL;
    struct settings same = *settings; /* its strings stay the caller's */
    int r = address_parse(listening->address, &same.address, &why);

    if (r < 0)
        return r;
    r = open_in_its_place(listening, &same);
    address_done(&same.address);
    return r;
}

int
socket_revive(struct listening_socket *listening, const struct settings *settings)
{
    if (!is_shut_down(listening))
        return 0;
    if (!address_is_unix(&settings->address) && listens_again(listening, settings))
        return SOCKET_REVIVED;
    if (listening->passed)
        return -ENOTCONN; /* only its socket unit can open it anew */
    int r = replace(listening, settings);
    return r < 0 ? r : SOCKET_REPLACED;
}

void
socket_close(struct listening_socket *listening)
{
    if (listening->kept) {
        unix_path_forget(&listening->path);
    } else {
        /* The path first: whoever still finds it is served by a worker that drains, or refused. */
        socket_unstore(listening);
        unix_path_remove(&listening->path);
    }
    datagram_ports_remove(listening->datagram_port);
    if (listening->fd >= 0)
        (void)close(listening->fd);
    *listening = LISTENING_SOCKET_NONE;
}
