/* SPDX-License-Identifier: MIT */
/*
 * proc.c - what the kernel says about a process
 */
#include "support/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "support/test.h"

/* Reads a small file of /proc/PID; its size, or -1 if the process is gone. */
static ssize_t
read_proc(pid_t pid, const char *name, char *buffer, size_t size)
{
    char path[64];
    _cleanup_close_ int fd = -1;
    ssize_t got;
    size_t used = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    while (used < size - 1 && (got = read(fd, buffer + used, size - 1 - used)) > 0)
        used += (size_t)got;
    buffer[used] = '\0';
    return (ssize_t)used;
}

/* What stands in stat(5) behind the program's name, which may hold anything: "S 1 2 ...". */
static const char *
read_stat(pid_t pid, const char *file, char *buffer, size_t size)
{
    const char *end;

    if (read_proc(pid, file, buffer, size) <= 0)
        return NULL;
    end = strrchr(buffer, ')');
    return end == NULL ? NULL : end + 2;
}

size_t
proc_children(pid_t pid, pid_t children[PROC_CHILDREN])
{
    char name[64], buffer[8192];
    char *rest = buffer, *word;
    size_t count = 0;

    (void)snprintf(name, sizeof name, "task/%d/children", (int)pid);
    if (read_proc(pid, name, buffer, sizeof buffer) < 0)
        return 0;
    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word == '\0')
            continue;
        if (count < PROC_CHILDREN)
            children[count] = (pid_t)strtol(word, NULL, 10);
        count++;
    }
    return count;
}

size_t
proc_child_count(pid_t pid)
{
    pid_t children[PROC_CHILDREN];

    return proc_children(pid, children);
}

char
proc_state(pid_t pid)
{
    char buffer[1024];
    const char *fields = read_stat(pid, "stat", buffer, sizeof buffer);

    return fields == NULL ? '\0' : fields[0];
}

/* A process is a zombie as soon as its first thread has ended: look at all of them. */
bool
proc_alive(pid_t pid)
{
    char path[64], name[64], buffer[1024];
    struct dirent *entry;
    bool alive = false;
    DIR *folder;

    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    folder = opendir(path);
    if (folder == NULL)
        return false;
    while (!alive && (entry = readdir(folder)) != NULL) {
        const char *fields;

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(name, sizeof name, "task/%.32s/stat", entry->d_name);
        fields = read_stat(pid, name, buffer, sizeof buffer);
        alive = fields != NULL && fields[0] != 'Z' && fields[0] != 'X';
    }
    (void)closedir(folder);
    return alive;
}

size_t
proc_zombie_count(pid_t parent)
{
    pid_t children[PROC_CHILDREN];
    size_t count = proc_children(parent, children), zombies = 0;

    for (size_t i = 0; i < count && i < PROC_CHILDREN; i++)
        zombies += proc_state(children[i]) == 'Z';
    return zombies;
}

pid_t
proc_parent(pid_t pid)
{
    char buffer[1024];
    const char *fields = read_stat(pid, "stat", buffer, sizeof buffer);

    return fields == NULL ? 0 : (pid_t)strtol(fields + 2, NULL, 10);
}

static int
compare_numbers(const void *one, const void *other)
{
    return *(const int *)one - *(const int *)other;
}

/* The open descriptors of a process, in order; how many. */
static size_t
list_fds(pid_t pid, int *fds, size_t room)
{
    char path[64];
    struct dirent *entry;
    size_t count = 0;
    DIR *folder;

    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    folder = opendir(path);
    if (folder == NULL)
        return 0;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.' && count < room)
            fds[count++] = (int)strtol(entry->d_name, NULL, 10);
    }
    (void)closedir(folder);
    qsort(fds, count, sizeof *fds, compare_numbers);
    return count;
}

size_t
proc_fd_count(pid_t pid)
{
    int fds[4096];

    return list_fds(pid, fds, ARRAY_SIZE(fds));
}

const char *
proc_fd_list(pid_t pid)
{
    int fds[4096];
    size_t count = list_fds(pid, fds, ARRAY_SIZE(fds));
    const char *list = "";

    for (size_t i = 0; i < count; i++) {
        char path[64], target[PATH_MAX];
        ssize_t size;

        (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fds[i]);
        size = readlink(path, target, sizeof target - 1);
        if (size < 0)
            continue; /* closed in the meantime */
        target[size] = '\0';
        list = text_of("%s%d %s\n", list, fds[i], target);
    }
    return list;
}

const char *
proc_environment(pid_t pid)
{
    static char buffer[65536];
    ssize_t size = read_proc(pid, "environ", buffer, sizeof buffer);

    for (ssize_t i = 0; i < size; i++) {
        if (buffer[i] == '\0')
            buffer[i] = '\n';
    }
    return text_of("%s", size < 0 ? "" : buffer);
}

/* The number behind "NAME:" in /proc/PID/status. */
static size_t
read_status(pid_t pid, const char *name)
{
    char buffer[8192];
    const char *place;

    if (read_proc(pid, "status", buffer, sizeof buffer) < 0)
        return 0;
    place = strstr(buffer, name);
    return place == NULL ? 0 : strtoul(place + strlen(name), NULL, 10);
}

size_t
proc_thread_count(pid_t pid)
{
    return read_status(pid, "\nThreads:");
}

size_t
proc_memory_kib(pid_t pid)
{
    return read_status(pid, "\nVmRSS:");
}

size_t
proc_shared_kib(pid_t pid)
{
    return read_status(pid, "\nRssShmem:");
}

double
proc_cpu_seconds(pid_t pid)
{
    char buffer[1024];
    const char *fields = read_stat(pid, "stat", buffer, sizeof buffer);
    unsigned long user = 0, system = 0;

    /* Fields 3 to 13 of stat(5) come before utime and stime. */
    if (fields == NULL ||
        sscanf(fields, "%*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user, &system) != 2)
        return 0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}
