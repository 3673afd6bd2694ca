/*
 * Fork class: one process serves one connection.
 * usage: fork ADDRESS [-m MODEL] [-i SPARE] [-x PROGRAM] [-b BALLAST_MIB]
 *   once   SPARE children block in accept; each serves one connection and
 *          exits; it asks for its replacement as soon as it has accepted (default)
 *   keep   SPARE children serve one connection after another and never exit
 *   fork   the parent accepts and forks for each connection
 *   spawn  the parent accepts and posix_spawns PROGRAM on it, as inetd does
 *   exec   the same with fork + exec
 * -x: PROGRAM (/bin/cat); build/limit/mini is the cheapest there is to exec
 * -b: touch so many MiB first, to see what a larger parent costs
 */
#include "limit.h"
#include <fcntl.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

extern char **environ;
static int lfd, wanted, spare = 32;
static atomic_int *idle; /* shared */

static int
next_connection(void)
{
    int fd;
    while ((fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC)) < 0)
        if (errno == EBADF || errno == EINVAL)
            _exit(1);
    return fd;
}

static void
child_once(void)
{
    int fd = next_connection();
    atomic_fetch_sub(idle, 1);
    if (write(wanted, &(uint64_t){1}, 8) < 0)
        _exit(1);
    echo_until_eof(fd);
    _exit(0);
}

static void
child_keep(void)
{
    for (;;) {
        int fd = next_connection();
        echo_until_eof(fd);
        close(fd);
    }
}

static void
spares(void (*child)(void))
{
    wanted = eventfd(0, EFD_CLOEXEC);
    idle = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (uint64_t n = 0;;) {
        while (*idle < spare) {
            atomic_fetch_add(idle, 1);
            pid_t pid = fork();
            if (pid == 0)
                child();
            if (pid < 0)
                atomic_fetch_sub(idle, 1), usleep(1000);
        }
        if (read(wanted, &n, sizeof n) < 0)
            fatal("read");
    }
}

static void
run(int fd, bool by_fork, char *program)
{
    char *argv[] = {program, NULL};
    if (by_fork) {
        if (fork() == 0) {
            dup2(fd, 0);
            dup2(fd, 1);
            execv(argv[0], argv);
            _exit(127);
        }
        return;
    }
    posix_spawn_file_actions_t fa;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, fd, 0);
    posix_spawn_file_actions_adddup2(&fa, fd, 1);
    posix_spawn(&(pid_t){0}, argv[0], &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
}

int
main(int argc, char **argv)
{
    const char *model = "once";
    char *program = "/bin/cat";
    size_t ballast = 0;
    for (int c; (c = getopt(argc, argv, "m:i:b:x:")) != -1;)
        switch (c) {
        case 'm':
            model = optarg;
            break;
        case 'i':
            spare = atoi(optarg);
            break;
        case 'b':
            ballast = (size_t)atol(optarg) << 20;
            break;
        case 'x':
            program = optarg;
            break;
        default:
            return 2;
        }
    lfd = open_server(argv[optind], 0, false);
    signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
    if (ballast) {
        char *p = mmap(NULL, ballast, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(p, ballast, MADV_NOHUGEPAGE);
        memset(p, 1, ballast);
    }
    if (*model == 'o')
        spares(child_once);
    if (*model == 'k')
        spares(child_keep);
    for (;;) {
        int fd = next_connection();
        if (*model != 'f') {
            run(fd, *model == 'e', program);
        } else if (fork() == 0) {
            echo_until_eof(fd);
            _exit(0);
        }
        close(fd);
    }
}
