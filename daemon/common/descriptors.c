/* SPDX-License-Identifier: MIT */
/*
 * descriptors.c - how many descriptors the supervisor may open, and closing those of others
 *
 * The usual soft limit of 1,024 is there for the sake of select(2), which nothing here calls. The
 * supervisor takes what the hard limit allows. Its workers get back what it was given, because a
 * plugin may call select(2).
 *
 * Runs in:  the supervisor, and its children before they execute another program.
 * Owns:     the soft limit of the process.
 * Failures: none; a limit that cannot be raised stays.
 */
#include "common/descriptors.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define OWN        64 /* what the daemon needs without any listener, clients of its control included */
#define PER_SOCKET 4 /* the socket and its path, and a copy of each in an upgrade */
#define PER_WORKER 5 /* its channel, wishes, counters and log, and a descriptor of the process */

static struct {
    bool raised;
    struct rlimit given;
} limit;

void
descriptors_raise_limit(void)
{
    struct rlimit all;

    if (limit.raised || getrlimit(RLIMIT_NOFILE, &limit.given) < 0)
        return;
    all = limit.given;
    all.rlim_cur = all.rlim_max;
    limit.raised = setrlimit(RLIMIT_NOFILE, &all) == 0;
}

void
descriptors_restore_limit(void)
{
    struct rlimit now;

    if (!limit.raised || getrlimit(RLIMIT_NOFILE, &now) < 0)
        return;
    now.rlim_cur = limit.given.rlim_cur < now.rlim_max ? limit.given.rlim_cur : now.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &now) == 0)
        limit.raised = false;
}

/* In a reload, each worker has a successor, and one that tried the plugin before. */
size_t
descriptors_needed(size_t listeners, size_t workers)
{
    return OWN + PER_SOCKET * listeners + 2 * PER_WORKER * workers;
}

/* SO_LINGER holds up whoever closes last, and O_NONBLOCK does not help. */
void
descriptor_close_foreign(int fd)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){0}, sizeof(struct linger));
    (void)close(fd);
}

size_t
descriptors_allowed(void)
{
    struct rlimit now;

    if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_max > SIZE_MAX)
        return SIZE_MAX;
    return (size_t)now.rlim_max;
}
