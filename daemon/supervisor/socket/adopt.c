/* SPDX-License-Identifier: MIT */
/*
 * adopt.c - the sockets that this process was started with
 *
 * Nothing that comes from outside is believed: family, type, protocol, whether
 * it listens, and the address are asked of the kernel before a socket is used.
 * adopt_match.c says which listener a socket belongs to.
 *
 * Which sockets are our own is written on them: fcntl(F_SETSIG) belongs to the
 * open file, travels with it through the service manager's store and through
 * an upgrade, and means nothing otherwise (no signal is ever asked for). What
 * a socket unit passes bears no such mark, whatever its name.
 *
 * Runs in:  the supervisor.
 * Owns:     what was passed, until it is claimed. A socket unit's socket stays
 *           here and listeners get copies, so that one that was removed or
 *           stopped can come back.
 * Failures: returned, or added to the mistakes of the configuration.
 */
#include "supervisor/socket/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/patience.h"
#include "supervisor/socket/adopt_private.h"
#include "supervisor/socket/store.h"
#include "supervisor/socket/unix_path.h"

#define OWN_MARK (SIGRTMIN + 7)

/* There is one per process, as there is one environment that announced the sockets. */
static struct {
    struct passed *items;
    size_t count;
} passed;

/* ---- what it is --------------------------------------------------------------- */

static int
socket_fact(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

static bool
is_usual_protocol(int fd, int family, int type)
{
    int protocol = socket_fact(fd, SO_PROTOCOL);

    if (family == AF_UNIX)
        return true;
    if (type == SOCK_DGRAM)
        return protocol == IPPROTO_UDP;
    return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

/* What the socket is bound to. */
static bool
find_address(struct passed *item)
{
    int r;

    do {
        item->size = sizeof(item->address);
        r = getsockname(item->fd, (struct sockaddr *)&item->address, &item->size) < 0 ? -errno : 0;
    } while (patience_allows(r));
    return r == 0;
}

static bool
is_socket(int fd)
{
    struct stat status;
    int r;

    do
        r = fstat(fd, &status) < 0 ? -errno : 0;
    while (patience_allows(r));
    return r == 0 && S_ISSOCK(status.st_mode);
}

/* Returns why no listener can use the socket, or NULL. */
static const char *
judge(struct passed *item)
{
    if (!is_socket(item->fd))
        return "is no socket";
    item->family = socket_fact(item->fd, SO_DOMAIN);
    item->type = socket_fact(item->fd, SO_TYPE);
    if (!find_address(item))
        return "has no address";
    if (item->family != AF_INET && item->family != AF_INET6 && item->family != AF_UNIX)
        return "is neither an Internet nor a Unix socket";
    if (item->type != SOCK_STREAM && item->type != SOCK_DGRAM)
        return "is neither a stream nor a datagram socket";
    if (!is_usual_protocol(item->fd, item->family, item->type))
        return "speaks neither TCP nor UDP";
    if (item->type == SOCK_STREAM && socket_fact(item->fd, SO_ACCEPTCONN) != 1)
        return "is a connection and does not listen: its socket unit needs Accept=no";
    return NULL;
}

void
adopt_mark(int fd)
{
    (void)fcntl(fd, F_SETSIG, OWN_MARK);
}

/* Whether it is the descriptor of a Unix path, stored beside its socket. */
static bool
is_path(const struct passed *item)
{
    return strncmp(item->name, STORE_PATH_PREFIX, strlen(STORE_PATH_PREFIX)) == 0 &&
           (fcntl(item->fd, F_GETFL) & O_PATH) != 0;
}

/* ---- taking note ---------------------------------------------------------------- */

static void
free_names(char **names)
{
    for (char **name = names; name != NULL && *name != NULL; name++)
        free(*name);
    free(names);
}

int
adopt_begin(void)
{
    char **names = NULL;
    int count;

    do
        count = sd_listen_fds_with_names(false, &names);
    while (patience_allows(count));
    (void)sd_listen_fds(true); /* only now: it would take them out of the environment in any case */
    if (count <= 0) {
        free_names(names);
        return count;
    }
    do
        passed.items = calloc((size_t)count, sizeof(*passed.items));
    while (passed.items == NULL && patience_allows(-ENOMEM));
    if (passed.items == NULL) {
        free_names(names);
        return -ENOMEM;
    }
    for (int i = 0; i < count; i++) {
        struct passed *item = &passed.items[passed.count++];
        item->fd = SD_LISTEN_FDS_START + i;
        item->name = take_pointer(names[i]);
        item->unfit = judge(item);
        item->own = is_path(item) || fcntl(item->fd, F_GETSIG) == OWN_MARK;
    }
    free(names);
    return 0;
}

static void
drop(struct passed *item)
{
    if (item->fd >= 0)
        (void)close(item->fd);
    item->fd = -1;
}

void
adopt_end(void)
{
    for (size_t i = 0; i < passed.count; i++) {
        drop(&passed.items[i]);
        free(passed.items[i].name);
    }
    free(passed.items);
    passed.items = NULL;
    passed.count = 0;
}

/* ---- whose it is ------------------------------------------------------------------ */

static struct passed *
find_path(const struct passed *socket)
{
    for (size_t i = 0; i < passed.count; i++) {
        struct passed *item = &passed.items[i];
        if (item->fd >= 0 && is_path(item) &&
            strcmp(item->name + strlen(STORE_PATH_PREFIX), socket->name) == 0)
            return item;
    }
    return NULL;
}

static int
give(struct passed *item, struct adopted *ret)
{
    struct passed *path = item->own ? find_path(item) : NULL;
    int fd = item->own ? take_fd(item->fd) : fcntl(item->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    *ret = (struct adopted){
        .fd = fd,
        .own = item->own,
        .stream = item->type == SOCK_STREAM,
        .address = item->address,
        .path_fd = path == NULL ? -1 : take_fd(path->fd),
    };
    if (item->own)
        (void)snprintf(ret->stored, sizeof(ret->stored), "%s", item->name);
    return 1;
}

static struct passed *
find(const struct settings *settings, const struct resolved *found)
{
    for (size_t i = 0; i < passed.count; i++)
        if (passed_belongs_to(&passed.items[i], settings, found))
            return &passed.items[i];
    return NULL;
}

int
adopt_claim(const struct settings *settings, const struct resolved *found, struct adopted *ret)
{
    struct passed *item = find(settings, found);

    return item == NULL ? 0 : give(item, ret);
}

bool
adopt_has(const struct settings *settings)
{
    return find(settings, NULL) != NULL;
}

/* ---- what nobody takes --------------------------------------------------------------- */

static bool
is_wanted(const struct passed *item, const struct config *config, bool enabled_only)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct settings *settings = config->listeners[i];
        if ((settings->enabled || !enabled_only) &&
            (passed_belongs_to(item, settings, NULL) || passed_may_belong_to(item, settings)))
            return true;
    }
    return false;
}

static const char *
address_text(const struct passed *item, char *buffer)
{
    return address_format((const struct sockaddr *)&item->address, item->size,
                          item->type == SOCK_STREAM, buffer);
}

static void
add_unclaimed(const struct passed *item, const struct config *config, struct errors *errors)
{
    const struct settings *namesake = config_find(config, item->name);
    char text[ADDRESS_TEXT_SIZE];

    (void)address_text(item, text);
    if (namesake != NULL)
        errors_add(errors, namesake->file, namesake->line,
                   "listeners.%s.address: systemd passed the socket \"%s\" with the address %s, "
                   "not %s; write that, or \"systemd:%s\"",
                   namesake->name, item->name, text, namesake->address.text, item->name);
    else
        errors_add(errors, config->file, 0,
                   "systemd passed the socket \"%s\" (%s), which no listener takes; write "
                   "address = \"systemd:%s\" in one, or disable the socket unit",
                   item->name, text, item->name);
}

void
adopt_check(const struct config *config, struct errors *errors)
{
    for (size_t i = 0; i < passed.count; i++) {
        const struct passed *item = &passed.items[i];
        if (item->fd < 0 || item->own)
            continue;
        if (item->unfit != NULL)
            errors_add(errors, NULL, 0, "what systemd passed as \"%s\" %s", item->name,
                       item->unfit);
        else if (!is_wanted(item, config, false))
            add_unclaimed(item, config, errors);
    }
}

/* Removes the socket's path if it is still the same: nobody listens there any more. */
static void
remove_path(struct passed *socket)
{
    struct passed *path = find_path(socket);
    struct unix_path_owner unchanged = {.uid = (uid_t)-1, .gid = (gid_t)-1};
    struct unix_path ours = UNIX_PATH_NONE;
    char text[ADDRESS_TEXT_SIZE];
    const char *slash;

    if (path == NULL)
        return;
    slash = strchr(address_text(socket, text), '/'); /* "unix:///run/x" */
    if (slash != NULL && unix_path_adopt(path->fd, slash + 2, &unchanged, &ours) == 0)
        unix_path_remove(&ours);
    store_remove(path->name);
    drop(path);
}

void
adopt_discard(const struct config *config)
{
    char text[ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < passed.count; i++) {
        struct passed *item = &passed.items[i];
        if (item->fd < 0 || !item->own || is_path(item) ||
            (config != NULL && is_wanted(item, config, true)))
            continue;
        if (item->unfit == NULL) {
            log_notice("closing %s: no listener has that address any more",
                       address_text(item, text));
            remove_path(item);
        }
        store_remove(item->name);
        drop(item);
    }
}

/* ---- telling ---------------------------------------------------------------------------- */

char *
adopt_names(void)
{
    char *text = NULL;

    for (size_t i = 0; i < passed.count; i++) {
        _cleanup_free_ char *before = text;
        if (passed.items[i].own || passed.items[i].fd < 0) {
            text = take_pointer(before);
            continue;
        }
        if (asprintf(&text, "%s%s%s", before == NULL ? "" : before, before == NULL ? "" : ", ",
                     passed.items[i].name) < 0)
            return NULL;
    }
    return text != NULL ? text : strdup("none");
}

void
adopt_each(void (*take)(const char *name, int fd, void *userdata), void *userdata)
{
    for (size_t i = 0; i < passed.count; i++)
        if (passed.items[i].fd >= 0 && !passed.items[i].own)
            take(passed.items[i].name, passed.items[i].fd, userdata);
}

int
adopt_passed(const struct config *config, bool upgraded)
{
    struct errors mistakes = {0};
    int r = adopt_begin();

    if (r < 0) {
        log_error("cannot take the passed sockets: %s", strerror(-r));
        return -ECANCELED;
    }
    if (upgraded)
        return 0; /* the inherited listeners take them; the reload looks at the configuration */
    adopt_check(config, &mistakes);
    for (size_t i = 0; i < mistakes.count; i++)
        log_error("%s", mistakes.texts[i]);
    r = errors_any(&mistakes) ? -EINVAL : 0;
    errors_done(&mistakes);
    if (r == 0)
        adopt_discard(config);
    return r;
}
