/* SPDX-License-Identifier: MIT */
/*
 * failing_fixture.h - each call of a function of the daemon fails once
 *
 * The functions here take the places of the C library's in the program. A test
 * gives each_call_fails() a piece of work. It is done once as it is, and then
 * again and again: with its first allocation failing, its second, and so on,
 * and the same with every other kind of call. After each failure the process
 * must have as many descriptors and as many blocks of memory as before.
 *
 * The torture (tests/torture) does the same to a whole daemon, and takes minutes.
 */
#ifndef TESTS_UNIT_FAILING_FIXTURE_H
#define TESTS_UNIT_FAILING_FIXTURE_H

#undef _FORTIFY_SOURCE /* its inline functions would stand where these go */

#include "fds_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
#define FAILING_CALLS(X)                                                                           \
    X(malloc) X(bind) X(chmod) X(connect) X(dup2) X(dup3) X(fcntl) X(fchownat) X(flock) X(fork)    \
    X(fstat) X(getsockname) X(getsockopt) X(ioctl) X(listen) X(lstat) X(open) X(pipe2) X(pread)    \
    X(recv) X(send) X(setsockopt) X(socket) X(unlink)
/* clang-format on */

#define FAILING_NUMBER(name) FAILING_##name,
enum failing_call { FAILING_CALLS(FAILING_NUMBER) FAILING_COUNT };
#define FAILING_NAME(name) #name,
static const char *const failing_names[] = {FAILING_CALLS(FAILING_NAME)};

static struct {
    bool armed, fired;
    bool always;  /* after the first one that fails, all others do, too */
    bool undoing; /* what fails now concerns nobody: the work has been done */
    bool excused; /* the one that failed did so then */
    enum failing_call call;
    unsigned left; /* calls until the one that fails */
    int error;
    long blocks;                            /* of memory, that are in use */
    void (*before)(enum failing_call call); /* what happens just before a call; NULL: nothing */
} failing;

static inline void
failing_happens(enum failing_call call)
{
    void (*before)(enum failing_call) = failing.before;

    if (before == NULL)
        return;
    failing.before = NULL;
    before(call);
    failing.before = before;
}

static inline bool
failing_fails(enum failing_call call)
{
    failing_happens(call);
    if (!failing.armed || failing.call != call || failing.left == 0)
        return false;
    if (failing.left > 1 || !failing.always)
        failing.left--;
    if (failing.left > (failing.always ? 1 : 0))
        return false;
    failing.fired = true;
    failing.excused = failing.undoing;
    errno = failing.error;
    return true;
}

static inline void *
failing_next(const char *name)
{
    bool armed = failing.armed;

    failing.armed = false;
    void *function = dlsym(RTLD_NEXT, name);
    failing.armed = armed;
    return function;
}

#define PUBLIC __attribute__((visibility("default"))) /* so that the libraries find them */

/* ---- memory --------------------------------------------------------------------------------- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *block);

static inline void *
failing_count(void *block)
{
    failing.blocks += block != NULL;
    return block;
}

PUBLIC void *
malloc(size_t size)
{
    return failing_fails(FAILING_malloc) ? NULL : failing_count(__libc_malloc(size));
}

PUBLIC void *
calloc(size_t count, size_t size)
{
    return failing_fails(FAILING_malloc) ? NULL : failing_count(__libc_calloc(count, size));
}

PUBLIC void *
realloc(void *old, size_t size)
{
    if (failing_fails(FAILING_malloc))
        return NULL;
    return old == NULL ? failing_count(__libc_malloc(size)) : __libc_realloc(old, size);
}

PUBLIC void *
reallocarray(void *old, size_t count, size_t size)
{
    return realloc(old, count * size);
}

PUBLIC void
free(void *block)
{
    failing.blocks -= block != NULL;
    __libc_free(block);
}

/* ---- calls of a fixed shape ------------------------------------------------------------------ */

#define FAILING_AS(call, type, name, parameters, arguments)                                        \
    PUBLIC type name parameters                                                                    \
    {                                                                                              \
        static __typeof__(type(*) parameters) real;                                                \
        if (failing_fails(FAILING_##call))                                                         \
            return -1;                                                                             \
        if (real == NULL)                                                                          \
            *(void **)&real = failing_next(#name);                                                 \
        return real arguments;                                                                     \
    }
#define FAILING(type, name, parameters, arguments)                                                 \
    FAILING_AS(name, type, name, parameters, arguments)

FAILING(int, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
FAILING(int, chmod, (const char *path, mode_t mode), (path, mode))
FAILING(int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
FAILING(int, dup2, (int fd, int place), (fd, place))
FAILING(int, dup3, (int fd, int place, int flags), (fd, place, flags))
FAILING(int, fchownat, (int folder, const char *path, uid_t uid, gid_t gid, int flags),
        (folder, path, uid, gid, flags))
FAILING(int, flock, (int fd, int operation), (fd, operation))
FAILING(pid_t, fork, (void), ())
FAILING(int, fstat, (int fd, struct stat *ret), (fd, ret))
FAILING(int, getsockname, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
FAILING(int, getsockopt, (int fd, int level, int option, void *value, socklen_t *size),
        (fd, level, option, value, size))
FAILING(int, listen, (int fd, int backlog), (fd, backlog))
FAILING(int, lstat, (const char *path, struct stat *ret), (path, ret))
FAILING(int, pipe2, (int ends[2], int flags), (ends, flags))
FAILING(ssize_t, pread, (int fd, void *buffer, size_t size, off_t place), (fd, buffer, size, place))
FAILING(ssize_t, recv, (int fd, void *buffer, size_t size, int flags), (fd, buffer, size, flags))
FAILING(ssize_t, send, (int fd, const void *buffer, size_t size, int flags),
        (fd, buffer, size, flags))
FAILING(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t size),
        (fd, level, option, value, size))
FAILING(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
FAILING(int, unlink, (const char *path), (path))

/* ---- calls with a varying last argument ------------------------------------------------------ */

#define FAILING_VARYING(call, name, type, first, second, argument_type)                            \
    PUBLIC int name(first one, second two, ...)                                                    \
    {                                                                                              \
        static int (*real)(first, second, ...);                                                    \
        va_list more;                                                                              \
        if (failing_fails(FAILING_##call))                                                         \
            return -1;                                                                             \
        if (real == NULL)                                                                          \
            *(void **)&real = failing_next(#name);                                                 \
        va_start(more, two);                                                                       \
        argument_type argument = va_arg(more, argument_type);                                      \
        va_end(more);                                                                              \
        return real(one, two, argument);                                                           \
    }

FAILING_VARYING(fcntl, fcntl, int, int, int, void *)
FAILING_VARYING(fcntl, fcntl64, int, int, int, void *)
FAILING_VARYING(ioctl, ioctl, int, int, unsigned long, void *)
FAILING_VARYING(open, open, int, const char *, int, mode_t)
FAILING_VARYING(open, open64, int, const char *, int, mode_t)

/* ---- the work -------------------------------------------------------------------------------- */

/* Does something, sets failing.undoing, and undoes it. Returns 0, or the negative errno that it
 * failed with. */
typedef int (*failing_work)(void *userdata);

/* A failure that is tolerated: the work then returns 0. Any other must be returned, except for an
 * allocation's: the C library can do without some of its own. */
struct failing_plan {
    failing_work work;
    void *userdata;
    const char *const *tolerated; /* names of calls, and NULL; NULL: none */
    bool memory_alone;            /* no other calls fail */
};

static inline bool
failing_is_in(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static inline void
failing_arm(enum failing_call call, unsigned nth, int error)
{
    failing.call = call;
    failing.left = nth;
    failing.error = error;
    failing.fired = failing.excused = failing.undoing = false;
    failing.armed = true;
}

static inline void
failing_disarm(void)
{
    failing.armed = failing.always = false;
    failing.before = NULL;
}

/* Returns false if the work has no n-th call of this kind. */
static inline bool
failing_once(const struct failing_plan *plan, enum failing_call call, unsigned nth)
{
    size_t fds = count_fds();
    long blocks = failing.blocks;

    failing_arm(call, nth, call == FAILING_malloc ? ENOMEM : EIO);
    int r = plan->work(plan->userdata);
    failing_disarm();
    const char *name = failing_names[call];
    if (failing.blocks != blocks)
        fail_msg("%s %u: %ld blocks of memory are left", name, nth, failing.blocks - blocks);
    if (count_fds() != fds)
        fail_msg("%s %u: a descriptor is left", name, nth);
    bool excused = failing.excused || call == FAILING_malloc;
    if (failing.fired && r == 0 && !excused && !failing_is_in(plan->tolerated, name))
        fail_msg("%s %u: its failure is not returned", name, nth);
    if (failing.fired && r < 0 && r != -failing.error)
        fail_msg("%s %u: %s, expected %s", name, nth, strerror(-r), strerror(failing.error));
    if (!failing.fired)
        assert_int_equal(r, 0);
    return failing.fired;
}

/* The calls that failed, all in all. */
static inline unsigned
each_call_fails(const struct failing_plan *plan)
{
    static bool begun;
    unsigned count = 0;

    if (!begun)
        assert_int_equal(pthread_atfork(NULL, NULL, failing_disarm), 0);
    begun = true;
    assert_int_equal(plan->work(plan->userdata), 0); /* what a library keeps is made now */
    for (unsigned call = 0; call < FAILING_COUNT; call++)
        for (unsigned nth = 1; (call == FAILING_malloc || !plan->memory_alone) &&
                               failing_once(plan, (enum failing_call)call, nth);
             nth++)
            count++;
    return count;
}

#endif
