/* SPDX-License-Identifier: MIT */
/*
 * wake.c - requests and threads that wake each other by ss_wake(), for ./dev bench
 *
 * It does what limit/wake.h says. A request waits by ss_wait_input(), as one does that also hears
 * its client; a thread by an eventfd, in the plugin as in the limit server.
 *
 * Runs in:  a handler thread or coroutine.
 * Owns:     nothing.
 * Failures: an error of a wait ends the connection.
 */
#include <errno.h>
#include <pthread.h>
#include <sockserver/plugin.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../limit/wake.h"

SS_PLUGIN(.name = "wake", .summary = "requests that wake each other", .transports = SS_STREAM,
          .mixins = SS_THREADING | SS_COROUTINE)

static _Atomic(struct ss_waker *) wakers[2];
static atomic_int woken[2]; /* how often, as the one who wakes counts */

/* Waits until it was woken once more. */
static int
await_wake(struct ss_request *request, atomic_int *count, int until)
{
    while (atomic_load(count) < until) {
        int result = ss_wait_input(request, -1);
        if (result != -EINTR)
            return result < 0 ? result : -EPROTO;
    }
    return 0;
}

static int
by_turns(struct ss_request *request, int own, int rounds)
{
    struct wake_time began = wake_now();
    char text[100];
    int error = 0;

    for (int i = 1; i <= rounds && error == 0; i++) {
        if (own == 1)
            error = await_wake(request, &woken[own], i);
        atomic_fetch_add(&woken[!own], 1);
        ss_wake(atomic_load(&wakers[!own]));
        if (own == 0)
            error = await_wake(request, &woken[own], i);
    }
    int size = wake_answer(text, sizeof(text), rounds, began);
    return error < 0 || own == 1 ? error : ss_write(request, text, (size_t)size);
}

struct partner {
    struct ss_waker *waker;
    int event, rounds;
    atomic_int woken;
};

static void *
partner_main(void *argument)
{
    struct partner *partner = argument;
    uint64_t count;

    for (int i = 0; i < partner->rounds; i++) {
        if (read(partner->event, &count, sizeof(count)) < 0)
            return NULL;
        atomic_fetch_add(&partner->woken, 1);
        ss_wake(partner->waker);
    }
    return NULL;
}

static int
with_thread(struct ss_request *request, int rounds)
{
    struct partner partner = {
        .waker = ss_waker(request), .event = eventfd(0, EFD_CLOEXEC), .rounds = rounds};
    char text[100];
    pthread_t thread;
    int error = 0;

    if (partner.event < 0 || pthread_create(&thread, NULL, partner_main, &partner) != 0)
        return -EAGAIN;
    struct wake_time began = wake_now();
    for (int i = 1; i <= rounds && error == 0; i++) {
        if (write(partner.event, &(uint64_t){1}, sizeof(uint64_t)) < 0)
            error = -errno;
        else
            error = await_wake(request, &partner.woken, i);
    }
    int size = wake_answer(text, sizeof(text), rounds, began);
    if (error < 0)
        pthread_cancel(thread);
    pthread_join(thread, NULL);
    close(partner.event);
    return error < 0 ? error : ss_write(request, text, (size_t)size);
}

static int
obey(struct ss_request *request, const char *line, size_t size)
{
    long rounds = 0;
    enum wake_role role = wake_role(line, &rounds);

    if (role == WAKE_NONE)
        return ss_write(request, line, size);
    if (role == WAKE_THREAD)
        return with_thread(request, (int)rounds);
    int own = role == WAKE_SECOND;
    if (own == 1)
        atomic_store(&woken[0], 0);
    atomic_store(&woken[own], 0);
    atomic_store(&wakers[own], ss_waker(request));
    if (own == 1)
        ss_write(request, "here\n", 5); /* is sent when it waits */
    return by_turns(request, own, (int)rounds);
}

int
handle(struct ss_request *request)
{
    ssize_t size;
    char *line;

    while ((size = ss_readline(request, &line)) > 0) {
        int error = obey(request, line, (size_t)size);
        if (error < 0)
            return error;
    }
    return (int)size;
}
