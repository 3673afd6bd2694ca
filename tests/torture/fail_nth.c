/* SPDX-License-Identifier: MIT */
/*
 * fail_nth.c - a preload library that makes one call of the daemon fail
 *
 * The driver (torture) and every process of the daemon share one file, which
 * the variable TORTURE names. The driver writes there which call shall fail, in
 * which kind of process, and that a phase begins ("armed"); the processes count
 * their calls there and note which one failed and where it stood.
 *
 * The supervisor makes the environment of a worker anew, and executes the worker by a descriptor.
 * So execveat() is one of the functions here: it puts this library and its file back into the
 * environment. Nothing in the daemon knows of that.
 *
 * Runs in:  every process of a daemon under torture; no lock, no allocation.
 * Owns:     its mapping of the shared file.
 * Failures: without TORTURE, or if the file cannot be mapped, every call goes through.
 */
#undef _FORTIFY_SOURCE /* its inline functions would stand where the wrappers go */

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

#include "fail_nth.h"

#define PUBLIC __attribute__((visibility("default")))

/* The kinds of calls, in the order of their numbers. "malloc" is every allocation. */
/* clang-format off */
#define CALLS(X)                                                                                   \
    X(malloc) X(accept4) X(bind) X(chmod) X(chown) X(close_range) X(connect) X(dup2) X(dup3)       \
    X(epoll_create1) X(epoll_ctl) X(eventfd) X(execv) X(execveat) X(fcntl) X(flock) X(fopen)       \
    X(fork) X(fstat) X(ftruncate) X(getaddrinfo) X(getrlimit) X(getsockname) X(getsockopt)         \
    X(kill) X(listen) X(memfd_create) X(mkdir) X(mmap) X(mprotect) X(open) X(opendir) X(pipe2)     \
    X(poll) X(prctl) X(pthread_create) X(read) X(readlink) X(recv) X(recvmmsg) X(recvmsg)          \
    X(rename) X(send) X(sendmmsg) X(sendmsg) X(setgroups) X(setresgid) X(setresuid) X(setrlimit)   \
    X(setsid) X(setsockopt) X(shutdown) X(signalfd) X(socket) X(socketpair) X(stat)                \
    X(timer_create) X(timerfd_create) X(unlink) X(waitid) X(write)
/* clang-format on */

#define NUMBER(name) CALL_##name,
enum call { CALLS(NUMBER) CALL_COUNT };
_Static_assert(CALL_COUNT <= TORTURE_CALLS, "the shared file has a place for each");

/* For the driver, which loads this library to learn them. */
#define NAME(name) #name,
PUBLIC extern const char *const torture_calls[];
PUBLIC const char *const torture_calls[] = {CALLS(NAME) NULL};
PUBLIC extern const size_t torture_size;
PUBLIC const size_t torture_size = sizeof(struct torture);

static struct torture *torture;
static enum torture_role role;
static uintptr_t program_base;
static char preload_variable[512], torture_variable[512];
static _Thread_local bool inside __attribute__((tls_model("initial-exec")));

/* ---- where a call stands ------------------------------------------------------------- */

static const char *
program_name(void)
{
    bool worker = role == ROLE_WORKER || role == ROLE_CHECK || role == ROLE_REQUEST;

    return worker ? "worker" : "sockserverd";
}

/* "MODULE+OFFSET ..." from the innermost frame on. */
static void
describe_stack(char *text, size_t size, int skip)
{
    void *frames[24];
    int count = backtrace(frames, 24);
    size_t used = 0;

    for (int i = skip; i < count && used + 1 < size; i++) {
        Dl_info info = {0};
        if (dladdr(frames[i], &info) == 0 || info.dli_fname == NULL)
            continue;
        const char *slash = strrchr(info.dli_fname, '/');
        const char *name = slash == NULL ? info.dli_fname : slash + 1;
        if ((uintptr_t)info.dli_fbase == program_base)
            name = program_name();
        int written = snprintf(text + used, size - used, "%s+0x%zx ", name,
                               (size_t)((uintptr_t)frames[i] - (uintptr_t)info.dli_fbase));
        used += written > 0 ? (size_t)written : 0;
    }
}

/* ---- whether a call fails -------------------------------------------------------------- */

static bool
is_chosen(enum call call, uint32_t number)
{
    if (torture->role != role || torture->call != call || torture->nth == 0)
        return false;
    return number == torture->nth || (torture->sticky && number > torture->nth);
}

static void
note_failure(void)
{
    uint32_t none = 0;

    if (!atomic_compare_exchange_strong(&torture->fired, &none, 1))
        return;
    torture->fired_pid = (uint32_t)getpid();
    describe_stack(torture->fired_where, sizeof(torture->fired_where), 3);
}

/* Counts the call, and sets errno if it shall fail. */
static bool
fails(enum call call)
{
    if (torture == NULL || inside || atomic_load(&torture->armed) == 0)
        return false;
    uint32_t number = atomic_fetch_add(&torture->counts[role][call], 1) + 1;
    if (!is_chosen(call, number))
        return false;
    inside = true;
    note_failure();
    inside = false;
    errno = torture->error;
    return true;
}

static void *
next_function(const char *name)
{
    bool outer = inside;

    inside = true;
    void *function = dlsym(RTLD_NEXT, name);
    inside = outer;
    return function;
}

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
WRAP_AS(pthread_create, int, pthread_create, torture->error,
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

/* ---- calls with a varying last argument ---------------------------------------------------------
 */

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

    if (fails(CALL_fcntl))
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

/* ---- new processes ----------------------------------------------------------------------------
 */

static void
note_process(void)
{
    uint32_t place = atomic_fetch_add(&torture->process_count, 1);

    torture->processes[place % TORTURE_PROCESSES] =
        (struct torture_process){.pid = (uint32_t)getpid(), .role = role};
}

static void
become_child(void)
{
    if (role == ROLE_SUPERVISOR || role == ROLE_TRIAL)
        role = ROLE_SPAWN;
    else if (role == ROLE_WORKER)
        role = ROLE_REQUEST;
    if (torture != NULL)
        note_process();
}

static pid_t
fork_as(const char *name)
{
    pid_t (*real)(void);

    if (fails(CALL_fork))
        return -1;
    real = (__typeof__(real))next_function(name);
    pid_t pid = real();
    if (pid == 0)
        become_child();
    return pid;
}

PUBLIC pid_t
fork(void)
{
    return fork_as("fork");
}

PUBLIC pid_t
_Fork(void)
{
    return fork_as("_Fork");
}

/* Only the supervisor's child calls it, and has one thread. */
PUBLIC int
execveat(int folder, const char *path, char *const *arguments, char *const *environment, int flags)
{
    static int (*real)(int, const char *, char *const *, char *const *, int);
    static char *made[256];
    size_t count = 0;

    if (fails(CALL_execveat))
        return -1;
    if (real == NULL)
        real = (__typeof__(real))next_function("execveat");
    if (torture == NULL)
        return real(folder, path, arguments, environment, flags);
    while (environment[count] != NULL && count + 3 < sizeof(made) / sizeof(made[0])) {
        made[count] = environment[count];
        count++;
    }
    made[count++] = preload_variable;
    made[count++] = torture_variable;
    made[count] = NULL;
    return real(folder, path, arguments, made, flags);
}

/* ---- crashes ----------------------------------------------------------------------------------
 */

static void
on_crash(int number)
{
    uint32_t none = 0;

    inside = true;
    if (atomic_compare_exchange_strong(&torture->crash_signal, &none, (uint32_t)number)) {
        torture->crash_pid = (uint32_t)getpid();
        torture->crash_role = role;
        describe_stack(torture->crash_where, sizeof(torture->crash_where), 2);
    }
    (void)raise(number); /* its handler is the default one again */
}

static void
catch_crashes(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)sigaction(numbers[i], &action, NULL);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static enum torture_role
find_role(int argc, char **argv)
{
    bool worker = false, check = false;

    for (int i = 1; i < argc; i++) {
        worker |= strcmp(argv[i], "--worker") == 0;
        check |= strcmp(argv[i], "--check") == 0;
    }
    if (worker)
        return check ? ROLE_CHECK : ROLE_WORKER;
    return check ? ROLE_TRIAL : ROLE_SUPERVISOR;
}

static int
find_program(struct dl_phdr_info *info, size_t size, void *userdata)
{
    (void)size, (void)userdata;
    program_base = (uintptr_t)info->dlpi_addr;
    return 1; /* the program comes first */
}

static struct torture *
map_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *mapped;

    if (fd < 0)
        return NULL;
    mapped = mmap(NULL, sizeof(struct torture), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return mapped == MAP_FAILED ? NULL : mapped;
}

static __attribute__((constructor)) void
begin(int argc, char **argv, char **environment)
{
    const char *path = getenv("TORTURE"), *preload = getenv("LD_PRELOAD");
    void *frame[1];

    (void)environment;
    if (path == NULL || preload == NULL)
        return;
    (void)snprintf(torture_variable, sizeof(torture_variable), "TORTURE=%s", path);
    (void)snprintf(preload_variable, sizeof(preload_variable), "LD_PRELOAD=%s", preload);
    (void)backtrace(frame, 1); /* the first one loads a library */
    (void)dl_iterate_phdr(find_program, NULL);
    role = find_role(argc, argv);
    struct torture *mapped = map_file(path);
    if (mapped == NULL)
        return;
    torture = mapped;
    note_process();
    catch_crashes();
}
