/* SPDX-License-Identifier: MIT */
/*
 * sampler.c - a thread that looks at the daemon once in each interval of the history
 *
 * Between two looks it sleeps and has no connection to the daemon. It wakes at
 * the interval's beginning, which is the same for all workers.
 *
 * Runs in:  a thread of the worker, from server_activate() to server_close().
 * Owns:     that thread, and an eventfd that ends it.
 * Failures: a daemon that does not answer leaves a gap in the charts.
 */
#include "sampler.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LONGEST 2.0 /* seconds for the daemon's answer */

struct sampler {
    struct ss_server *server;
    struct history *history;
    pthread_t thread;
    int stop; /* eventfd: can be read from when the thread must end */
};

static void
look(const struct sampler *sampler)
{
    struct history *history = sampler->history;
    struct snapshot snapshot;
    struct talk talk;

    talk_begin_alone(&talk, sampler->server, sampler->stop,
                     history->interval < LONGEST ? history->interval : LONGEST);
    int error = snapshot_take(&talk, false, &snapshot);
    talk_end(&talk);
    if (error < 0)
        return;
    (void)pthread_mutex_lock(&history->lock);
    (void)history_look(history, &snapshot, false);
    (void)pthread_mutex_unlock(&history->lock);
    snapshot_done(&snapshot);
}

/* Milliseconds to the beginning of the next interval. */
static int
until_next(const struct history *history)
{
    double interval = history->interval * 1000, now = (double)history_now();

    return (int)(interval - (now - (double)(int64_t)(now / interval) * interval)) + 1;
}

static void *
sampler_main(void *userdata)
{
    struct sampler *sampler = userdata;
    struct pollfd stop = {.fd = sampler->stop, .events = POLLIN};
    int ready = 0;

    while (ready <= 0) {
        look(sampler);
        ready = poll(&stop, 1, until_next(sampler->history));
    }
    return NULL;
}

/* No signal of the worker's is for this thread. */
static int
start_thread(struct sampler *sampler)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&sampler->thread, NULL, sampler_main, sampler);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct sampler *
sampler_start(struct ss_server *server, struct history *history)
{
    struct sampler *sampler = malloc(sizeof(*sampler));

    if (sampler == NULL)
        return NULL;
    *sampler = (struct sampler){
        .server = server, .history = history, .stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    int error = sampler->stop < 0 ? errno : start_thread(sampler);
    if (error == 0)
        return sampler;
    if (sampler->stop >= 0)
        (void)close(sampler->stop);
    free(sampler);
    errno = error;
    return NULL;
}

void
sampler_stop(struct sampler *sampler)
{
    if (sampler == NULL)
        return;
    (void)eventfd_write(sampler->stop, 1);
    (void)pthread_join(sampler->thread, NULL);
    (void)close(sampler->stop);
    free(sampler);
}
