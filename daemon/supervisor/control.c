/* SPDX-License-Identifier: MIT */
/*
 * control.c - the control socket: its path, its clients, their limits
 *
 * Nothing here waits, and all of it gives way to the workers' events. A client
 * has one call at a time and the time of CLIENT_USEC to send it and, after
 * that, to take the reply; only while its operation runs is it left alone.
 * When all places are taken, a newcomer gets that of the client that has sent
 * nothing for longest, but nobody who may only read pushes out one who may
 * change: an administrator gets through whatever others do.
 *
 * Runs in:  the supervisor.
 * Owns:     the socket, its path, and the clients.
 * Failures: a client's end that client; the socket's are logged, and the
 *           daemon serves on without it.
 */
#include "supervisor/control.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "supervisor/control_private.h"
#include "supervisor/operations.h"

#define MESSAGE_LIMIT  65536
#define CLIENT_USEC    UINT64_C(2000000) /* for a whole message; to take some of the reply */
#define ACCEPT_AT_ONCE 16
#define BACKLOG        1024
#define PRIORITY       (SD_EVENT_PRIORITY_NORMAL + 10) /* workers, children and signals first */

static uint64_t
clock_usec(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- clients -------------------------------------------------------------------------- */

static void
client_close(struct control_client *client)
{
    client->control->clients[client->place] = NULL;
    if (client->waits != NULL)
        supervisor_forget(client->control->supervisor, client);
    (void)sd_event_source_disable_unref(client->io);
    (void)sd_event_source_disable_unref(client->timer);
    (void)close(client->fd);
    varlink_input_done(&client->input);
    free(client->output);
    free(client);
}

static void
client_give_time(struct control_client *client)
{
    (void)sd_event_source_set_time(client->timer, clock_usec(CLOCK_MONOTONIC) + CLIENT_USEC);
    (void)sd_event_source_set_enabled(client->timer,
                                      client->waits == NULL ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static bool
client_is_busy(const struct control_client *client)
{
    return client->waits != NULL || client->output != NULL;
}

/* What the loop shall watch for now. That the client is gone is told in any case. */
static void
client_watch(struct control_client *client)
{
    uint32_t events = client->output != NULL ? EPOLLOUT : 0;

    if (!client_is_busy(client) && !client->ended)
        events |= EPOLLIN;
    (void)sd_event_source_set_io_events(client->io, events);
    client_give_time(client);
}

static void
queue_reply(struct control_client *client, const char *error, json_t *parameters)
{
    client->waits = NULL;
    if (client->oneway) {
        json_decref(parameters);
    } else {
        free(client->output);
        client->output_sent = 0;
        client->output = varlink_reply_text(error, parameters, &client->output_size);
        if (client->output == NULL)
            client->ended = true; /* no memory for it: the end must do */
    }
    client_watch(client);
}

void
control_reply(struct control_client *client, json_t *parameters)
{
    queue_reply(client, NULL, parameters);
}

void
control_reply_error(struct control_client *client, const char *error, json_t *parameters)
{
    queue_reply(client, error, parameters);
}

/* Sends what it takes without waiting. 0, or a negative errno: it is gone. */
static int
client_flush(struct control_client *client)
{
    while (client->output != NULL) {
        ssize_t sent = send(client->fd, client->output + client->output_sent,
                            client->output_size - client->output_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        client->output_sent += (size_t)sent;
        if (client->output_sent == client->output_size)
            free(take_pointer(client->output));
        client_give_time(client);
    }
    return 0;
}

/* Runs the calls that are there, one after the other. 0, or a negative errno: no more of it. */
static int
client_take_calls(struct control_client *client)
{
    int r = 0;

    while (!client_is_busy(client)) {
        struct varlink_call call;
        json_t *message;
        r = varlink_input_next(&client->input, &message);
        if (r <= 0)
            break;
        r = varlink_call_parse(message, &call);
        if (r == 0) {
            client->oneway = call.oneway;
            control_call(client, &call);
        }
        json_decref(message);
        if (r == 0)
            r = client_flush(client);
        if (r < 0)
            break;
    }
    return r;
}

/* 0, or a negative errno. */
static int
client_read(struct control_client *client)
{
    int r = varlink_input_read(&client->input, client->fd);

    if (r == 0)
        client->ended = true;
    return r == -EAGAIN || r > 0 ? 0 : r;
}

/* Does whatever can be done now; closes the client when nothing is left to do. */
static void
client_proceed(struct control_client *client, bool readable)
{
    int r = client_flush(client);

    if (r == 0 && readable && !client_is_busy(client))
        r = client_read(client);
    if (r == 0)
        r = client_take_calls(client);
    if (r == -EBADMSG || r == -EMSGSIZE)
        log_debug("control: uid %u, pid %d sent %s", (unsigned)client->uid, (int)client->pid,
                  r == -EBADMSG ? "no Varlink call" : "too long a message");
    if (r < 0 || (client->ended && !client_is_busy(client)))
        client_close(client);
    else
        client_watch(client);
}

static int
on_client(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct control_client *client = userdata;

    (void)source;
    (void)fd;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0 && client_is_busy(client))
        client_close(client); /* nobody is left to hear the reply; the operation goes on */
    else
        client_proceed(client, (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0);
    return 0;
}

static int
on_client_timer(sd_event_source *source, uint64_t when, void *userdata)
{
    (void)source;
    (void)when;
    client_close(userdata);
    return 0;
}

/* ---- newcomers ------------------------------------------------------------------------ */

/* Who goes first when there is no room: whoever only reads, then whoever was there first. */
static bool
gives_way_before(const struct control_client *one, const struct control_client *other)
{
    if (one->may_change != other->may_change)
        return !one->may_change;
    return one->arrival < other->arrival;
}

/* The place for a newcomer; CONTROL_CLIENTS if there is none. */
static size_t
find_place(struct control *control, bool may_change)
{
    struct control_client *leaves = NULL;

    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        struct control_client *client = control->clients[i];
        if (client == NULL)
            return i;
        if (client_is_busy(client) || (client->may_change && !may_change))
            continue;
        if (leaves == NULL || gives_way_before(client, leaves))
            leaves = client;
    }
    if (leaves == NULL)
        return CONTROL_CLIENTS;
    size_t place = leaves->place;
    client_close(leaves);
    return place;
}

static void
turn_away(int fd)
{
    size_t size;
    _cleanup_free_ char *text = varlink_reply_text(CONTROL_BUSY, NULL, &size);

    if (text != NULL)
        (void)send(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int
client_add_sources(struct control_client *client)
{
    sd_event *event = client->control->event;
    int r = sd_event_add_io(event, &client->io, client->fd, EPOLLIN, on_client, client);

    if (r >= 0)
        r = sd_event_add_time_relative(event, &client->timer, CLOCK_MONOTONIC, CLIENT_USEC, 0,
                                       on_client_timer, client);
    if (r >= 0)
        r = sd_event_source_set_priority(client->io, PRIORITY);
    if (r >= 0)
        r = sd_event_source_set_priority(client->timer, PRIORITY);
    return r;
}

/* Takes over fd. What the newcomer has sent already is looked at at once. */
static void
welcome(struct control *control, int fd)
{
    struct control_client *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        (void)close(fd);
        return;
    }
    *client = (struct control_client){
        .control = control, .fd = fd, .arrival = control->arrivals++, .place = CONTROL_CLIENTS};
    varlink_input_init(&client->input, MESSAGE_LIMIT);
    if (control_identify(client) == 0)
        client->place = find_place(control, client->may_change);
    if (client->place == CONTROL_CLIENTS) {
        turn_away(fd);
        (void)close(fd);
        free(client);
        return;
    }
    control->clients[client->place] = client;
    if (client_add_sources(client) < 0)
        client_close(client);
    else
        client_proceed(client, true);
}

static int
on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0)
            break;
        welcome(userdata, client);
    }
    return 0;
}

/* ---- the path -------------------------------------------------------------------------- */

/* The folder, if only that is missing; whoever may not has its reason said by what follows. */
static void
make_folder(const char *path)
{
    _cleanup_free_ char *folder = strdup(path);
    char *slash = folder == NULL ? NULL : strrchr(folder, '/');

    if (slash == NULL || slash == folder)
        return;
    *slash = '\0';
    (void)mkdir(folder, 0755);
}

/* The new socket bound to the path, or a negative errno and maybe a remedy. */
static int
bind_socket(const struct control *control, const char *path, struct unix_path *ret_path,
            const char **ret_remedy)
{
    const struct unix_path_owner owner = {
        .mode = control->mode, .uid = (uid_t)-1, .gid = control->group};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *ret_remedy = NULL;
    if (fd < 0)
        return -errno;
    make_folder(path);
    int r = unix_path_bind(fd, SOCK_STREAM, path, &owner, BACKLOG, ret_path, ret_remedy);
    if (r == -EPERM && control->group != (gid_t)-1)
        *ret_remedy = "the daemon's user must be root or a member of control.group";
    return r < 0 ? r : take_fd(fd);
}

static void
close_socket(struct control *control)
{
    (void)sd_event_source_disable_unref(take_pointer(control->source));
    if (control->fd >= 0)
        (void)close(control->fd);
    control->fd = -1;
    unix_path_remove(&control->path);
}

static void
open_socket(struct control *control)
{
    struct unix_path path = UNIX_PATH_NONE;
    const char *remedy = NULL;
    int fd = bind_socket(control, control->configured, &path, &remedy);

    if (fd < 0) {
        log_warning("cannot make the control socket %s: %s%s%s; going on without it",
                    control->configured, strerror(-fd), remedy == NULL ? "" : ": ",
                    remedy == NULL ? "" : remedy);
        return;
    }
    control->fd = fd;
    control->path = path;
    int r = sd_event_add_io(control->event, &control->source, fd, EPOLLIN, on_connection, control);
    if (r >= 0)
        r = sd_event_source_set_priority(control->source, PRIORITY);
    if (r < 0) {
        log_warning("cannot watch the control socket: %s; going on without it", strerror(-r));
        close_socket(control);
    }
}

static gid_t
find_group(const char *name)
{
    if (name == NULL)
        return (gid_t)-1;
    if (name[strspn(name, "0123456789")] == '\0')
        return (gid_t)strtoul(name, NULL, 10);
    const struct group *group = getgrnam(name);
    return group == NULL ? (gid_t)-1 : group->gr_gid;
}

static bool
same_text(const char *one, const char *other)
{
    return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
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
    gid_t group = find_group(config->control.group);
    bool same = control->fd >= 0 && same_text(control->configured, path) &&
                control->mode == config->control.mode && control->group == group;

    (void)replace_text(&control->file, config->file);
    if (same)
        return;
    close_socket(control);
    control->mode = config->control.mode;
    control->group = group;
    if (replace_text(&control->configured, path) && path != NULL)
        open_socket(control);
}

/* ---- beginning and end ------------------------------------------------------------------ */

static int
on_sampler(sd_event_source *source, uint64_t when, void *userdata)
{
    struct control *control = userdata;
    uint64_t now = clock_usec(CLOCK_MONOTONIC);

    (void)when;
    samples_begin(&control->samples);
    for (size_t i = 0; i < supervisor_listener_count(control->supervisor); i++) {
        struct listener_status status;
        listener_status(supervisor_listener(control->supervisor, i), &status);
        samples_add(&control->samples, &status, now);
    }
    samples_end(&control->samples);
    (void)sd_event_source_set_time(source, now + SAMPLE_USEC);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int
control_new(sd_event *event, struct supervisor *supervisor, struct control **ret)
{
    struct control *control = calloc(1, sizeof(*control));

    if (control == NULL)
        return -ENOMEM;
    *control = (struct control){
        .event = event,
        .supervisor = supervisor,
        .instance = clock_usec(CLOCK_REALTIME),
        .started = clock_usec(CLOCK_MONOTONIC),
        .fd = -1,
        .path = UNIX_PATH_NONE,
        .group = (gid_t)-1,
    };
    int r = sd_event_add_time_relative(event, &control->sampler, CLOCK_MONOTONIC, 0, 500000,
                                       on_sampler, control);
    if (r >= 0)
        r = sd_event_source_set_priority(control->sampler, PRIORITY);
    if (r < 0) {
        control_free(control);
        return r;
    }
    *ret = control;
    return 0;
}

void
control_free(struct control *control)
{
    if (control == NULL)
        return;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        if (control->clients[i] != NULL)
            client_close(control->clients[i]);
    close_socket(control);
    (void)sd_event_source_disable_unref(control->sampler);
    samples_done(&control->samples);
    free(control->configured);
    free(control->file);
    free(control);
}
