/* SPDX-License-Identifier: MIT */
/*
 * waiting.c - programs that get the listening socket: when the next one may start
 *
 * A program that ends and leaves behind what came would be started again at
 * once, and use up the machine. After some such ends in a row there is a pause
 * before the next start, and each is twice as long as the one before.
 *
 * Runs in:  the one context of a worker with mixin none.
 * Owns:     nothing.
 * Failures: returned; pauses are logged here.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "exec.h"

#define QUICK         1.0  /* seconds: a program that lives as long has done something */
#define FREE_ENDS     8    /* of quick ends, before the first pause */
#define FIRST_PAUSE   0.1  /* seconds */
#define LONGEST_PAUSE 30.0 /* seconds */
#define LOOK          0.05 /* seconds between two looks whether processes are left */

double
seconds_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A stream's queue cannot be looked into: its arrivals are all alike. */
void
arrival_look(int socket, struct arrival *ret)
{
    struct sockaddr_storage sender;
    socklen_t size = sizeof(sender);

    *ret = (struct arrival){.started = seconds_now()};
    memset(&sender, 0, sizeof(sender));
    ssize_t got = recvfrom(socket, ret->bytes + sizeof(sender), sizeof(ret->bytes) - sizeof(sender),
                           MSG_PEEK | MSG_DONTWAIT, (struct sockaddr *)&sender, &size);
    if (got < 0)
        return;
    memcpy(ret->bytes, &sender, sizeof(sender));
    ret->size = sizeof(sender) + (size_t)got;
}

/* Whether what had come is there still. */
static bool
is_left(int socket, const struct arrival *before)
{
    struct pollfd input = {.fd = socket, .events = POLLIN};
    struct arrival now;

    if (poll(&input, 1, 0) <= 0)
        return false;
    arrival_look(socket, &now);
    return now.size == before->size && memcmp(now.bytes, before->bytes, now.size) == 0;
}

static double
pause_after(unsigned quick)
{
    double pause = FIRST_PAUSE;

    for (unsigned i = FREE_ENDS; i < quick && pause < LONGEST_PAUSE; i++)
        pause *= 2;
    return pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE;
}

/* A drain ends the pause. */
static int
pause_for(struct ss_request *request, double seconds)
{
    double until = seconds_now() + seconds;
    int error = 0;

    while (error == 0 && !ss_draining(request) && seconds_now() < until) {
        double left = until - seconds_now();
        error = ss_sleep(request, left < LOOK * 4 ? left : LOOK * 4);
    }
    return error;
}

/* Processes that the program has started for its clients have its process group. */
static int
await_group(struct ss_request *request, pid_t group)
{
    int error = 0;

    while (error == 0 && group > 0 && kill(-group, 0) == 0)
        error = ss_sleep(request, LOOK);
    return error;
}

int
waiting_over(struct ss_request *request, struct service *service, const struct arrival *before,
             int error)
{
    double lived = seconds_now() - before->started;

    if (ss_draining(request))
        return error < 0 ? error : await_group(request, service->last);
    if ((error == 0 && lived >= QUICK) || !is_left(ss_fd(request), before)) {
        service->quick = 0;
        return error;
    }
    if (++service->quick < FREE_ENDS)
        return error;
    double pause = pause_after(service->quick);
    ss_log(LOG_WARNING,
           "%s has ended %u times without taking what came to the socket; it is started again in "
           "%.3g s. A program with wait = true accepts or receives itself",
           service->command, service->quick, pause);
    int interrupted = pause_for(request, pause);
    return error < 0 ? error : interrupted;
}
