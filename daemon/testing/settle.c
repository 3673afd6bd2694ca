/* SPDX-License-Identifier: MIT */
/*
 * settle.c - the world of a test comes to rest, and its time goes by
 *
 * After whatever the test does, all requests are kicked and run until each of them waits for
 * something that has not come. What one of them does may be what another waits for, also by ways
 * that the test does not know of; so all are kicked once more, until nobody has run.
 *
 * Runs in:  the test's thread.
 * Owns:     nothing.
 * Failures: a request that neither waits nor ends fails the test.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "testing/clock.h"
#include "testing/rig.h"
#include "worker/request/exec.h"

#define PATIENCE    10.0 /* seconds, unless the environment says otherwise */
#define SLICE       5    /* ms */
#define ONE_RECEIVE 65536
#define BLOCKED     15000000 /* ns in a call that is not ours */
#define MOST_TAKEN  1000000  /* bytes that a client takes at a time: some plugins send for ever */

int64_t
patience_end(void)
{
    const char *given = getenv("SS_TEST_PATIENCE");
    double seconds = given != NULL ? atof(given) : 0;

    return clock_real() + (int64_t)((seconds > 0 ? seconds : PATIENCE) * 1e9);
}

/* ---- what the clients are sent ---------------------------------------------------- */

static void
keep(struct ss_test *client, const char *bytes, size_t size)
{
    client->came = must(client->rig, realloc(client->came, client->size + size + 1));
    memcpy(client->came + client->size, bytes, size);
    client->size += size;
    client->came[client->size] = '\0';
}

static void
keep_packet(struct ss_test *client, size_t size)
{
    client->packets = must(client->rig, realloc(client->packets, (client->packet_count + 1) *
                                                                     sizeof(*client->packets)));
    client->packets[client->packet_count++] = size;
}

bool
client_receive(struct ss_test *client)
{
    static char buffer[ONE_RECEIVE];
    bool some = false;

    while (client->fd >= 0 && !client->held && !client->ended && client->room > 0) {
        ssize_t got = recv(client->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        some = true;
        if (client->rig->stream && got <= 0) {
            client->ended = true;
            break;
        }
        if (got < 0)
            break;
        keep(client, buffer, (size_t)got);
        client->room -= (size_t)got < client->room ? (size_t)got : client->room;
        if (!client->rig->stream)
            keep_packet(client, (size_t)got);
    }
    return some;
}

static bool
receive_all(struct rig *rig)
{
    bool some = false;

    for (struct ss_test *client = rig->clients; client != NULL; client = client->next)
        some |= client_receive(client);
    return some;
}

/* ---- rest ------------------------------------------------------------------------- */

static bool
is_quiet(const struct play *play)
{
    if (play->stage == NULL || stage_is_quiet(play->stage) || play_is_program(play))
        return true;
    return play->blocked && atomic_load(&play->stage->state) == PLAY_RUNS;
}

/* Whether the kernel has put the thread to sleep. */
static bool
thread_sleeps(int thread)
{
    char path[64], line[512] = "";

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    const char *end = fgets(line, sizeof(line), file) != NULL ? strrchr(line, ')') : NULL;
    (void)fclose(file);
    return end != NULL && end[1] == ' ' && end[2] == 'S';
}

/*
 * A handler may read its client's socket itself, or wait for a program, under the mixins that let
 * it. What looks like that for long enough counts as a wait for something outside of the test.
 * Under "coroutine" it would hold up all others, and is the fault that the test is told of.
 */
static void
look_for_blocked(struct rig *rig)
{
    int64_t now = clock_real();

    for (struct play *play = rig->plays; play != NULL; play = play->next) {
        if (is_quiet(play) || play->stage->shares)
            continue;
        if (!thread_sleeps(atomic_load(&play->stage->thread)))
            play->asleep_since = 0;
        else if (play->asleep_since == 0)
            play->asleep_since = now;
        else if (now - play->asleep_since > BLOCKED)
            play->blocked = true;
    }
}

static void
forget_blocked(struct rig *rig)
{
    for (struct play *play = rig->plays; play != NULL; play = play->next) {
        play->asleep_since = 0;
        play->blocked = false;
    }
}

static bool
all_quiet(const struct rig *rig)
{
    for (const struct play *play = rig->plays; play != NULL; play = play->next)
        if (!is_quiet(play))
            return false;
    return true;
}

static void
wait_for_bell(const struct rig *rig)
{
    struct pollfd bell = {.fd = rig->bell, .events = POLLIN};
    uint64_t waste;

    if (poll(&bell, 1, SLICE) > 0)
        (void)!read(rig->bell, &waste, sizeof(waste));
}

static void
wait_until_quiet(struct rig *rig, int64_t end)
{
    while (!all_quiet(rig)) {
        wait_for_bell(rig);
        plays_reap(rig);
        look_for_blocked(rig);
        if (clock_real() > end && !all_quiet(rig))
            fail(rig, "a request hangs; SS_TEST_PATIENCE is how many seconds it may take");
    }
}

static uint32_t
count_runs(const struct rig *rig)
{
    uint32_t runs = 0;

    for (const struct play *play = rig->plays; play != NULL; play = play->next)
        runs += play->stage != NULL ? atomic_load(&play->stage->runs) + play_has_ended(play) : 0;
    return runs;
}

static void
kick_all(struct rig *rig)
{
    for (struct play *play = rig->plays; play != NULL; play = play->next)
        if (play->stage != NULL && !play_has_ended(play))
            stage_kick(play->stage);
}

/* ss_server_stop() is a drain. */
static bool
obey_stop(struct rig *rig)
{
    struct counters *counters = rig->server.counters;

    if (counter_get(counters->stop_asked) == 0 || server_phase(&rig->server) != PHASE_SERVING)
        return false;
    atomic_store(&counters->phase, PHASE_DRAINING);
    return true;
}

/* What can be done while all requests wait. Whether anything was. */
static bool
do_what_is_left(struct rig *rig)
{
    plays_reap(rig);
    bool done = receive_all(rig);
    int started = plays_start(rig);
    if (started < 0)
        fail(rig, "cannot start a request: %s", strerror(-started));
    return obey_stop(rig) || done || started > 0;
}

static struct slot *
slot_of(const struct play *play)
{
    return &play->rig->server.counters->slots[stage_number(play->stage)];
}

/* When a request began is noted as it does; here, when one has ended. */
static void
note_activity(struct rig *rig)
{
    for (const struct play *play = rig->plays; play != NULL; play = play->next) {
        int64_t ended = play->stage != NULL ? counter_get(slot_of(play)->ended) : 0;
        if (ended > rig->last_activity)
            rig->last_activity = ended;
    }
}

void
settle(struct rig *rig)
{
    int64_t end = patience_end();

    if (!rig->started)
        return;
    for (struct ss_test *client = rig->clients; client != NULL; client = client->next)
        client->room = MOST_TAKEN;
    for (;;) {
        uint32_t runs = count_runs(rig);
        forget_blocked(rig);
        kick_all(rig);
        wait_until_quiet(rig, end);
        if (do_what_is_left(rig))
            continue;
        if (plays_active(rig) <= 1 || runs == count_runs(rig))
            break; /* nobody has run who could have woken another */
    }
    note_activity(rig);
    log_collect(rig);
}

static bool
waits_outside(const struct rig *rig)
{
    for (const struct play *play = rig->plays; play != NULL; play = play->next) {
        if (play_is_program(play) || play->blocked)
            return true;
        if (play->stage != NULL && !play_has_ended(play) && atomic_load(&play->stage->outside))
            return true;
    }
    return false;
}

bool
settle_outside(struct rig *rig, int64_t deadline)
{
    if (!waits_outside(rig) || clock_real() > deadline)
        return false;
    wait_for_bell(rig);
    settle(rig);
    return true;
}

/* ---- time ------------------------------------------------------------------------- */

static int64_t
overtime_of(const struct play *play)
{
    double limit = play->rig->server.settings.request_timeout;

    if (limit <= 0 || play->stage == NULL || play_has_ended(play))
        return FOREVER;
    return counter_get(slot_of(play)->started) + (int64_t)(limit * 1e9);
}

static int64_t
timeout_of(const struct rig *rig)
{
    double limit = rig->server.settings.timeout;

    if (limit <= 0 || rig->hooks.handle_timeout == NULL || plays_active(rig) > 0)
        return FOREVER;
    return rig->last_activity + (int64_t)(limit * 1e9);
}

static int64_t
sooner(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/* When the next thing happens. */
static int64_t
next_event(const struct rig *rig, int64_t target)
{
    int64_t now = monotonic_now(), next = sooner(target, rig->next_service);

    next = sooner(next, timeout_of(rig));
    for (const struct play *play = rig->plays; play != NULL; play = play->next) {
        int64_t overtime = overtime_of(play);
        if (overtime > now)
            next = sooner(next, overtime);
        if (play->stage != NULL && atomic_load(&play->stage->state) == PLAY_WAITS)
            next = sooner(next, atomic_load(&play->stage->until));
    }
    return next > now ? next : now;
}

void
run_due(struct rig *rig)
{
    struct ss_server *server = &rig->server;
    int64_t now = monotonic_now();
    bool unused = now >= timeout_of(rig); /* before a request ends by what follows */

    for (struct play *play = rig->plays; play != NULL; play = play->next) {
        if (now < overtime_of(play))
            continue;
        struct slot *slot = slot_of(play);
        counter_set(slot->cancelled, counter_get(slot->request));
        if (play_is_program(play))
            exec_end_overtime(server, slot);
        play_interrupt(play);
    }
    if (now >= rig->next_service) {
        rig->next_service = monotonic_after(server->settings.service_interval);
        rig->hooks.service_actions(server);
    }
    if (unused) {
        rig->last_activity = now;
        rig->hooks.handle_timeout(server);
    }
}

void
advance(struct rig *rig, double seconds)
{
    int64_t target = monotonic_now() + (int64_t)(seconds * 1e9 + 0.5);

    for (;;) {
        settle(rig);
        int64_t next = next_event(rig, target);
        clock_set(next);
        run_due(rig);
        if (next >= target)
            break;
    }
    settle(rig);
}
