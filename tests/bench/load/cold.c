/* SPDX-License-Identifier: MIT */
/*
 * cold.c - from the start of a command to its first answer
 *
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

/* One blocking exchange; true when the server answered within a second. */
static bool
answered(void)
{
    char buf[CHUNK];
    int fd = dial();
    if (fd < 0)
        return false;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    long got = 0;
    bool ok = poll(&p, 1, 1000) == 1 &&
              send(fd, out_bytes, (size_t)options.size, MSG_NOSIGNAL) == options.size;
    p.events = POLLIN;
    while (ok && got < options.size) {
        ssize_t n = poll(&p, 1, 1000) == 1 ? recv(fd, buf, sizeof buf, 0) : -1;
        ok = n > 0;
        got += n;
    }
    close(fd);
    return ok;
}

void
run_cold(char **command)
{
    if (!command[0])
        die("cold needs a command");
    t_begin = now();
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        cpu_set_t set;
        CPU_ZERO(&set);
        if (options.cpu >= 0) {
            CPU_SET((size_t)options.cpu, &set);
            sched_setaffinity(0, sizeof set, &set);
        }
        execvp(command[0], command);
        _exit(127);
    }
    long tries = 0;
    bool ok = false;
    while (now() < t_begin + (uint64_t)(options.seconds * 1e9) &&
           waitpid(pid, NULL, WNOHANG) == 0) {
        tries++;
        if ((ok = answered()))
            break;
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    double ms = (double)(now() - t_begin) / 1e6;
    kill(-pid, SIGTERM);
    for (int i = 0; i < 200 && waitpid(pid, NULL, WNOHANG) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10 * (long)MS}, NULL);
    kill(-pid, SIGKILL);
    printf("{\"mode\":\"cold\",\"addr\":\"%s\",\"ok\":%s,\"ms\":%.3f,\"tries\":%ld}\n",
           options.address, ok ? "true" : "false", ms, tries);
}
