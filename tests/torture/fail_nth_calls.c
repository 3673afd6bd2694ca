/* SPDX-License-Identifier: MIT */
/*
 * fail_nth_calls.c - the calls that may be made to fail, except for new processes (fail_nth.c)
 *
 * Runs in:  every process of a daemon under torture; no lock, no allocation.
 * Owns:     nothing.
 * Failures: those that were asked for.
 */
#include "fail_nth_private.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <grp.h>
#include <link.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- memory ------------------------------------------------------------------------------ */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

PUBLIC void *
malloc(size_t size)
{
    return fails(CALL_malloc) ? NULL : __libc_malloc(size);
}

PUBLIC void *
calloc(size_t count, size_t size)
{
    return fails(CALL_malloc) ? NULL : __libc_calloc(count, size);
}

PUBLIC void *
realloc(void *old, size_t size)
{
    return fails(CALL_malloc) ? NULL : __libc_realloc(old, size);
}

PUBLIC void *
reallocarray(void *old, size_t count, size_t size)
{
    size_t whole;

    if (__builtin_mul_overflow(count, size, &whole)) {
        errno = ENOMEM;
        return NULL;
    }
    return fails(CALL_malloc) ? NULL : __libc_realloc(old, whole);
}

PUBLIC void *
aligned_alloc(size_t alignment, size_t size)
{
    return fails(CALL_malloc) ? NULL : __libc_memalign(alignment, size);
}

PUBLIC int
posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *memory = fails(CALL_malloc) ? NULL : __libc_memalign(alignment, size);

    if (memory == NULL)
        return ENOMEM;
    *ret = memory;
    return 0;
}

/* ---- calls of a fixed shape ------------------------------------------------------------------ */

#define WRAP_AS(call, type, name, failed, parameters, arguments)                                   \
    PUBLIC type name parameters                                                                    \
    {                                                                                              \
        static __typeof__(type(*) parameters) real;                                                \
        if (fails(CALL_##call))                                                                    \
            return failed;                                                                         \
        if (real == NULL)                                                                          \
            real = (__typeof__(real))next_function(#name);                                         \
        return real arguments;                                                                     \
    }
#define WRAP(type, name, parameters, arguments) WRAP_AS(name, type, name, -1, parameters, arguments)

WRAP(int, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP(int, chown, (const char *path, uid_t uid, gid_t gid), (path, uid, gid))
WRAP_AS(chown, int, lchown, -1, (const char *path, uid_t uid, gid_t gid), (path, uid, gid))
WRAP(int, close_range, (unsigned first, unsigned last, int flags), (first, last, flags))
WRAP(int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
WRAP(int, dup2, (int fd, int place), (fd, place))
WRAP(int, dup3, (int fd, int place, int flags), (fd, place, flags))
WRAP(int, epoll_create1, (int flags), (flags))
WRAP(int, eventfd, (unsigned count, int flags), (count, flags))
WRAP(int, execv, (const char *path, char *const *arguments), (path, arguments))
WRAP(int, flock, (int fd, int operation), (fd, operation))
WRAP_AS(fopen, FILE *, fopen, NULL, (const char *path, const char *mode), (path, mode))
WRAP_AS(fopen, FILE *, fopen64, NULL, (const char *path, const char *mode), (path, mode))
WRAP_AS(fopen, FILE *, fmemopen, NULL, (void *buffer, size_t size, const char *mode),
        (buffer, size, mode))
WRAP(int, fstat, (int fd, struct stat *ret), (fd, ret))
WRAP(int, ftruncate, (int fd, off_t size), (fd, size))
WRAP_AS(ftruncate, int, ftruncate64, -1, (int fd, off64_t size), (fd, size))
WRAP(int, getsockname, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
WRAP(int, getsockopt, (int fd, int level, int option, void *value, socklen_t *size),
     (fd, level, option, value, size))
WRAP(int, kill, (pid_t pid, int number), (pid, number))
WRAP(int, listen, (int fd, int backlog), (fd, backlog))
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, mprotect, (void *start, size_t size, int protection), (start, size, protection))
WRAP_AS(opendir, DIR *, opendir, NULL, (const char *path), (path))
WRAP_AS(opendir, int, scandir, -1,
        (const char *path, struct dirent ***ret, int (*filter)(const struct dirent *),
         int (*compare)(const struct dirent **, const struct dirent **)),
        (path, ret, filter, compare))
WRAP(int, pipe2, (int ends[2], int flags), (ends, flags))
WRAP(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP_AS(pthread_create, int, pthread_create, errno,
        (pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *),
         void *argument),
        (thread, attributes, start, argument))
WRAP(ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size))
WRAP(ssize_t, readlink, (const char *path, char *buffer, size_t size), (path, buffer, size))
WRAP(ssize_t, recv, (int fd, void *buffer, size_t size, int flags), (fd, buffer, size, flags))
WRAP(int, recvmmsg,
     (int fd, struct mmsghdr *packets, unsigned count, int flags, struct timespec *timeout),
     (fd, packets, count, flags, timeout))
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *packet, int flags), (fd, packet, flags))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(ssize_t, send, (int fd, const void *buffer, size_t size, int flags), (fd, buffer, size, flags))
WRAP_AS(send, ssize_t, sendto, -1,
        (int fd, const void *buffer, size_t size, int flags, const struct sockaddr *address,
         socklen_t address_size),
        (fd, buffer, size, flags, address, address_size))
WRAP(int, sendmmsg, (int fd, struct mmsghdr *packets, unsigned count, int flags),
     (fd, packets, count, flags))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *packet, int flags), (fd, packet, flags))
WRAP(int, setgroups, (size_t count, const gid_t *groups), (count, groups))
WRAP(int, setresgid, (gid_t real_id, gid_t effective, gid_t saved), (real_id, effective, saved))
WRAP(int, setresuid, (uid_t real_id, uid_t effective, uid_t saved), (real_id, effective, saved))
WRAP(pid_t, setsid, (void), ())
WRAP(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t size),
     (fd, level, option, value, size))
WRAP(int, shutdown, (int fd, int how), (fd, how))
WRAP(int, signalfd, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, socketpair, (int domain, int type, int protocol, int ends[2]),
     (domain, type, protocol, ends))
WRAP(int, stat, (const char *path, struct stat *ret), (path, ret))
WRAP_AS(stat, int, lstat, -1, (const char *path, struct stat *ret), (path, ret))
WRAP(int, timer_create, (clockid_t clock, struct sigevent *event, timer_t *ret),
     (clock, event, ret))
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int options), (type, id, info, options))
WRAP_AS(waitid, pid_t, waitpid, -1, (pid_t pid, int *status, int options), (pid, status, options))
WRAP(ssize_t, write, (int fd, const void *buffer, size_t size), (fd, buffer, size))

/* These are not like the others: a parameter's type, or when they may fail. */
PUBLIC int
accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict size, int flags)
{
    static int (*real)(int, __SOCKADDR_ARG, socklen_t *, int);

    if (fails(CALL_accept4))
        return -1;
    if (real == NULL)
        real = (__typeof__(real))next_function("accept4");
    return real(fd, address, size, flags);
}

/* The kernel never refuses to take one out. */
PUBLIC int
epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    static int (*real)(int, int, int, struct epoll_event *);

    if (operation != EPOLL_CTL_DEL && fails(CALL_epoll_ctl))
        return -1;
    if (real == NULL)
        real = (__typeof__(real))next_function("epoll_ctl");
    return real(epoll, operation, fd, event);
}

PUBLIC int
getrlimit(__rlimit_resource_t resource, struct rlimit *ret)
{
    static int (*real)(__rlimit_resource_t, struct rlimit *);

    if (fails(CALL_getrlimit))
        return -1;
    if (real == NULL)
        real = (__typeof__(real))next_function("getrlimit");
    return real(resource, ret);
}

PUBLIC int
setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    static int (*real)(__rlimit_resource_t, const struct rlimit *);

    if (fails(CALL_setrlimit))
        return -1;
    if (real == NULL)
        real = (__typeof__(real))next_function("setrlimit");
    return real(resource, limit);
}

PUBLIC int
getaddrinfo(const char *restrict name, const char *restrict service,
            const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (fails(CALL_getaddrinfo))
        return EAI_MEMORY;
    if (real == NULL)
        real = (__typeof__(real))next_function("getaddrinfo");
    return real(name, service, hints, ret);
}

/* ---- calls with a varying last argument ------------------------------------------------- */

static void *
mmap_as(const char *name, void *start, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *(*real)(void *, size_t, int, int, int, off_t) = NULL;

    if (fails(CALL_mmap))
        return MAP_FAILED;
    real = (__typeof__(real))next_function(name);
    return real(start, size, protection, flags, fd, offset);
}

PUBLIC void *
mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset)
{
    return mmap_as("mmap", start, size, protection, flags, fd, offset);
}

PUBLIC void *
mmap64(void *start, size_t size, int protection, int flags, int fd, off64_t offset)
{
    return mmap_as("mmap64", start, size, protection, flags, fd, offset);
}

static int
openat_as(int folder, const char *path, int flags, mode_t mode)
{
    static int (*real)(int, const char *, int, ...);

    if (fails(CALL_open))
        return -1;
    if (real == NULL)
        real = (__typeof__(real))next_function("openat");
    return real(folder, path, flags, mode);
}

#define OPEN_MODE(flags)                                                                           \
    mode_t mode = 0;                                                                               \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                  \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode = va_arg(more, mode_t);                                                               \
        va_end(more);                                                                              \
    }

PUBLIC int
open(const char *path, int flags, ...)
{
    OPEN_MODE(flags)
    return openat_as(AT_FDCWD, path, flags, mode);
}

PUBLIC int
open64(const char *path, int flags, ...)
{
    OPEN_MODE(flags)
    return openat_as(AT_FDCWD, path, flags, mode);
}

PUBLIC int
openat(int folder, const char *path, int flags, ...)
{
    OPEN_MODE(flags)
    return openat_as(folder, path, flags, mode);
}

PUBLIC int
openat64(int folder, const char *path, int flags, ...)
{
    OPEN_MODE(flags)
    return openat_as(folder, path, flags, mode);
}

static int
fcntl_as(int fd, int command, void *argument)
{
    static int (*real)(int, int, ...);
    /* The others need no memory and no place, and fail for nothing but a wrong descriptor. */
    bool may_fail = command == F_DUPFD || command == F_DUPFD_CLOEXEC || command == F_ADD_SEALS;

    if (may_fail && fails(CALL_fcntl))
        return -1;
    if (real == NULL)
        real = (__typeof__(real))next_function("fcntl64");
    return real(fd, command, argument);
}

#define LAST_ARGUMENT(after)                                                                       \
    va_list more;                                                                                  \
    va_start(more, after);                                                                         \
    void *argument = va_arg(more, void *);                                                         \
    va_end(more);

PUBLIC int
fcntl(int fd, int command, ...)
{
    LAST_ARGUMENT(command)
    return fcntl_as(fd, command, argument);
}

PUBLIC int
fcntl64(int fd, int command, ...)
{
    LAST_ARGUMENT(command)
    return fcntl_as(fd, command, argument);
}

PUBLIC int
prctl(int option, ...)
{
    static int (*real)(int, ...);
    unsigned long values[4];
    va_list more;

    va_start(more, option);
    for (int i = 0; i < 4; i++)
        values[i] = va_arg(more, unsigned long);
    va_end(more);
    if (fails(CALL_prctl))
        return -1;
    if (real == NULL)
        real = (__typeof__(real))next_function("prctl");
    return real(option, values[0], values[1], values[2], values[3]);
}
