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

/* For the driver, which loads this library to learn them. */
#define NAME(name) #name,
PUBLIC extern const char *const torture_calls[];
PUBLIC const char *const torture_calls[] = {CALLS(NAME) NULL};
PUBLIC extern const size_t torture_size;
PUBLIC const size_t torture_size = sizeof(struct torture);

static struct torture *torture;
static enum torture_role role;
static uintptr_t program_base, program_end;
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

/* The program's own frames, wherever the program was loaded. */
static uint32_t
number_stack(void)
{
    void *frames[24];
    int count = backtrace(frames, 24);
    uint32_t number = 2166136261u; /* FNV-1a */

    for (int i = 0; i < count; i++) {
        uintptr_t frame = (uintptr_t)frames[i];
        if (frame >= program_base && frame < program_end)
            number = (number ^ (uint32_t)(frame - program_base)) * 16777619u;
    }
    return number;
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

static void
note_place(enum call call, uint32_t number)
{
    if (number > TORTURE_PLACES)
        return;
    inside = true;
    torture->places[role][call][number - 1] = number_stack();
    inside = false;
}

bool
fails(enum call call)
{
    if (torture == NULL || inside || atomic_load(&torture->armed) == 0)
        return false;
    uint32_t number = atomic_fetch_add(&torture->counts[role][call], 1) + 1;
    if (torture->note_places != 0)
        note_place(call, number);
    if (!is_chosen(call, number))
        return false;
    inside = true;
    note_failure();
    inside = false;
    errno = torture->error;
    return true;
}

/* For a build that counts lines: what writes the counts does not look at what malloc() returns. */
PUBLIC void fail_nth_pause(bool pause);
PUBLIC void
fail_nth_pause(bool pause)
{
    inside = pause;
}

void *
next_function(const char *name)
{
    bool outer = inside;

    inside = true;
    void *function = dlsym(RTLD_NEXT, name);
    inside = outer;
    return function;
}

/* ---- new processes ---------------------------------------------------------------------- */

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

/* ---- crashes ---------------------------------------------------------------------------- */

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
    program_base = program_end = (uintptr_t)info->dlpi_addr;
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD)
            program_end = program_base + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
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
