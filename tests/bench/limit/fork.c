/* SPDX-License-Identifier: MIT */
/*
 * fork.c - the least that a server with a process for each connection must do
 *
 * usage: limit-fork [-m MODEL] [-i SPARE] ADDRESS
 *   once   SPARE children (32) wait in accept(); each serves one connection and
 *          ends; it asks for its replacement as soon as it has accepted
 *   keep   SPARE children serve one connection after another and never end
 *   fork   the parent accepts, and forks for each connection
 */
#include "limit.h"

#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

static int listening, wanted, spare = 32;
static atomic_int *idle; /* shared */

static void
serve_once(void)
{
    int fd = next_connection(listening);

    atomic_fetch_sub(idle, 1);
    if (write(wanted, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        _exit(1);
    echo_until_eof(fd);
    _exit(0);
}

static void
serve_for_ever(void)
{
    for (;;) {
        int fd = next_connection(listening);
        echo_until_eof(fd);
        close(fd);
    }
}

static void
keep_spares(void (*serve)(void))
{
    uint64_t count;

    wanted = eventfd(0, EFD_CLOEXEC);
    idle = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (;;) {
        while (*idle < spare) {
            atomic_fetch_add(idle, 1);
            pid_t pid = fork();
            if (pid == 0)
                serve();
            if (pid < 0) {
                atomic_fetch_sub(idle, 1);
                usleep(1000);
            }
        }
        if (read(wanted, &count, sizeof(count)) < 0)
            fatal("read");
    }
}

static void
fork_on_accept(void)
{
    for (;;) {
        int fd = next_connection(listening);
        if (fork() == 0) {
            echo_until_eof(fd);
            _exit(0);
        }
        close(fd);
    }
}

int
main(int argc, char **argv)
{
    const char *model = "once";

    for (int c; (c = getopt(argc, argv, "m:i:")) != -1;) {
        if (c == 'm')
            model = optarg;
        else if (c == 'i')
            spare = atoi(optarg);
        else
            return 2;
    }
    listening = open_server(argv[optind], 0);
    signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
    if (strcmp(model, "fork") == 0)
        fork_on_accept();
    keep_spares(strcmp(model, "keep") == 0 ? serve_for_ever : serve_once);
}
