/* SPDX-License-Identifier: MIT */
/*
 * usage.c - what a process has used: processor time, and memory
 *
 * Runs in:  a worker, for itself; the supervisor, for itself and for a worker that has ended.
 * Owns:     nothing.
 * Failures: what cannot be found out is 0.
 */
#include "common/usage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

#define SECOND       UINT64_C(1000000000)
#define MICROSECOND  UINT64_C(1000)
#define LARGE        (UINT64_C(256) << 20) /* walking through its pages could hold up requests */
#define TIMES_BEHIND 11                    /* fields of /proc/PID/stat between state and times */

/* Reads the beginning of a file as text. Returns whether there was any. */
static bool
read_text(const char *path, char *text, size_t size)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

uint64_t
usage_cpu(void)
{
    struct timespec own = {0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    return (uint64_t)own.tv_sec * SECOND + (uint64_t)own.tv_nsec;
}

uint64_t
usage_cpu_of_children(void)
{
    struct rusage children = {0};

    (void)getrusage(RUSAGE_CHILDREN, &children);
    uint64_t seconds = (uint64_t)children.ru_utime.tv_sec + (uint64_t)children.ru_stime.tv_sec;
    uint64_t micros = (uint64_t)children.ru_utime.tv_usec + (uint64_t)children.ru_stime.tv_usec;
    return seconds * SECOND + micros * MICROSECOND;
}

uint64_t
usage_cpu_of_ended(pid_t pid)
{
    char path[32], text[1024];
    uint64_t user, system, children, their_system;
    long ticks = sysconf(_SC_CLK_TCK);

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (ticks <= 0 || !read_text(path, text, sizeof(text)))
        return 0;
    const char *place = strrchr(text, ')'); /* the name before it may hold anything */
    for (int i = 0; place != NULL && i <= TIMES_BEHIND; i++)
        place = strchr(place + 1, ' ');
    if (place == NULL || sscanf(place, " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &user,
                                &system, &children, &their_system) != 4)
        return 0;
    return (user + system + children + their_system) * (SECOND / (uint64_t)ticks);
}

uint64_t
usage_memory(void)
{
    char text[4096];
    uint64_t pages;
    long page = sysconf(_SC_PAGESIZE);

    if (page <= 0 || !read_text("/proc/self/statm", text, sizeof(text)) ||
        sscanf(text, "%*u %" SCNu64, &pages) != 1)
        return 0;
    uint64_t resident = pages * (uint64_t)page;
    if (resident >= LARGE || !read_text("/proc/self/smaps_rollup", text, sizeof(text)))
        return resident;
    const char *line = strstr(text, "\nPss:");
    return line == NULL ? resident : strtoull(line + strlen("\nPss:"), NULL, 10) * 1024;
}
