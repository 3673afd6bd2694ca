/*
 * Thread class: one thread serves one connection, blocking.
 * usage: thread ADDRESS [-m MODEL] [-s STACK_KIB] [-i SPARE] [-n] [-d]
 *   leader  every idle thread blocks in accept; whoever gets the connection
 *           serves it; the last idle one spawns a successor first (default)
 *   mutex   the same, but one thread at a time is in accept, under a mutex
 *   queue   one acceptor hands descriptors to a pool through a locked queue
 *   lifo    the acceptor hands each to the thread that went idle last (futex)
 *   create  the acceptor creates a thread for each connection
 */
#include "limit.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static int lfd, spare = 64;
static bool use_nodelay;
static atomic_int idle;
static pthread_attr_t attr;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;

static int
next_connection(void)
{
    int fd;
    while ((fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC)) < 0 && errno != EINVAL)
        ;
    if (use_nodelay)
        nodelay(fd);
    return fd;
}

static void
serve(int fd)
{
    echo_until_eof(fd);
    close(fd);
}

static void
spawn(void *(*fn)(void *), void *arg)
{
    if (pthread_create(&(pthread_t){0}, &attr, fn, arg))
        fatal("pthread_create");
}

/* --- leader, mutex --- */

static bool one_at_a_time;

static void *
leader(void *arg)
{
    do {
        if (one_at_a_time)
            pthread_mutex_lock(&lock);
        int fd = next_connection();
        if (one_at_a_time)
            pthread_mutex_unlock(&lock);
        if (atomic_fetch_sub(&idle, 1) == 1) {
            atomic_fetch_add(&idle, 1);
            spawn(leader, NULL);
        }
        serve(fd);
    } while (atomic_fetch_add(&idle, 1) < spare);
    atomic_fetch_sub(&idle, 1);
    return arg;
}

/* --- queue --- */

static int queue[BACKLOG], q_head, q_len, q_waiting;

static void *
worker(void *arg)
{
    for (int fd = (int)(intptr_t)arg;;) {
        serve(fd);
        pthread_mutex_lock(&lock);
        q_waiting++;
        while (!q_len)
            pthread_cond_wait(&filled, &lock);
        fd = queue[q_head++ % BACKLOG];
        q_len--;
        pthread_mutex_unlock(&lock);
    }
    return arg;
}

static void
hand_queue(int fd)
{
    pthread_mutex_lock(&lock);
    bool waiting = q_waiting > 0;
    if (waiting) {
        q_waiting--;
        queue[(q_head + q_len++) % BACKLOG] = fd;
        pthread_cond_signal(&filled);
    }
    pthread_mutex_unlock(&lock);
    if (!waiting)
        spawn(worker, (void *)(intptr_t)fd);
}

/* --- lifo --- */

struct parked {
    atomic_int fd; /* -1: parked */
    struct parked *below;
};
static struct parked *top;

static void *
sleeper(void *arg)
{
    struct parked me = {(int)(intptr_t)arg, NULL};
    for (;;) {
        serve(me.fd);
        me.fd = -1;
        pthread_mutex_lock(&lock);
        me.below = top;
        top = &me;
        pthread_mutex_unlock(&lock);
        while (me.fd == -1)
            syscall(SYS_futex, &me.fd, FUTEX_WAIT_PRIVATE, -1, NULL);
    }
    return arg;
}

static void
hand_lifo(int fd)
{
    pthread_mutex_lock(&lock);
    struct parked *p = top;
    if (p)
        top = p->below;
    pthread_mutex_unlock(&lock);
    if (!p) {
        spawn(sleeper, (void *)(intptr_t)fd);
        return;
    }
    p->fd = fd;
    syscall(SYS_futex, &p->fd, FUTEX_WAKE_PRIVATE, 1);
}

/* --- create --- */

static void *
once(void *arg)
{
    serve((int)(intptr_t)arg);
    return NULL;
}

int
main(int argc, char **argv)
{
    const char *model = "leader";
    size_t stack = 64;
    bool use_defer = false;
    for (int c; (c = getopt(argc, argv, "m:s:i:nd")) != -1;)
        switch (c) {
        case 'm':
            model = optarg;
            break;
        case 's':
            stack = (size_t)atol(optarg);
            break;
        case 'i':
            spare = atoi(optarg);
            break;
        case 'n':
            use_nodelay = true;
            break;
        case 'd':
            use_defer = true;
            break;
        default:
            return 2;
        }
    lfd = open_server(argv[optind], 0, false);
    if (use_defer)
        defer_accept(lfd);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack * 1024);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (!strcmp(model, "leader") || !strcmp(model, "mutex")) {
        one_at_a_time = *model == 'm';
        idle = spare;
        for (int i = 0; i < spare; i++)
            spawn(leader, NULL);
        for (;;)
            pause();
    }
    for (;;) {
        int fd = next_connection();
        if (*model == 'q')
            hand_queue(fd);
        else if (*model == 'l')
            hand_lifo(fd);
        else
            spawn(once, (void *)(intptr_t)fd);
    }
}
