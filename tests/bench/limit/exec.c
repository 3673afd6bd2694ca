/* SPDX-License-Identifier: MIT */
/*
 * exec.c - the least that a server must do which executes a program for each connection
 *
 * usage: limit-exec [-m MODEL] PROGRAM ADDRESS
 *   vfork  the child borrows the parent's memory until it has executed the program
 *   fork   the child is a copy
 */
#include "limit.h"

static void
execute(char *program, int fd)
{
    char *arguments[] = {program, NULL}, *environment[] = {NULL};

    for (int standard = 0; standard < 3; standard++)
        if (dup2(fd, standard) < 0)
            _exit(126);
    execve(program, arguments, environment);
    _exit(127);
}

static void
serve(int listening, char *program, bool copies)
{
    for (;;) {
        int fd = next_connection(listening);
        pid_t pid = copies ? fork() : vfork();
        if (pid == 0)
            execute(program, fd);
        close(fd);
    }
}

int
main(int argc, char **argv)
{
    const char *model = "vfork";

    for (int c; (c = getopt(argc, argv, "m:")) != -1;) {
        if (c != 'm')
            return 2;
        model = optarg;
    }
    if (argc - optind != 2 || access(argv[optind], X_OK) < 0)
        fatal("usage: limit-exec [-m MODEL] PROGRAM ADDRESS");
    signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
    serve(open_server(argv[optind + 1], 0), argv[optind], strcmp(model, "fork") == 0);
}
