/* SPDX-License-Identifier: MIT */
/*
 * stage.c - the wait of a request that a test runs
 *
 * A context that has to wait says so, rings the test's bell, and waits in poll(2) for what it
 * wants and for a kick. Time is the test's: only a kick lets a context look at the clock.
 *
 * Runs in:  a request's thread or child; the first and last part in the test's thread.
 * Owns:     the stages and their eventfds.
 * Failures: returned.
 */
#include "testing/stage.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "worker/request/request.h"
#include "worker/request/wake.h"

#define MOST_FDS 64     /* of one wait, and the kick */
#define FUTILE   100000 /* waits that a request may try after it was cut */

_Thread_local struct stage *stage_own;

static struct stage *stages;

/* The one thread that all coroutines of a listener share. */
static pthread_mutex_t shared_thread = PTHREAD_MUTEX_INITIALIZER;

/* ---- the test's side -------------------------------------------------------------- */

static bool
make_stages(void)
{
    void *memory;

    if (stages != NULL)
        return true;
    memory = mmap(NULL, STAGES * sizeof(*stages), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    stages = memory;
    return true;
}

struct stage *
stage_take(int bell, bool shares)
{
    if (!make_stages())
        return NULL;
    for (size_t i = 0; i < STAGES; i++) {
        struct stage *stage = &stages[i];
        if (atomic_load(&stage->state) != PLAY_NONE)
            continue;
        memset(stage, 0, sizeof(*stage));
        stage->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (stage->kick < 0)
            return NULL;
        stage->bell = bell;
        stage->shares = shares;
        atomic_store(&stage->break_after, UINT64_MAX);
        atomic_store(&stage->state, PLAY_RUNS);
        return stage;
    }
    return NULL;
}

void
stage_release(struct stage *stage)
{
    (void)close(stage->kick);
    atomic_store(&stage->state, PLAY_NONE);
}

size_t
stage_number(const struct stage *stage)
{
    return (size_t)(stage - stages);
}

struct stage *
stage_of(ptrdiff_t number)
{
    return &stages[number];
}

void
stage_kick(struct stage *stage)
{
    atomic_fetch_add(&stage->kicks, 1);
    (void)!write(stage->kick, &(uint64_t){1}, sizeof(uint64_t));
}

bool
stage_is_quiet(const struct stage *stage)
{
    uint32_t state = atomic_load(&stage->state);

    if (state == PLAY_ENDED)
        return true;
    return state == PLAY_WAITS && atomic_load(&stage->seen) == atomic_load(&stage->kicks);
}

/* ---- the context's side ----------------------------------------------------------- */

static void
ring(struct stage *stage)
{
    (void)!write(stage->bell, &(uint64_t){1}, sizeof(uint64_t));
}

void
stage_enter(struct stage *stage)
{
    stage_own = stage;
    atomic_store(&stage->thread, gettid());
    if (stage->shares)
        (void)pthread_mutex_lock(&shared_thread);
}

void
stage_leave(void)
{
    struct stage *stage = stage_own;

    stage_own = NULL;
    if (stage->shares)
        (void)pthread_mutex_unlock(&shared_thread);
    atomic_store(&stage->state, PLAY_ENDED);
    ring(stage);
}

void
stage_note_outcome(const char *text)
{
    if (stage_own != NULL)
        (void)snprintf(stage_own->outcome, sizeof(stage_own->outcome), "%s", text);
}

static bool
is_client(const struct ss_request *request, const struct pollfd *entry)
{
    return entry->fd >= 0 && (entry->fd == request->fd || entry->fd == request->output_fd);
}

/* What the client's script says of its connection, beside what the kernel does. */
static void
follow_script(const struct stage *stage, struct pollfd *entry)
{
    if (atomic_load(&stage->reset))
        entry->revents |= (short)((entry->events & (POLLIN | POLLOUT)) | POLLERR | POLLHUP);
    else if (atomic_load(&stage->held))
        entry->revents &= (short)~POLLOUT;
}

/* How many entries have something now. */
static int
look(struct ss_request *request, struct pollfd *fds, size_t count)
{
    int ready = 0;

    for (size_t i = 0; i < count; i++)
        fds[i].revents = 0;
    if (poll(fds, count, 0) < 0 && errno != EINTR)
        return -errno;
    for (size_t i = 0; i < count; i++) {
        if (is_client(request, &fds[i]))
            follow_script(stage_own, &fds[i]);
        ready += fds[i].revents != 0;
    }
    return ready;
}

/* Copies what the kernel is to be asked for, and returns whether anything of it is not the
 * client's. */
static bool
prepare(const struct ss_request *request, const struct pollfd *fds, size_t count,
        struct pollfd *asked)
{
    bool outside = false;

    for (size_t i = 0; i < count; i++) {
        asked[i] = fds[i];
        if (is_client(request, &fds[i]) && atomic_load(&stage_own->held))
            asked[i].events &= (short)~POLLOUT;
        outside |= fds[i].fd >= 0 && !is_client(request, &fds[i]);
    }
    asked[count] = (struct pollfd){.fd = stage_own->kick, .events = POLLIN};
    return outside;
}

/* Until something comes, or a kick. Others that share the thread run meanwhile. */
static void
sleep_on(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until,
         uint32_t kicks)
{
    struct pollfd asked[MOST_FDS + 2];
    struct stage *stage = stage_own;
    int event = request->wakeable ? request->waker->event : -1;
    uint64_t waste;

    atomic_store(&stage->outside, prepare(request, fds, count, asked));
    atomic_store(&stage->until, until);
    atomic_store(&stage->seen, kicks);
    atomic_store(&stage->state, PLAY_WAITS);
    ring(stage);
    if (stage->shares)
        (void)pthread_mutex_unlock(&shared_thread);
    asked[count + 1] = (struct pollfd){.fd = event, .events = POLLIN};
    (void)poll(asked, count + 2, -1);
    atomic_store(&stage->state, PLAY_RUNS);
    if (stage->shares)
        (void)pthread_mutex_lock(&shared_thread);
    (void)!read(stage->kick, &waste, sizeof(waste));
    if (event >= 0)
        (void)!read(event, &waste, sizeof(waste));
}

/* The test's ss_wake() is called here, as a child's wakers are its own. */
static bool
was_woken(struct ss_request *request)
{
    if (atomic_exchange(&stage_own->wake, false) && request->waker != NULL)
        ss_wake(ss_waker(request));
    return request->wakeable && (atomic_load(&request->waker->state) & WAKER_WOKEN) != 0;
}

/* One look at the world. 0: there is nothing, and the wait is not over. */
static int
judge(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until, bool *ret_over)
{
    *ret_over = true;
    if (request_is_cut(request))
        return -ECANCELED;
    if (was_woken(request))
        return -EINTR;
    int ready = look(request, fds, count);
    if (ready != 0)
        return ready;
    if (until != FOREVER && monotonic_now() >= until)
        return 0;
    if (request_leaves(request))
        return -ECANCELED;
    *ret_over = false;
    return 0;
}

int
stage_wait(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until)
{
    struct stage *stage = stage_own;

    if (count > MOST_FDS)
        return -EINVAL;
    for (;;) {
        uint32_t kicks = atomic_load(&stage->kicks);
        bool over;
        int result = judge(request, fds, count, until, &over);
        if (over) {
            atomic_fetch_add(&stage->runs, 1);
            if (stage->director != NULL && result == -ECANCELED && ++stage->futile > FUTILE)
                stage_fail(request);
            return result;
        }
        if (stage->director != NULL)
            stage->director(request, fds, count, until);
        else
            sleep_on(request, fds, count, until, kicks);
    }
}
