/* SPDX-License-Identifier: MIT */
/*
 * upgrade_exec.c - handing everything over to the next program in this process
 *
 * Listening sockets take the places from 3 on, by the LISTEN_FDS convention
 * with their stable names; whatever had these places is kept aside until
 * nothing can fail any more. The state (upgrade_state.h) goes in a sealed
 * memory file, named in the environment, which refers to workers' descriptors
 * by number. All others are CLOEXEC and gone afterwards.
 * upgrade_receive.c is the other side.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing beyond a call.
 * Failures: returned, and everything is as it was.
 */
#include "supervisor/change/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/descriptors.h"
#include "common/log.h"
#include "common/memfd.h"
#include "common/secret.h"
#include "supervisor/socket/adopt.h"
#include "supervisor/socket/store.h"

/* ---- which program ------------------------------------------------------------------ */

static struct {
    char *path;
    char **arguments;
} self;

/* By the name it was called with, which may lead to another file later; without a folder in it,
 * where it is now. */
void
upgrade_remember(char **arguments)
{
    char path[PATH_MAX];

    self.arguments = arguments;
    if (arguments[0] != NULL && strchr(arguments[0], '/') != NULL) {
        self.path = arguments[0];
        return;
    }
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (size > 0)
        self.path = strndup(path, (size_t)size);
}

const char *
upgrade_program(void)
{
    return self.path;
}

char **
upgrade_arguments(void)
{
    return self.arguments;
}

/* ---- the state -------------------------------------------------------------------------- */

static int
export_one(struct listener *listener, bool removed, struct upgrade_state *state)
{
    struct upgrade_listener *place = &state->listeners[state->listener_count++];

    place->removed = removed;
    return listener_export(listener, place);
}

static int
export_state(const struct change *change, struct upgrade_state *ret)
{
    const struct roster *roster = change->roster;
    int r = 0;

    ret->log_level = change->log->operators_level;
    ret->listeners = calloc(roster->count + roster->removed_count + 1, sizeof(*ret->listeners));
    if (ret->listeners == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < roster->count && r == 0; i++)
        r = export_one(roster->listeners[i], false, ret);
    for (size_t i = 0; i < roster->removed_count && r == 0; i++)
        r = export_one(roster->removed[i], true, ret);
    return r;
}

static int
state_to_fd(const struct upgrade_state *state)
{
    char *bytes;
    size_t size;
    int r = upgrade_state_pack(state, &bytes, &size);

    if (r < 0)
        return r;
    r = memfd_sealed("hand-over", bytes, size);
    secret_free(bytes, size); /* keys of TLS may be in it */
    return r;
}

int
upgrade_describe(const struct change *change)
{
    struct upgrade_state state = {0};
    int r = export_state(change, &state);

    if (r == 0)
        r = state_to_fd(&state);
    upgrade_state_done(&state);
    return r;
}

/* ---- the sockets ---------------------------------------------------------------------------- */

struct hand_over {
    struct handed {
        int fd; /* -1: none */
        char name[sizeof(STORE_PATH_PREFIX) + SOCKET_NAME_SIZE];
        int aside;   /* what had its place; -1: nothing */
        bool placed; /* a copy of fd is there now */
    } * sockets;
    size_t count, room;
    struct upgrade_state state;
    int state_fd;
    int error;
};

/* Adds a socket to those handed over, and takes fd over. */
static void
add_socket(struct hand_over *hand_over, const char *prefix, const char *name, int fd)
{
    if (fd < 0)
        return;
    if (hand_over->count == hand_over->room) {
        size_t room = 2 * hand_over->room + 16;
        struct handed *grown = reallocarray(hand_over->sockets, room, sizeof(*grown));
        if (grown == NULL) {
            (void)close(fd);
            hand_over->error = -ENOMEM;
            return;
        }
        hand_over->sockets = grown;
        hand_over->room = room;
    }
    struct handed *handed = &hand_over->sockets[hand_over->count++];
    handed->fd = fd;
    handed->aside = -1;
    handed->placed = false;
    (void)snprintf(handed->name, sizeof(handed->name), "%s%s", prefix, name);
}

static int
copy_fd(struct hand_over *hand_over, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, SD_LISTEN_FDS_START);

    if (copy < 0)
        hand_over->error = -errno;
    return copy;
}

static void
add_passed(const char *name, int fd, void *userdata)
{
    add_socket(userdata, "", name, copy_fd(userdata, fd));
}

static void
add_listener(struct hand_over *hand_over, struct listener *listener)
{
    const struct listening_socket *socket = listener_socket(listener);
    char name[SOCKET_NAME_SIZE];

    if (socket->fd < 0 || socket->passed || socket->shared)
        return;
    (void)socket_name(listener_settings(listener), name);
    add_socket(hand_over, "", name, copy_fd(hand_over, socket->fd));
    if (socket->path.name == NULL)
        return;
    int path = unix_path_hold(&socket->path);
    if (path < 0 && path != -ENOENT && path != -ESTALE)
        hand_over->error = path; /* without it the next program would have to bind the path anew */
    add_socket(hand_over, STORE_PATH_PREFIX, name, path);
}

/* Copies fd above the sockets' places; execve() keeps the copy. */
static int
lift(struct hand_over *hand_over, int fd)
{
    int lifted = fcntl(fd, F_DUPFD, SD_LISTEN_FDS_START + (int)hand_over->count);

    if (lifted < 0)
        hand_over->error = -errno;
    return lifted;
}

static void
for_each_worker(struct upgrade_state *state, void (*visit)(struct upgrade_worker *, void *),
                void *userdata)
{
    for (size_t i = 0; i < state->listener_count; i++)
        for (size_t j = 0; j < state->listeners[i].generation_count; j++) {
            struct upgrade_generation *generation = &state->listeners[i].generations[j];
            for (size_t k = 0; k < generation->worker_count; k++)
                visit(&generation->workers[k], userdata);
        }
}

static void
lift_worker(struct upgrade_worker *worker, void *userdata)
{
    worker->channel = lift(userdata, worker->channel);
    worker->counters = lift(userdata, worker->counters);
    if (worker->log >= 0)
        worker->log = lift(userdata, worker->log);
    if (worker->wishes > 0)
        worker->wishes = lift(userdata, worker->wishes - 1) + 1;
}

static void
close_worker(struct upgrade_worker *worker, void *userdata)
{
    (void)userdata;
    if (worker->channel >= 0)
        (void)close(worker->channel);
    if (worker->counters >= 0)
        (void)close(worker->counters);
    if (worker->log >= 0)
        (void)close(worker->log);
    if (worker->wishes > 0)
        (void)close(worker->wishes - 1);
}

static void
lift_sources(struct hand_over *hand_over)
{
    for (size_t i = 0; i < hand_over->state.listener_count; i++) {
        struct upgrade_listener *listener = &hand_over->state.listeners[i];

        if (listener->sources > 0)
            listener->sources = lift(hand_over, listener->sources - 1) + 1;
    }
}

static void
close_sources(const struct hand_over *hand_over)
{
    for (size_t i = 0; i < hand_over->state.listener_count; i++)
        if (hand_over->state.listeners[i].sources > 0)
            (void)close(hand_over->state.listeners[i].sources - 1);
}

static void
for_each_kept(struct upgrade_state *state, void (*visit)(int *fd, void *userdata), void *userdata)
{
    for (size_t i = 0; i < state->listener_count; i++) {
        struct upgrade_kept *kept = &state->listeners[i].kept;

        for (size_t j = 0; j < kept->count; j++)
            visit(&kept->fds[j].fd, userdata);
        for (size_t j = 0; j < kept->area_count; j++)
            visit(&kept->areas[j].fd, userdata);
    }
}

static void
lift_kept(int *fd, void *userdata)
{
    *fd = lift(userdata, *fd);
}

static void
close_kept(int *fd, void *userdata)
{
    (void)userdata;
    if (*fd >= 0)
        (void)close(*fd); /* a copy: the original stays */
    *fd = -1;
}

/* Clients who come meanwhile wait in the control socket's queue. */
static void
lift_control(const struct change *change, struct hand_over *hand_over)
{
    _cleanup_close_ int path = change->control > 0 ? unix_path_hold(change->control_path) : -1;

    if (path < 0)
        return; /* the next program binds it anew */
    int socket = lift(hand_over, change->control);
    int lifted = lift(hand_over, path);
    hand_over->state.control = socket < 0 ? 0 : socket;
    hand_over->state.control_path = lifted < 0 ? 0 : lifted;
}

static int
prepare(const struct change *change, struct hand_over *hand_over)
{
    int r = export_state(change, &hand_over->state);

    if (r < 0) {
        upgrade_state_done(&hand_over->state); /* its descriptors are not copies yet */
        return r;
    }
    for (size_t i = 0; i < change->roster->count; i++)
        add_listener(hand_over, change->roster->listeners[i]);
    adopt_each(add_passed, hand_over);
    for_each_worker(&hand_over->state, lift_worker, hand_over);
    lift_sources(hand_over);
    for_each_kept(&hand_over->state, lift_kept, hand_over);
    lift_control(change, hand_over);
    if (hand_over->error != 0)
        return hand_over->error;
    _cleanup_close_ int state = state_to_fd(&hand_over->state);
    if (state < 0)
        return state;
    hand_over->state_fd = lift(hand_over, state);
    return hand_over->error;
}

/* ---- into place, and back -------------------------------------------------------------------- */

static int
put_into_place(struct hand_over *hand_over)
{
    int above = SD_LISTEN_FDS_START + (int)hand_over->count;

    for (size_t i = 0; i < hand_over->count; i++) { /* no source may be in another's place */
        int lifted = fcntl(hand_over->sockets[i].fd, F_DUPFD_CLOEXEC, above);
        if (lifted < 0)
            return -errno;
        (void)close(hand_over->sockets[i].fd);
        hand_over->sockets[i].fd = lifted;
    }
    for (size_t i = 0; i < hand_over->count; i++) {
        struct handed *handed = &hand_over->sockets[i];
        int place = SD_LISTEN_FDS_START + (int)i;
        handed->aside = fcntl(place, F_DUPFD_CLOEXEC, above);
        if (handed->aside < 0 && errno != EBADF)
            return -errno;
        if (dup2(handed->fd, place) < 0)
            return -errno;
        handed->placed = true;
    }
    return 0;
}

static void
put_back(struct hand_over *hand_over)
{
    for (size_t i = 0; i < hand_over->count; i++) {
        struct handed *handed = &hand_over->sockets[i];
        int place = SD_LISTEN_FDS_START + (int)i;
        if (handed->aside >= 0) {
            (void)dup3(handed->aside, place, O_CLOEXEC);
            (void)close(handed->aside);
        } else if (handed->placed) {
            (void)close(place); /* or the port stays bound */
        }
        (void)close(handed->fd);
    }
    free(hand_over->sockets);
    if (hand_over->state_fd >= 0)
        (void)close(hand_over->state_fd);
    for_each_worker(&hand_over->state, close_worker, NULL);
    close_sources(hand_over);
    for_each_kept(&hand_over->state, close_kept, NULL);
    if (hand_over->state.control > 0)
        (void)close(hand_over->state.control);
    if (hand_over->state.control_path > 0)
        (void)close(hand_over->state.control_path);
    upgrade_state_done(&hand_over->state);
}

static int
set_number(const char *name, long number)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%ld", number);
    return setenv(name, text, 1);
}

static int
announce(const struct hand_over *hand_over)
{
    size_t room = hand_over->count * sizeof(hand_over->sockets[0].name) + 1;
    _cleanup_free_ char *names = calloc(1, room);
    char *end = names;

    if (names == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < hand_over->count; i++) {
        if (i > 0)
            *end++ = ':';
        end = stpcpy(end, hand_over->sockets[i].name);
    }
    if (set_number(UPGRADE_VARIABLE, hand_over->state_fd) < 0)
        return -ENOMEM;
    if (hand_over->count == 0)
        return 0; /* a LISTEN_FDS of 0 is a mistake to sd_listen_fds(3) */
    if (set_number("LISTEN_PID", (long)getpid()) < 0 ||
        set_number("LISTEN_FDS", (long)hand_over->count) < 0 ||
        setenv("LISTEN_FDNAMES", names, 1) < 0)
        return -ENOMEM;
    return 0;
}

static void
take_announcement_back(void)
{
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    (void)unsetenv(UPGRADE_VARIABLE);
}

int
upgrade_execute(const struct change *change)
{
    struct hand_over hand_over = {.state_fd = -1};
    int r = prepare(change, &hand_over);

    if (r == 0)
        r = put_into_place(&hand_over);
    if (r == 0)
        r = announce(&hand_over);
    if (r == 0) {
        descriptors_restore_limit();
        (void)execv(self.path, self.arguments);
        r = -errno;
        descriptors_raise_limit();
    }
    take_announcement_back();
    put_back(&hand_over);
    return r;
}
