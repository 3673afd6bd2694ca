/* SPDX-License-Identifier: MIT */
/*
 * wait.c - good_command's commands that take time; good_command.c lists the replies
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

static struct timespec
to_timespec(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds};

    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    return time;
}

static double
now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int
sleep_well(struct ss_request *request, const char *argument)
{
    int result = ss_sleep(request, argument_seconds(argument));

    if (result < 0 && result != -ECANCELED)
        return ss_printf(request, "error %d\n", result);
    return ss_printf(request, result < 0 ? "cancelled\n" : "ok\n");
}

static int
nap(struct ss_request *request, const char *argument)
{
    struct timespec time = to_timespec(argument_seconds(argument));
    int result;

    while ((result = nanosleep(&time, &time)) < 0 && errno == EINTR && !ss_cancelled(request))
        continue;
    return ss_printf(request, result < 0 ? "interrupted\n" : "ok\n");
}

static int
spin(struct ss_request *request, const char *argument)
{
    double end = now() + argument_seconds(argument);

    while (now() < end)
        continue;
    return ss_printf(request, "ok\n");
}

static int
tell_cancelled(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "cancelled %s\n", ss_cancelled(request) ? "true" : "false");
}

static int
linger(struct ss_request *request, const char *argument)
{
    (void)argument;
    while (!ss_cancelled(request))
        if (ss_sleep(request, 0.01) < 0)
            break;
    return ss_printf(request, "goodbye\n");
}

static int
wait_readable(struct ss_request *request, const char *argument)
{
    double seconds = argument_seconds(argument);
    int pipes[2];
    int result;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return ss_printf(request, "error %d\n", -errno);
    if (seconds <= 0 && write(pipes[1], "x", 1) < 0)
        result = -errno;
    else
        result = ss_wait(request, pipes[0], POLLIN, seconds);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    return ss_printf(request, result < 0 ? "error %d\n" : "wait %d\n", result);
}

static int
set_deadline(struct ss_request *request, const char *argument)
{
    int result = ss_set_deadline(request, argument_seconds(argument));

    return ss_printf(request, result < 0 ? "error %d\n" : "deadline %d\n", result);
}

static int
stop(struct ss_request *request, const char *argument)
{
    (void)argument;
    ss_server_stop(ss_server(request));
    return ss_printf(request, "stopping\n");
}

static int
wait_for_input(struct ss_request *request, const char *argument)
{
    (void)ss_printf(request, "waiting\n");
    int result = ss_wait_input(request, argument_seconds(argument));

    return ss_printf(request, result < 0 ? "error %d\n" : "wait %d\n", result);
}

/* The client, a pipe in which nothing comes, and an entry that is to be skipped. */
static int
wait_for_any(struct ss_request *request, const char *argument)
{
    struct pollfd fds[] = {{.fd = -1, .events = POLLIN}, {.events = POLLIN}, {.events = POLLIN}};
    int pipes[2];

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return ss_printf(request, "error %d\n", -errno);
    fds[1].fd = pipes[0];
    fds[2].fd = ss_fd(request);
    (void)ss_printf(request, "waiting\n");
    int result = ss_poll(request, fds, 3, argument_seconds(argument));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    if (result < 0)
        return ss_printf(request, "error %d\n", result);
    return ss_printf(request, "any %d: %d %d %d\n", result, fds[0].revents, fds[1].revents,
                     fds[2].revents);
}

static int
wait_for_nothing(struct ss_request *request, const char *argument)
{
    struct pollfd fds[] = {{.fd = ss_fd(request), .events = POLLIN},
                           {.fd = 1 << 20, .events = POLLIN}};
    int result = ss_poll(request, fds, 2, argument_seconds(argument));

    return ss_printf(request, "error %d\n", result);
}

const struct command wait_commands[] = {
    {"wait-any", wait_for_any},
    {"wait-nothing", wait_for_nothing},
    {"wait-input", wait_for_input},
    {"sleep", sleep_well},
    {"nap", nap},
    {"spin", spin},
    {"cancelled", tell_cancelled},
    {"linger", linger},
    {"wait-readable", wait_readable},
    {"stop", stop},
    {"deadline", set_deadline},
    {0},
};
