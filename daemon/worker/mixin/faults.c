/* SPDX-License-Identifier: MIT */
/*
 * faults.c - noting where a worker crashes, and saying so when a handler's stack overflows
 *
 * The place is written into memory that the supervisor reads when the process
 * is gone (of a child, the worker). Below each stack lies a guard: a SIGSEGV
 * with an address in the guard of the stack in use is reported as what it is.
 * Then the process dies as if there had been no handler: the instruction is
 * tried again with the default action, so that status and core are the same.
 *
 * Runs in:  the thread that faults, in a signal handler.
 * Owns:     the signal stacks of threads.
 * Failures: without a signal stack an overflow kills the worker silently.
 */
#include "worker/mixin/faults.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/array.h"
#include "common/checked.h"
#include "common/value.h"
#include "worker/coroutine/coroutine.h"
#include "worker/plugin/place.h"
#include "worker/request/request.h"
#include "worker/request/spin.h"

#define SIGNAL_STACK (16u * 1024)

/* What the handler writes is put together before, because it can do next to nothing. */
static struct {
    char listener[160]; /* "sockserverd[NAME/" */
    char remedy[80];    /* "]: stack overflow: raise stack_size (now 64K)\n" */
    size_t stack_size;
    struct counters *counters; /* NULL: places are not noted */
} report;

static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
static struct sigaction previous[ARRAY_SIZE(crashes)];

static _Thread_local struct {
    const struct loop *loop;
    struct stack own; /* of a thread that serves on it */
    void *signal_stack;
    size_t signal_stack_size;
} watched;

static bool
is_overflow(const siginfo_t *info)
{
    const struct coroutine *coroutine =
        watched.loop != NULL ? atomic_load_explicit(&watched.loop->current, memory_order_relaxed)
                             : NULL;

    if (info->si_code <= 0)
        return false; /* sent by somebody */
    return stack_guards(coroutine != NULL ? &coroutine->stack : &watched.own, info->si_addr);
}

static size_t
append(char *line, size_t at, const char *text)
{
    size_t size = strlen(text);

    memcpy(line + at, text, size);
    return at + size;
}

static void
write_report(void)
{
    char line[sizeof(report.listener) + sizeof(report.remedy) + 24], digits[24];
    uint64_t number = request_current != NULL ? request_current->number : 0;
    size_t at = append(line, 0, report.listener), first = sizeof(digits) - 1;

    digits[first] = '\0';
    do
        digits[--first] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    at = append(line, at, digits + first);
    at = append(line, at, report.remedy);
    (void)!write(STDERR_FILENO, line, at);
}

/* Where the stack ends that the thread uses; 0: not known. */
static uintptr_t
end_of_stack(void)
{
    const struct coroutine *coroutine =
        watched.loop != NULL ? atomic_load_explicit(&watched.loop->current, memory_order_relaxed)
                             : NULL;

    if (coroutine != NULL)
        return (uintptr_t)coroutine;
    return watched.own.low == NULL ? 0 : (uintptr_t)watched.own.low + watched.own.size;
}

void
faults_note(const siginfo_t *info, const void *context)
{
    struct sighting *sighting =
        report.counters != NULL ? sighting_take(report.counters, getpid()) : NULL;

    if (sighting == NULL)
        return;
    sighting->signal = info->si_signo;
    sighting_write(sighting, info, context, end_of_stack());
}

static void
restore(int number)
{
    for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
        if (crashes[i] == number)
            (void)sigaction(number, &previous[i], NULL);
}

static void
on_fault(int number, siginfo_t *info, void *context)
{
    if (number == SIGSEGV || number == SIGBUS)
        place_rescue();
    if (number == SIGSEGV && is_overflow(info))
        write_report();
    restore(number);
    faults_note(info, context);
    if (info->si_code <= 0)
        (void)raise(number); /* a fault comes again by itself, this does not */
}

static void
give_signal_stack(void)
{
    long least = sysconf(_SC_MINSIGSTKSZ);
    size_t size = SIGNAL_STACK + (least > 0 ? (size_t)least : 0);

    if (watched.signal_stack != NULL)
        return;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return;
    watched.signal_stack = memory;
    watched.signal_stack_size = size;
    (void)sigaltstack(&(stack_t){.ss_sp = memory, .ss_size = size}, NULL);
}

void
faults_install(const struct ss_server *server)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    char size[32];

    if (SANITIZED) /* it has reports of its own, and signal stacks */
        return;
    (void)snprintf(report.listener, sizeof(report.listener), "sockserverd[%.100s/",
                   server->settings.name);
    (void)snprintf(report.remedy, sizeof(report.remedy),
                   "]: stack overflow: raise stack_size (now %.20s)\n",
                   value_format_size(server->settings.stack_size, size));
    report.stack_size = server_stack_size(server);
    action.sa_sigaction = on_fault;
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
        (void)sigaction(crashes[i], &action, &previous[i]);
    report.counters = server->counters;
    give_signal_stack();
}

/*
 * Takes the place reached now for the stack's top, although a few kilobytes are
 * in use: stack_guards() is not that exact. pthread_getattr_np() knows it all, but would be the
 * only one to allocate memory in a thread that waits for its first request.
 */
static void
find_own_stack(void)
{
    char *here = __builtin_frame_address(0);

    watched.own = (struct stack){.low = here - report.stack_size, .size = report.stack_size};
}

void
faults_watch_thread(const struct loop *loop)
{
    if (SANITIZED)
        return;
    watched.loop = loop;
    if (loop == NULL)
        find_own_stack();
    give_signal_stack();
}

void
faults_unwatch_thread(void)
{
    if (watched.signal_stack == NULL)
        return;
    (void)sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    (void)munmap(watched.signal_stack, watched.signal_stack_size);
    watched.signal_stack = NULL;
}
