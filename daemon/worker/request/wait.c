/* SPDX-License-Identifier: MIT */
/*
 * wait.c - waiting in blocking contexts, and getting them out of it
 *
 * A context may be blocked in accept(), recv(), poll() or in something the
 * plugin called. SIGURG, whose default is to be ignored, interrupts it; the
 * handler shuts the context's own connection down if its request is cut, so
 * that every later wait ends too. A signal that arrives just before the call
 * it was meant for is lost: whoever interrupts does so again until it is seen.
 *
 * Runs in:  a serving context; interrupt_*() in the thread that does the housekeeping.
 * Owns:     nothing.
 * Failures: returned.
 */
#include "worker/request/wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "worker/request/exec.h"
#include "worker/request/mixin.h"
#include "worker/request/orders.h"
#include "worker/request/request.h"
#include "worker/request/spin.h"
#include "worker/request/transport.h"
#include "worker/request/wake.h"

#define INTERRUPT_SIGNAL SIGURG
#define LONG_WAIT        10.0 /* seconds */
#define FEW              8    /* descriptors that are waited for without memory of their own */

double
wait_limit(const struct ss_request *request, double setting)
{
    if (request->deadline == FOREVER)
        return setting;
    double left = (double)(request->deadline - monotonic_now()) / 1e9;
    if (left <= 0)
        return -1;
    return setting > 0 && setting < left ? setting : left;
}

/* The end of a long wait is found a little too late, but costs less: see monotonic_roughly(). */
static int64_t
end_of_wait(double seconds)
{
    if (seconds < LONG_WAIT || seconds > 1e9)
        return monotonic_after(seconds);
    return monotonic_roughly() + ROUGHLY + (int64_t)(seconds * 1e9);
}

int64_t
wait_until(const struct ss_request *request, double seconds)
{
    int64_t until = seconds < 0 ? FOREVER : monotonic_after(seconds);

    if (seconds == 0)
        until = 0;
    return until < request->deadline ? until : request->deadline;
}

int
wait_over(struct ss_request *request, int64_t until)
{
    if (until != request->deadline || until == FOREVER)
        return 0;
    return wait_timed_out(request);
}

int
wait_timed_out(struct ss_request *request)
{
    if (request->overtime == FOREVER || monotonic_now() < request->overtime)
        return -ETIMEDOUT;
    request->over = true;
    return -ECANCELED;
}

/* ---- waits that end when a drain begins ----------------------------------------------------- */

void
leave_begins(struct ss_request *request, int64_t *until)
{
    if (request->told)
        return;
    counter_set(request->slot->leaves, 1);
    if (request->aged < *until)
        *until = request->aged;
    if (request_leaves(request))
        *until = 0; /* what has come before the drain is served still */
}

int
leave_ends(struct ss_request *request, int result)
{
    bool leaves = !request->told && (request_leaves(request) || request_is_aged(request));

    counter_set(request->slot->leaves, 0);
    if (leaves && result == 0)
        result = -ECANCELED;
    return result;
}

int
leave_told(struct ss_request *request, int result)
{
    if (result == -ECANCELED && !request_is_cut(request))
        request->told = true;
    return result;
}

/* ---- one wait ------------------------------------------------------------------------------- */

int
wait_io(struct ss_request *request, int fd, short events, double setting)
{
    double limit = wait_limit(request, setting);

    if (limit < 0)
        return wait_timed_out(request);
    request_enter_wait(request);
    int result = request->server->mixin->wait(request, fd, events, end_of_wait(limit));
    request_enter_wait(request);
    if (result == 0) {
        request->idle = true;
        return wait_timed_out(request);
    }
    return result < 0 ? result : 0;
}

static int
poll_until(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until)
{
    for (;;) {
        struct timespec left, *timeout = NULL;

        if (request_is_cut(request))
            return -ECANCELED;
        if (until != FOREVER) {
            int64_t ns = until - monotonic_now();
            ns = ns < 0 ? 0 : ns;
            left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
            timeout = &left;
        }
        int ready = ppoll(fds, count, timeout, NULL);
        if (ready >= 0)
            return ready > 0;
        if (errno != EINTR)
            return -errno;
        if (request_leaves(request))
            return -ECANCELED;
    }
}

static bool
none_ready(const struct pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i].revents != 0)
            return false;
    return true;
}

/* Whether the event of its waker, which is written only to have the context look here, means it. */
static bool
was_woken(struct ss_request *request, const struct pollfd *event)
{
    uint64_t count;

    if (event->revents == 0)
        return false;
    (void)!read(event->fd, &count, sizeof(count));
    return (atomic_load(&request->waker->state) & WAKER_WOKEN) != 0;
}

/* The same for a request that may be woken: its waker's event stands behind the others. */
static int
poll_wakeable(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until)
{
    struct pollfd few[FEW + 1];
    _cleanup_free_ struct pollfd *many = count > FEW ? calloc(count + 1, sizeof(*fds)) : NULL;
    struct pollfd *all = count > FEW ? many : few;

    if (all == NULL)
        return -ENOMEM;
    memcpy(all, fds, count * sizeof(*fds));
    all[count] = (struct pollfd){.fd = request->waker->event, .events = POLLIN};
    for (;;) {
        int result = poll_until(request, all, count + 1, until);
        if (result > 0 && was_woken(request, &all[count]))
            return -EINTR;
        if (result > 0 && all[count].revents != 0 && none_ready(all, count))
            continue; /* it was for an earlier wait */
        memcpy(fds, all, count * sizeof(*fds));
        return result;
    }
}

int
wait_blocking_all(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until)
{
    return (request->wakeable ? poll_wakeable : poll_until)(request, fds, count, until);
}

int
wait_blocking(struct ss_request *request, int fd, short events, int64_t until)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    int result = wait_blocking_all(request, &poll_fd, 1, until);

    if (result <= 0)
        return result;
    return (poll_fd.revents & POLLNVAL) ? -EBADF : poll_fd.revents;
}

int
set_socket_timeout(int fd, int option, double seconds)
{
    struct timeval time = {
        .tv_sec = (time_t)seconds,
        .tv_usec = (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6),
    };

    if (time.tv_sec == 0 && time.tv_usec == 0 && seconds > 0)
        time.tv_usec = 1; /* 0 would be for ever */
    return setsockopt(fd, SOL_SOCKET, option, &time, sizeof(time)) < 0 ? -errno : 0;
}

static struct ss_server *interrupted; /* for the signal handler; NULL: nobody asks where it is */

/* If the supervisor asks for this thread's request; else its asking may be for another thread. */
static void
answer(const struct ss_server *server, const struct ss_request *request, const void *context)
{
    uint64_t asked = inquiry_open(server->counters);

    if (asked == 0)
        return;
    if (request != NULL && request->number == asked)
        inquiry_answer(server->counters, context);
    else
        interrupt_loops(server);
}

static void
on_interrupt(int signal, siginfo_t *info, void *context)
{
    struct ss_request *request = request_current;
    int saved = errno;

    (void)signal;
    if (interrupted != NULL) {
        spin_answer(interrupted, info, context);
        answer(interrupted, request, context);
    }
    if (request != NULL && request->server->transport->stream && request_is_cut(request) &&
        request_owns_fd(request))
        (void)shutdown(request->fd, SHUT_RDWR);
    errno = saved;
}

static void
on_broken_pipe(int signal)
{
    (void)signal;
}

void
broken_pipes_survive(void)
{
    struct sigaction action = {.sa_handler = on_broken_pipe, .sa_flags = SA_RESTART};

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGPIPE, &action, NULL);
}

void
interrupts_install(struct ss_server *server)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK}; /* no SA_RESTART */

    broken_pipes_survive();
    interrupted = server;
    action.sa_sigaction = on_interrupt;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(INTERRUPT_SIGNAL, &action, NULL);
}

static void
signal_context(const struct ss_server *server, const struct slot *slot, int number)
{
    pid_t id = counter_get(slot->context);

    if (id > 0 && !slot_has_program(slot))
        (void)syscall(SYS_tgkill, server->mixin->processes ? id : getpid(), id, number);
}

void
interrupt_context(const struct ss_server *server, const struct slot *slot)
{
    signal_context(server, slot, INTERRUPT_SIGNAL);
}

void
interrupt_loops(const struct ss_server *server)
{
    if (server->mixin->interrupt_others != NULL)
        server->mixin->interrupt_others(INTERRUPT_SIGNAL);
}

unsigned
interrupt_leavers(const struct ss_server *server)
{
    uint32_t used = counters_used(server->counters, server->slot_count);
    unsigned busy = 0;

    for (uint32_t i = 0; i < used; i++) {
        const struct slot *slot = &server->counters->slots[i];
        if (counter_get(slot->state) != SLOT_BUSY)
            continue;
        busy++;
        if (counter_get(slot->leaves) != 0)
            interrupt_context(server, slot);
    }
    return busy;
}

unsigned
signal_contexts(const struct ss_server *server, unsigned states, int number)
{
    uint32_t used = counters_used(server->counters, server->slot_count);
    unsigned count = 0;

    for (uint32_t i = 0; i < used; i++) {
        const struct slot *slot = &server->counters->slots[i];
        if ((states >> atomic_load(&slot->state) & 1) == 0) /* see request_get() */
            continue;
        signal_context(server, slot, number);
        count++;
    }
    return count;
}

unsigned
interrupt_contexts(const struct ss_server *server, unsigned states)
{
    return signal_contexts(server, states, INTERRUPT_SIGNAL);
}
