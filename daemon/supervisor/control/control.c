/* SPDX-License-Identifier: MIT */
/*
 * control.c - the control socket: its path, and who gets a place
 *
 * Nothing here waits, and all of it gives way to the workers' events. Root and
 * the daemon's user, the group's members, and all others have places of their
 * own: an administrator gets through whatever others do. When all places of a
 * class are taken, its newcomer gets the place of the client that came first
 * and has no reply to take. Who waits for an operation takes no place.
 *
 * Runs in:  the supervisor.
 * Owns:     the socket, its path, and the clients.
 * Failures: a client's end that client; the socket's are logged, and the
 *           daemon serves on without it.
 */
#include "supervisor/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/texts.h"
#include "supervisor/control/control_private.h"

#define ACCEPT_AT_ONCE 16
#define BACKLOG        1024
#define ACCEPT_USEC    UINT64_C(100000)  /* after a failed accept */
#define SOCKET_USEC    UINT64_C(1000000) /* after the socket could not be made */

/* ---- newcomers ------------------------------------------------------------------------ */

/* Returns the place for a newcomer of the class, or CONTROL_CLIENTS if there is none. */
static size_t
find_place(struct control *control, enum control_class class)
{
    struct control_client *leaves = NULL;
    size_t unused = CONTROL_CLIENTS, present = 0, waiters = 0;

    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        struct control_client *client = control->clients[i];
        if (client == NULL)
            unused = unused == CONTROL_CLIENTS ? i : unused;
        if (client == NULL || client->class != class)
            continue;
        waiters += control_client_waits(client);
        present += !control_client_waits(client);
        if (!control_client_is_busy(client) &&
            (leaves == NULL || client->arrival < leaves->arrival))
            leaves = client;
    }
    if (waiters >= CONTROL_WAITERS)
        return CONTROL_CLIENTS;
    if (present < CONTROL_CLASS)
        return unused;
    if (leaves == NULL)
        return CONTROL_CLIENTS;
    size_t place = leaves->place;
    control_client_close(leaves);
    return place;
}

static void
turn_away(int fd)
{
    size_t size;
    _cleanup_free_ char *text = varlink_reply_text(CONTROL_BUSY, json_object(), &size);

    if (text != NULL)
        (void)send(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Takes over fd, a newcomer's, and looks at once at what the newcomer has sent already. */
static void
welcome(struct control *control, int fd, bool plugin)
{
    struct control_client *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        (void)close(fd);
        return;
    }
    *client = (struct control_client){
        .control = control, .fd = fd, .arrival = control->arrivals++, .place = CONTROL_CLIENTS};
    bool known = control_identify(client) == 0;
    if (plugin) {
        client->may_change = false;
        client->class = CLASS_PLUGIN;
    }
    if (known)
        client->place = find_place(control, client->class);
    if (client->place == CONTROL_CLIENTS) {
        turn_away(fd);
        (void)close(fd);
        free(client);
        return;
    }
    control->clients[client->place] = client;
    if (control_client_begin(client) < 0)
        control_client_close(client);
    else
        control_client_proceed(client, true);
}

void
control_welcome_plugin(struct control *control, int fd)
{
    int domain = 0, type = 0;
    socklen_t size = sizeof(domain);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
        (void)close(fd);
    else
        welcome(control, fd, true);
}

static void
retry_later(struct control *control, uint64_t delay_usec)
{
    (void)sd_event_source_set_time(control->retry, monotonic_usec() + delay_usec);
    (void)sd_event_source_set_enabled(control->retry, SD_EVENT_ONESHOT);
}

/* Accepts nobody for a moment when descriptors or memory have run out. The log says so once. */
static void
pause_accepting(struct control *control, int error)
{
    if (!control->starved)
        log_warning("control: cannot accept: %s; trying again later", strerror(error));
    control->starved = true;
    (void)sd_event_source_set_enabled(control->source, SD_EVENT_OFF);
    retry_later(control, ACCEPT_USEC);
}

static int
on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct control *control = userdata;

    (void)source;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client >= 0) {
            control->starved = false;
            welcome(control, client, false);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(control, errno);
        break;
    }
    return 0;
}

/* ---- the path -------------------------------------------------------------------------- */

/* Makes the last folder of the path. Errors need no care: bind() fails then, and its error is
 * reported. */
static void
make_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = slash == NULL ? NULL : strndup(path, (size_t)(slash - path));

    if (folder != NULL && *folder != '\0')
        (void)mkdir(folder, 0755);
}

/* Returns a new socket bound to the path, or a negative errno and maybe a remedy. */
static int
bind_socket(const struct control *control, const char *path, struct unix_path *ret_path,
            const char **ret_remedy)
{
    const struct unix_path_plan plan = {
        .name = path,
        .type = SOCK_STREAM,
        .backlog = BACKLOG,
        .owner = {.mode = control->mode, .uid = (uid_t)-1, .gid = control->group},
    };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *ret_remedy = NULL;
    if (fd < 0)
        return -errno;
    make_folder(path);
    int r = unix_path_bind(fd, &plan, ret_path, ret_remedy);
    if (r == -EPERM && control->group != (gid_t)-1)
        *ret_remedy = "the daemon's user must be root or a member of control.group";
    return r < 0 ? r : take_fd(fd);
}

/* Returns the inherited socket, and the path that it has still, or a negative errno. */
static int
take_inherited(struct control *control, struct unix_path *ret_path)
{
    const struct unix_path_owner owner = {
        .mode = control->mode, .uid = (uid_t)-1, .gid = control->group};
    _cleanup_close_ int fd = control->inherited, made = control->inherited_path;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(address) - 1;

    control->inherited = control->inherited_path = -1;
    if (fd < 0 || made < 0)
        return -ENOENT;
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    int r = unix_path_adopt(made, address.sun_path, &owner, ret_path);
    return r < 0 ? r : take_fd(fd);
}

/* Closes a socket that is wanted no more, and removes its path. Returns -ESTALE. */
static int
drop(int fd, struct unix_path *path)
{
    (void)close(fd);
    unix_path_remove(path);
    return -ESTALE;
}

static void
drop_inherited(struct control *control)
{
    struct unix_path path = UNIX_PATH_NONE;
    int fd = take_inherited(control, &path);

    if (fd >= 0)
        (void)drop(fd, &path);
}

static void
close_socket(struct control *control)
{
    control->host.change->control = 0;
    (void)sd_event_source_disable_unref(take_pointer(control->source));
    if (control->fd >= 0)
        (void)close(control->fd);
    control->fd = -1;
    unix_path_remove(&control->path);
}

/* first: the daemon starts, and ends if another one has the path (control_is_taken()). */
static void
open_socket(struct control *control, bool first)
{
    struct unix_path path = UNIX_PATH_NONE;
    const char *remedy = NULL;
    int fd = take_inherited(control, &path);

    if (fd >= 0 && strcmp(path.name, control->configured) != 0)
        fd = drop(fd, &path);
    if (fd < 0)
        fd = bind_socket(control, control->configured, &path, &remedy);
    if (fd < 0) {
        if (fd != control->problem && !(first && fd == -EADDRINUSE))
            log_warning("cannot make the control socket %s: %s%s%s; going on without it",
                        control->configured, strerror(-fd), remedy == NULL ? "" : ": ",
                        remedy == NULL ? "" : remedy);
        control->problem = fd;
        if (fd != -EADDRINUSE) /* another daemon has the path: nobody waits for it */
            retry_later(control, SOCKET_USEC);
        return;
    }
    control->problem = 0;
    control->fd = fd;
    control->path = path;
    control->host.change->control = fd;
    control->host.change->control_path = &control->path;
    int r = sd_event_add_io(control->event, &control->source, fd, EPOLLIN, on_connection, control);
    if (r >= 0)
        r = sd_event_source_set_priority(control->source, CONTROL_PRIORITY);
    if (r < 0) {
        log_warning("cannot watch the control socket: %s; going on without it", strerror(-r));
        close_socket(control);
        retry_later(control, SOCKET_USEC);
    }
}

static bool
replace_text(char **text, const char *with)
{
    char *copy = with == NULL ? NULL : strdup(with);

    free(*text);
    *text = copy;
    return with == NULL || copy != NULL;
}

void
control_configure(struct control *control, const struct config *config)
{
    const char *path = config->file == NULL ? NULL : config->control.path;
    bool first = control->config == NULL;
    gid_t group = config->control.group == NULL ? (gid_t)-1 : config->control.gid;
    bool same = control->fd >= 0 && text_equal(control->configured, path) &&
                control->mode == config->control.mode && control->group == group;

    control->config = config;
    (void)replace_text(&control->file, config->file);
    if (same)
        return;
    close_socket(control);
    control->mode = config->control.mode;
    control->group = group;
    if (!replace_text(&control->configured, path))
        retry_later(control, SOCKET_USEC);
    else if (path != NULL)
        open_socket(control, first);
    else
        drop_inherited(control);
}

/* Returns the number of the process that listens on the path, or 0. */
static pid_t
find_owner(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred owner = {0};
    socklen_t size = sizeof(owner);
    _cleanup_close_ int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (probe < 0 || strlen(path) >= sizeof(address.sun_path))
        return 0;
    (void)strcpy(address.sun_path, path);
    if (connect(probe, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        getsockopt(probe, SOL_SOCKET, SO_PEERCRED, &owner, &size) < 0)
        return 0;
    return owner.pid;
}

bool
control_is_taken(const struct control *control, pid_t *ret_process)
{
    if (control->fd >= 0 || control->problem != -EADDRINUSE)
        return false;
    *ret_process = find_owner(control->configured);
    return *ret_process != 0;
}

/* ---- beginning and end ------------------------------------------------------------------ */

static int
on_sampler(sd_event_source *source, uint64_t when, void *userdata)
{
    struct control *control = userdata;
    uint64_t now = monotonic_usec();

    (void)when;
    samples_begin(&control->samples);
    for (size_t i = 0; i < control->host.roster->count; i++) {
        struct listener_status status;
        listener_status(control->host.roster->listeners[i], &status);
        samples_add(&control->samples, &status, now);
    }
    samples_end(&control->samples);
    (void)sd_event_source_set_time(source, now + SAMPLE_USEC);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int
on_retry(sd_event_source *source, uint64_t when, void *userdata)
{
    struct control *control = userdata;

    (void)source, (void)when;
    if (control->source == NULL)
        control_configure(control, control->config);
    else if (sd_event_source_set_enabled(control->source, SD_EVENT_ON) < 0)
        retry_later(control, ACCEPT_USEC);
    return 0;
}

int
control_new(const struct control_host *host, struct control **ret)
{
    sd_event *event = host->roster->host.event;
    struct control *control = calloc(1, sizeof(*control));

    if (control == NULL)
        return -ENOMEM;
    *control = (struct control){
        .event = event,
        .host = *host,
        .instance = realtime_usec(),
        .started = monotonic_usec(),
        .fd = -1,
        .path = UNIX_PATH_NONE,
        .inherited = -1,
        .inherited_path = -1,
        .group = (gid_t)-1,
    };
    int r = sd_event_add_time_relative(event, &control->sampler, CLOCK_MONOTONIC, 0, 500000,
                                       on_sampler, control);
    if (r >= 0)
        r = sd_event_add_time(event, &control->retry, CLOCK_MONOTONIC, UINT64_MAX, 0, on_retry,
                              control);
    if (r >= 0)
        r = sd_event_source_set_enabled(control->retry, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_source_set_priority(control->retry, CONTROL_PRIORITY);
    if (r >= 0)
        r = sd_event_source_set_priority(control->sampler, CONTROL_PRIORITY);
    if (r < 0) {
        control_free(control);
        return r;
    }
    *ret = control;
    return 0;
}

void
control_inherit(struct control *control, int socket, int path)
{
    control->inherited = socket > 0 ? fcntl(socket, F_DUPFD_CLOEXEC, 3) : -1;
    control->inherited_path = path > 0 ? fcntl(path, F_DUPFD_CLOEXEC, 3) : -1;
    if (socket > 0)
        (void)close(socket);
    if (path > 0)
        (void)close(path);
}

void
control_free(struct control *control)
{
    if (control == NULL)
        return;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        if (control->clients[i] != NULL)
            control_client_close(control->clients[i]);
    drop_inherited(control);
    close_socket(control);
    (void)sd_event_source_disable_unref(control->sampler);
    (void)sd_event_source_disable_unref(control->retry);
    samples_done(&control->samples);
    free(control->configured);
    free(control->file);
    free(control);
}
