/* SPDX-License-Identifier: MIT */
/*
 * fuzz.c - any bytes as a conversation, or as a datagram
 *
 * The bytes are sent as they are, so that a file of them can be replayed without this library. How
 * they are cut into pieces, what time goes by between these, and how the client leaves, follows
 * from a hash of all of them: the same bytes are always the same conversation. As all of it is
 * known before, the request runs in the test's own thread, and whenever it waits, the script goes
 * on.
 *
 * Runs in:  the test's thread.
 * Owns:     nothing.
 * Failures: a request that does not end when it is cut, or leaves a descriptor open, fails
 *           the test; crashes and what sanitizers find end the process anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "testing/calls.h"
#include "testing/clock.h"
#include "testing/rig.h"

#define MOST_EVENTS 1000 /* waits that may end by time before the request is cut */
#define LOOKS       100
#define LOOK_TIME   5000 /* us */
#define MOST_OUTPUT 1000000
#define SLICE       20 /* ms */

/* ---- choices ---------------------------------------------------------------------- */

/* splitmix64 */
static uint64_t
next_choice(uint64_t *state)
{
    uint64_t dice = *state += UINT64_C(0x9e3779b97f4a7c15);

    dice = (dice ^ (dice >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    dice = (dice ^ (dice >> 27)) * UINT64_C(0x94d049bb133111eb);
    return dice ^ (dice >> 31);
}

/* FNV-1a */
static uint64_t
hash(const unsigned char *bytes, size_t size)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* Half of all conversations come in one piece, an eighth byte by byte. */
static size_t
choose_piece(uint64_t manner, uint64_t *state, size_t left)
{
    static const uint64_t most[] = {16, 64, 1500};

    if ((manner & 1) == 0)
        return left;
    if ((manner & 6) == 0 && left < 512)
        return 1;
    size_t piece = 1 + (size_t)(next_choice(state) % most[(manner >> 3) % 3]);
    return piece < left ? piece : left;
}

/* In ns. */
static int64_t
choose_pause(uint64_t *state)
{
    static const int64_t pauses[] = {0, 0, 0, 0, 0, 1000000, 200000000, 3000000000};

    return pauses[next_choice(state) % 8];
}

/* ---- the conversation ------------------------------------------------------------- */

/* The one that is going on. */
static struct {
    struct ss_test *test;
    const unsigned char *bytes;
    size_t left;
    uint64_t state, manner;
    bool gone;        /* the client has said that it is done */
    unsigned events;  /* waits that ended by time */
    int64_t deadline; /* in real time, of what is outside of the test; 0: none yet */
} script;

static void
send_piece(void)
{
    size_t piece = choose_piece(script.manner, &script.state, script.left);
    ssize_t sent = send(script.test->fd, script.bytes, piece, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0) { /* nobody reads it any more, or nobody reads it before the client leaves */
        script.left = 0;
        return;
    }
    script.bytes += sent;
    script.left -= (size_t)sent;
    if ((script.manner & 1) != 0)
        clock_set(monotonic_now() + choose_pause(&script.state));
}

static void
leave(void)
{
    struct ss_test *test = script.test;

    script.gone = true;
    switch (script.manner >> 48 & 7) {
    case 0:
        atomic_store(&test->play->stage->reset, true);
        /* fall through */
    case 1:
        (void)close(test->fd);
        test->fd = -1;
        break;
    case 2:
        atomic_store(&test->rig->server.counters->phase, PHASE_DRAINING);
        break;
    default:
        (void)shutdown(test->fd, SHUT_WR);
    }
}

/* It waits for something else than its client: in real time. False: it took too long. */
static bool
wait_outside(struct pollfd *fds, size_t count)
{
    if (script.deadline == 0)
        script.deadline = patience_end();
    return poll(fds, count, SLICE) > 0 || clock_real() < script.deadline;
}

static bool
is_outside(const struct ss_request *request, const struct pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i].fd >= 0 && fds[i].fd != request->fd)
            return true;
    return false;
}

/* Some plugins send for ever: then the client resets its connection at last. */
static bool
has_enough(struct rig *rig)
{
    struct ss_test *test = script.test;

    if (test->size < MOST_OUTPUT || !rig->stream)
        return false;
    atomic_store(&test->play->stage->reset, true);
    (void)shutdown(test->fd, SHUT_RDWR);
    script.left = 0;
    script.gone = true;
    return true;
}

/* The request waits: what the script has for it next, and at last the end of its time. */
static void
direct(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until)
{
    struct rig *rig = script.test->rig;

    if (client_receive(script.test) && !has_enough(rig))
        return;
    if (script.left > 0) {
        send_piece();
    } else if (!script.gone && rig->stream) {
        leave();
    } else if (is_outside(request, fds, count) && wait_outside(fds, count)) {
        return;
    } else if (until != FOREVER && script.events < MOST_EVENTS) {
        script.events++;
        clock_set(until);
    } else {
        atomic_store(&rig->server.counters->phase, PHASE_CUT);
    }
    run_due(rig);
}

/* For a handler that reads without our calls: nobody could send while it waits. */
static void
send_whole(void)
{
    (void)!send(script.test->fd, script.bytes, script.left, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(script.test->fd, SHUT_WR);
    script.left = 0;
    script.gone = true;
}

static void
begin(struct ss_test *test, const void *data, size_t size)
{
    memset(&script, 0, sizeof(script));
    test->room = SIZE_MAX;
    script.test = test;
    if (!test->rig->stream) {
        send_datagram(test, data, size);
        return;
    }
    script.bytes = data;
    script.left = size;
    script.state = hash(data, size);
    script.manner = next_choice(&script.state);
    test->portion = script.manner >> 32 & 7 ? 0 : 1 + (script.manner >> 40 & 63);
    connect_client(test);
    if (test->pieces == SIZE_MAX)
        send_whole();
}

/* Which of the first descriptors are open, one bit each; not the library's own. */
static uint64_t
open_descriptors(void)
{
    uint64_t bits = 0;

    for (int fd = 0; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && !descriptor_was_ours(fd))
            bits |= (uint64_t)1 << fd;
    return bits;
}

/* Those of them that stay: a thread of the plugin's own may be about to close one. */
static uint64_t
left_open(uint64_t before)
{
    uint64_t left = open_descriptors() & ~before;

    for (int i = 0; left != 0 && i < LOOKS; i++) {
        (void)usleep(LOOK_TIME);
        left = open_descriptors() & ~before;
    }
    return left;
}

/* All that there was of the client is forgotten. */
static void
forget(struct ss_test *test)
{
    struct rig *rig = test->rig;

    if (test->fd >= 0 && rig->stream) {
        (void)close(test->fd);
        test->fd = -1;
    }
    test->play->client = NULL;
    test->play->let_go = true;
    test->play = NULL;
    plays_sweep(rig);
    test->size = test->taken = test->packet_count = test->packets_taken = 0;
    test->ended = false;
    rig->log_size = rig->log_taken = 0;
}

void
ss_test_fuzz(struct ss_test *test, const void *data, size_t size)
{
    struct rig *rig = test->rig;

    need_start(test, "ss_test_fuzz");
    if (rig->server.settings.mixin != MIXIN_NONE)
        fail(rig, "the mixin is \"%s\"; fuzzing needs \"none\"", ss_server_mixin(&rig->server));
    if (!rig->stream && test->fd < 0)
        need_client(test, "ss_test_fuzz");
    if (!rig->stream && size > rig->server.settings.max_packet_size)
        return;
    uint64_t before = open_descriptors();
    begin(test, data, size);
    int error = play_perform(test->play, direct);
    if (error < 0)
        fail(rig, "cannot start a request: %s", strerror(-error));
    log_collect(rig);
    (void)client_receive(test);
    char *problem = play_problem(rig, test->play);
    if (problem != NULL)
        fail(rig, "%s", keep_text(problem));
    atomic_store(&rig->server.counters->phase, PHASE_SERVING);
    forget(test);
    uint64_t left = left_open(before);
    if (left != 0 && !rig->keeps)
        fail(rig, "%s", keep_text(descriptor_was_left(__builtin_ctzll(left))));
}
