/* SPDX-License-Identifier: MIT */
/*
 * talk.c - what a test's clients do: the calls of <sockserver/test.h> that expect nothing
 *
 * Runs in:  the test's thread.
 * Owns:     the clients and their ends of connections.
 * Failures: what cannot be done fails the test.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "testing/calls.h"
#include "testing/rig.h"
#include "worker/request/exec.h"

#define WHOLE_BUFFER (4 << 20) /* of a client's socket: as much as the kernel allows */

/* ---- clients ---------------------------------------------------------------------- */

static struct ss_test *
client_new(struct rig *rig)
{
    struct ss_test *client = calloc(1, sizeof(*client));
    struct ss_test **place = &rig->clients;

    if (client == NULL)
        abort();
    client->rig = rig;
    client->fd = -1;
    client->break_after = UINT64_MAX;
    while (*place != NULL)
        place = &(*place)->next;
    *place = client;
    return client;
}

struct ss_test *
ss_test_at(struct ss_test *test, const char *file, int line)
{
    test->rig->file = file;
    test->rig->line = line;
    return test;
}

struct ss_test *
ss_test_load(const char *plugin)
{
    return client_new(rig_new(plugin, NULL));
}

struct ss_test *
ss_test_new_linked(const struct ss_test_hooks *hooks)
{
    if (hooks->record == NULL || hooks->handle == NULL) {
        (void)fputs(
            "ss_test_new(): no plugin is linked with this test, or it has no handle() or no "
            "SS_PLUGIN(); compile the plugin's source into it, or use ss_test_load()\n",
            stderr);
        abort();
    }
    return client_new(rig_new("./this-test", hooks));
}

struct ss_test *
ss_test_another(struct ss_test *test)
{
    return client_new(test->rig);
}

/* ---- configuration ---------------------------------------------------------------- */

static struct given
given_here(const struct rig *rig, const char *value)
{
    return (struct given){.text = value, .file = rig->file, .line = (unsigned)rig->line};
}

static void
expect_not_started(struct ss_test *test)
{
    if (test->rig->started)
        fail(test->rig, "the plugin has been started already");
}

void
ss_test_set(struct ss_test *test, const char *key, const char *value)
{
    const struct given given = given_here(test->rig, value);

    test->rig->call = "ss_test_set";
    expect_not_started(test);
    settings_set(&test->rig->server.settings, key, &given, &test->rig->errors);
}

void
ss_test_option(struct ss_test *test, const char *name, const char *value)
{
    const struct given given = given_here(test->rig, value);

    test->rig->call = "ss_test_option";
    expect_not_started(test);
    if (settings_add_option(&test->rig->server.settings, name, &given) < 0)
        fail(test->rig, "out of memory");
}

static _Noreturn void
fail_start(struct rig *rig)
{
    char *mistakes = errors_join(&rig->errors);

    fail(rig, "the plugin does not start:\n%s", mistakes != NULL ? mistakes : "out of memory");
}

void
need_start(struct ss_test *test, const char *call)
{
    struct rig *rig = test->rig;

    rig->call = call;
    if (rig->started)
        return;
    if (rig_start(rig) < 0)
        fail_start(rig);
}

void
ss_test_keeps_descriptors(struct ss_test *test)
{
    test->rig->keeps = true;
}

const struct ss_plugin *
ss_test_plugin(struct ss_test *test)
{
    struct rig *rig = test->rig;

    rig->call = "ss_test_plugin";
    if (rig_load(rig) < 0)
        fail_start(rig);
    return &rig->server.plugin.record;
}

void
ss_test_start(struct ss_test *test)
{
    need_start(test, "ss_test_start");
}

/* ---- connections ------------------------------------------------------------------ */

/* A name of its own, or nobody could answer. */
static int
open_datagram_socket(struct rig *rig)
{
    const struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
    struct sockaddr_un server;
    socklen_t size = sizeof(server);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&unnamed, sizeof(sa_family_t)) < 0 ||
        getsockname(rig->server.socket, (struct sockaddr *)&server, &size) < 0 ||
        connect(fd, (const struct sockaddr *)&server, size) < 0)
        fail(rig, "cannot make a socket: %s", strerror(errno));
    return fd;
}

static void
let_go(struct ss_test *client)
{
    if (client->play != NULL) {
        client->play->let_go = true;
        client->play->client = NULL;
    }
    client->play = NULL;
}

static void
add_play(struct ss_test *client, int fd)
{
    let_go(client);
    plays_sweep(client->rig);
    client->play = must(client->rig, play_new(client->rig, fd));
    client->play->client = client;
}

void
connect_client(struct ss_test *client)
{
    int ends[2];

    if (client->fd >= 0 && client->play != NULL && !play_has_ended(client->play))
        fail(client->rig, "the client is connected");
    if (client->fd >= 0)
        (void)close(client->fd);
    client->fd = -1;
    if (server_phase(&client->rig->server) != PHASE_SERVING)
        fail(client->rig, "the listener drains, and accepts nobody");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        fail(client->rig, "cannot make a connection: %s", strerror(errno));
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &(int){WHOLE_BUFFER}, sizeof(int));
    client->fd = ends[0];
    client->ended = false;
    client->size = client->taken = 0;
    add_play(client, ends[1]);
}

/* Lets them work. Under "threading" nobody waits for that. */
static void
go_on(struct rig *rig)
{
    if (rig->server.settings.mixin != MIXIN_THREADING) {
        settle(rig);
        return;
    }
    int error = plays_start(rig);
    if (error < 0)
        fail(rig, "cannot start a request: %s", strerror(-error));
    for (struct play *play = rig->plays; play != NULL; play = play->next)
        if (play->stage != NULL && !play_has_ended(play))
            stage_kick(play->stage);
}

void
need_client(struct ss_test *test, const char *call)
{
    need_start(test, call);
    if (test->fd >= 0)
        return;
    if (test->rig->stream && test->play == NULL)
        connect_client(test);
    else if (!test->rig->stream)
        test->fd = open_datagram_socket(test->rig);
    go_on(test->rig);
}

void
ss_test_connect(struct ss_test *test)
{
    need_start(test, "ss_test_connect");
    if (!test->rig->stream)
        return;
    settle(test->rig);
    connect_client(test);
    go_on(test->rig);
}

/* ---- sending ---------------------------------------------------------------------- */

void
send_datagram(struct ss_test *test, const void *data, size_t size)
{
    ssize_t sent = send(test->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && errno == EAGAIN) {
        settle(test->rig); /* requests take the earlier ones out of the queue */
        sent = send(test->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (sent < 0)
        fail(test->rig, "cannot send %zu bytes: %s", size, strerror(errno));
    add_play(test, -1);
}

/* One piece. Whoever has closed its end is sent no more. */
static void
send_piece(struct ss_test *test, const char *data, size_t size)
{
    while (size > 0 && test->fd >= 0) {
        ssize_t sent = send(test->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return;
        data += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
        if (size == 0)
            break;
        uint32_t runs = atomic_load(&test->play->stage->runs);
        settle(test->rig);
        if (sent < 0 && runs == atomic_load(&test->play->stage->runs) &&
            !settle_outside(test->rig, patience_end()))
            fail(test->rig, "the handler takes nothing; %zu bytes are not sent", size);
    }
}

void
ss_test_send_bytes(struct ss_test *test, const void *data, size_t size)
{
    const char *bytes = data;

    need_client(test, "ss_test_send");
    if (!test->rig->stream) {
        send_datagram(test, data, size);
        go_on(test->rig);
        return;
    }
    while (size > 0) {
        size_t piece = test->pieces > 0 && test->pieces < size ? test->pieces : size;
        send_piece(test, bytes, piece);
        bytes += piece;
        size -= piece;
        if (test->pieces > 0)
            settle(test->rig);
    }
    go_on(test->rig);
}

void
ss_test_send(struct ss_test *test, const char *text)
{
    ss_test_send_bytes(test, text, strlen(text));
}

void
ss_test_pieces(struct ss_test *test, size_t size)
{
    test->pieces = size;
}

/* ---- what else it does ------------------------------------------------------------ */

void
ss_test_shutdown(struct ss_test *test)
{
    need_client(test, "ss_test_shutdown");
    if (test->fd >= 0 && test->rig->stream)
        (void)shutdown(test->fd, SHUT_WR);
    settle(test->rig);
}

void
ss_test_close(struct ss_test *test)
{
    need_client(test, "ss_test_close");
    settle(test->rig);
    if (test->fd >= 0)
        (void)close(test->fd);
    test->fd = -1;
    settle(test->rig);
}

void
ss_test_reset(struct ss_test *test)
{
    need_client(test, "ss_test_reset");
    settle(test->rig);
    if (test->play != NULL && test->play->stage != NULL)
        atomic_store(&test->play->stage->reset, true);
    if (test->fd >= 0)
        (void)close(test->fd);
    test->fd = -1;
    settle(test->rig);
}

static struct stage *
stage_now(const struct ss_test *test)
{
    return test->play != NULL ? test->play->stage : NULL;
}

void
ss_test_hold(struct ss_test *test, bool held)
{
    struct stage *stage = stage_now(test);

    test->rig->call = "ss_test_hold";
    settle(test->rig);
    test->held = held;
    if (stage != NULL)
        atomic_store(&stage->held, held);
    settle(test->rig);
}

void
ss_test_short_writes(struct ss_test *test, size_t size)
{
    struct stage *stage = stage_now(test);

    test->portion = size;
    if (stage != NULL)
        atomic_store(&stage->portion, size);
}

void
ss_test_break_after(struct ss_test *test, size_t size)
{
    struct stage *stage = stage_now(test);

    test->break_after = size;
    if (stage != NULL)
        atomic_store(&stage->break_after, size);
}

/* ---- what happens meanwhile ------------------------------------------------------- */

void
ss_test_pause(struct ss_test *test, double seconds)
{
    need_start(test, "ss_test_pause");
    advance(test->rig, seconds);
}

void
ss_test_drain(struct ss_test *test)
{
    need_start(test, "ss_test_drain");
    settle(test->rig);
    atomic_store(&test->rig->server.counters->phase, PHASE_DRAINING);
    settle(test->rig);
}

void
cut_all(struct rig *rig)
{
    atomic_store(&rig->server.counters->phase, PHASE_CUT);
    for (struct play *play = rig->plays; play != NULL; play = play->next) {
        if (play_is_program(play))
            exec_end_overtime(&rig->server,
                              &rig->server.counters->slots[stage_number(play->stage)]);
        play_interrupt(play);
    }
    settle(rig);
}

void
ss_test_cut(struct ss_test *test)
{
    need_start(test, "ss_test_cut");
    settle(test->rig);
    cut_all(test->rig);
}

void
ss_test_wake(struct ss_test *test)
{
    need_client(test, "ss_test_wake");
    settle(test->rig);
    struct play *play = test->play;
    if (play == NULL || play->stage == NULL)
        fail(test->rig, "there is no request to wake");
    atomic_store(&play->stage->wake, true);
    settle(test->rig);
}

void
ss_test_interrupt(struct ss_test *test)
{
    need_client(test, "ss_test_interrupt");
    settle(test->rig);
    if (test->play != NULL)
        play_interrupt(test->play);
    settle(test->rig);
}
