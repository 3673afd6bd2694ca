/* SPDX-License-Identifier: MIT */
/*
 * watchdog.c - noticing a handler that holds up its event loop
 *
 * Each loop has a timer that is put off whenever a coroutine goes on. So it
 * goes off while the loop sleeps, which means nothing, or when a coroutine has
 * run for a tenth of a second: its handler works or waits without the daemon's
 * knowledge. Where is read off the stack that the timer's signal interrupted.
 * Said once per worker; then no timer is set any more. A thread that looks on
 * would not interrupt, but where there is a second thread, a receive and a
 * send cost the first one some 110 ns more.
 *
 * Runs in:  the threads of the loops, and a signal handler there.
 * Owns:     the timers.
 * Failures: a place that cannot be found is left out.
 */
#include "worker/mixin/watchdog.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/coroutine/coroutine.h"
#include "worker/coroutine/timers.h"
#include "worker/request/request.h"

#define TOO_LONG     100000000 /* ns */
#define PUT_OFF      50000000  /* so often */
#define TIMER_SIGNAL (SIGRTMAX - 1)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Of the plugin: where it is loaded, and its code. */
struct range {
    uintptr_t base, start, end;
};

static int
look_at_object(struct dl_phdr_info *object, size_t size, void *argument)
{
    struct range *range = argument;

    (void)size;
    if (object->dlpi_addr != range->base)
        return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
            continue;
        range->start = range->base + part->p_vaddr;
        range->end = range->start + part->p_memsz;
    }
    return 1;
}

static struct {
    const struct plugin *plugin;
    struct range code;
    _Atomic bool said;
} watchdog;

/* ---- which place in the plugin it is ---------------------------------------------------- */

/* Where a thread was when it was interrupted. */
struct place {
    uintptr_t instruction, stack;
};

static struct place
interrupted_place(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (struct place){(uintptr_t)context->uc_mcontext.gregs[REG_RIP],
                          (uintptr_t)context->uc_mcontext.gregs[REG_RSP]};
#elif defined(__aarch64__)
    return (struct place){(uintptr_t)context->uc_mcontext.pc, (uintptr_t)context->uc_mcontext.sp};
#else
    (void)context;
    return (struct place){0};
#endif
}

/* The innermost address in the plugin's code: the instruction, or what is returned to. */
static uintptr_t
find_in_plugin(struct place place, uintptr_t top)
{
    const struct range *code = &watchdog.code;
    uintptr_t words[256];
    ssize_t got;

    if (place.instruction >= code->start && place.instruction < code->end)
        return place.instruction;
    /* Read as a file: what is on a stack need not be initialized, or be meant to be read. */
    _cleanup_close_ int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    for (uintptr_t from = place.stack; from < top; from += (uintptr_t)got) {
        size_t size = top - from < sizeof(words) ? top - from : sizeof(words);
        got = pread(memory, words, size, (off_t)from);
        if (got < (ssize_t)sizeof(*words))
            break;
        for (size_t i = 0; i < (size_t)got / sizeof(*words); i++)
            if (words[i] > code->start && words[i] < code->end)
                return words[i] - 1; /* in the call, not behind it */
    }
    return 0;
}

/* ", at echo.so+0x1234, in or behind handle", or "" if it cannot be told. */
static void
describe_place(uintptr_t found, char *text, size_t size)
{
    Dl_info info;

    text[0] = '\0';
    if (found == 0 || dladdr((void *)found, &info) == 0)
        return;
    (void)snprintf(text, size, ", at %s+0x%lx%s%s", plugin_base_name(watchdog.plugin),
                   found - watchdog.code.base, info.dli_sname != NULL ? ", in or behind " : "",
                   info.dli_sname != NULL ? info.dli_sname : "");
}

/* ---- looking ------------------------------------------------------------------------------ */

static void
report(const struct watched_loop *watched, const ucontext_t *context)
{
    const struct coroutine *coroutine =
        atomic_load_explicit(&watched->loop->current, memory_order_relaxed);
    uintptr_t top = coroutine != NULL ? (uintptr_t)coroutine : watched->top;
    char place[200];

    describe_place(find_in_plugin(interrupted_place(context), top), place, sizeof(place));
    log_warning("the handler keeps its event loop for more than 100 ms%s: other requests wait "
                "for it; wait with ss_sleep() or ss_wait() there, or use mixin \"threading\" "
                "(said once)",
                place);
}

static void
set_timer(const struct watched_loop *watched, int64_t ns)
{
    struct itimerspec time = {.it_value = {.tv_nsec = ns}};

    (void)timer_settime(watched->timer, 0, &time, NULL);
}

static void
on_timer(int signal, siginfo_t *info, void *context)
{
    struct watched_loop *watched = info->si_value.sival_ptr;
    int saved = errno;

    (void)signal;
    if (info->si_code != SI_TIMER || watched->loop == NULL)
        return; /* sent by somebody, or late */
    int64_t since = atomic_load_explicit(&watched->loop->since, memory_order_relaxed);
    int64_t left = since + TOO_LONG - monotonic_roughly();
    if (since == 0)
        watched->next = 0;
    else if (left > 0)
        set_timer(watched, left);
    else if (!atomic_exchange(&watchdog.said, true))
        report(watched, context);
    errno = saved;
}

void
watchdog_awake(struct watched_loop *watched)
{
    int64_t now;

    if (watched->loop == NULL)
        return;
    now = atomic_load_explicit(&watched->loop->since, memory_order_relaxed);
    if (now < watched->next || atomic_load_explicit(&watchdog.said, memory_order_relaxed))
        return;
    watched->next = now + PUT_OFF;
    set_timer(watched, TOO_LONG + PUT_OFF);
}

/* ---- beginning and end ---------------------------------------------------------------------- */

void
watchdog_install(const struct ss_server *server)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    Dl_info info;

    watchdog.plugin = &server->plugin;
    if (dladdr((void *)(uintptr_t)server->plugin.hooks.handle, &info) != 0) {
        watchdog.code.base = (uintptr_t)info.dli_fbase;
        (void)dl_iterate_phdr(look_at_object, &watchdog.code);
    }
    action.sa_sigaction = on_timer;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(TIMER_SIGNAL, &action, NULL);
}

int
watchdog_watch(struct watched_loop *watched, struct loop *loop)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TIMER_SIGNAL};

    event.sigev_value.sival_ptr = watched;
    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &watched->timer) < 0)
        return -errno;
    watched->top = (uintptr_t)__builtin_frame_address(0);
    watched->loop = loop;
    return 0;
}

void
watchdog_unwatch(struct watched_loop *watched)
{
    if (watched->loop == NULL)
        return;
    watched->loop = NULL;
    (void)timer_delete(watched->timer);
}
