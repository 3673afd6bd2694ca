/* SPDX-License-Identifier: MIT */
/*
 * probe.c - tells its client what a program for inetd finds when it starts
 *
 * A line for each thing: which descriptors are open, and whether they wait; where it runs; its
 * umask; whether it leads its session and process group; signals that are blocked or ignored;
 * its argv[0]; limits; the names of variables that are about the client.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESCRIPTORS 64

static void
print_descriptors(void)
{
    (void)printf("descriptors");
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0)
            (void)printf(" %d%s", fd, (flags & O_NONBLOCK) ? " (does not wait)" : "");
    }
    (void)printf("\n");
}

static void
print_signals(void)
{
    sigset_t blocked;
    struct sigaction action;

    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    (void)printf("signals");
    for (int number = 1; number < SIGRTMIN; number++) {
        if (sigismember(&blocked, number) > 0)
            (void)printf(" %s blocked", sigabbrev_np(number));
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            (void)printf(" %s ignored", sigabbrev_np(number));
    }
    (void)printf("\n");
}

static int
compare(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static void
print_names(void)
{
    static const char *const starts[] = {"REMOTE_", "TCP", "PROTO", "UNIX", "LISTEN_"};
    size_t count = 0;

    while (environ[count] != NULL)
        count++;
    qsort(environ, count, sizeof(*environ), compare);
    (void)printf("variables");
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < sizeof(starts) / sizeof(starts[0]); j++)
            if (strncmp(environ[i], starts[j], strlen(starts[j])) == 0)
                (void)printf(" %.*s", (int)strcspn(environ[i], "="), environ[i]);
    (void)printf("\n");
}

int
main(int count, char *arguments[])
{
    char folder[4096];
    mode_t mask = umask(0);

    print_descriptors();
    (void)printf("folder %s\n", getcwd(folder, sizeof(folder)) == NULL ? "-" : folder);
    (void)printf("umask %03o\n", (unsigned)mask);
    (void)printf("leads%s%s\n", getsid(0) == getpid() ? " session" : "",
                 getpgrp() == getpid() ? " group" : "");
    print_signals();
    (void)printf("argv");
    for (int i = 0; i < count; i++)
        (void)printf(" %s", arguments[i]);
    (void)printf("\n");
    print_names();
    return 0;
}
