/* SPDX-License-Identifier: MIT */
/*
 * watchdog.c - noticing a handler that holds up its event loop
 *
 * Every loop counts the times a coroutine goes on. A thread looks at the count
 * ten times a second: if it has not changed, and the loop is not asleep, some
 * handler works or waits without the daemon's knowledge. Where is read off the
 * loop's stack; only a thread that is computing is interrupted for that, one
 * in a system call is left alone. Said once per worker; then the thread ends.
 * While all loops rest, so does the watchdog.
 *
 * Runs in:  a thread of its own in a worker, and a signal handler in a loop's.
 * Owns:     nothing; the loops are the mixin's.
 * Failures: a place that cannot be found is left out.
 */
#include "worker/watchdog.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "worker/coroutine.h"
#include "worker/request.h"

#define INTERVAL_NS   100000000
#define REST_AFTER    10 /* looks at which all loops were asleep */
#define SEARCHED      (64u * 1024)
#define SAMPLE_SIGNAL (SIGRTMAX - 1)

static struct {
    const struct ss_server *server;
    struct watched_loop *loops;
    uint32_t count;
    pthread_t thread;
    bool running;
    sem_t wake;
    _Atomic bool resting, stop;
} watchdog;

/* Where a thread is. */
struct place {
    uintptr_t instruction, stack;
};

/* ---- where a thread is ------------------------------------------------------------ */

static struct {
    sem_t taken;
    _Atomic uintptr_t instruction, stack;
} sample;

/* In the loop's thread. */
static void
on_sample(int signal, siginfo_t *info, void *context)
{
    const ucontext_t *machine = context;
    int saved = errno;

    (void)signal;
    (void)info;
#if defined(__x86_64__)
    atomic_store(&sample.instruction, (uintptr_t)machine->uc_mcontext.gregs[REG_RIP]);
    atomic_store(&sample.stack, (uintptr_t)machine->uc_mcontext.gregs[REG_RSP]);
#elif defined(__aarch64__)
    atomic_store(&sample.instruction, (uintptr_t)machine->uc_mcontext.pc);
    atomic_store(&sample.stack, (uintptr_t)machine->uc_mcontext.sp);
#else
    (void)machine;
#endif
    (void)sem_post(&sample.taken);
    errno = saved;
}

static void
deadline_after(int64_t ns, struct timespec *ret)
{
    int64_t then = monotonic_now() + ns;

    *ret = (struct timespec){.tv_sec = then / 1000000000, .tv_nsec = then % 1000000000};
}

static bool
sample_running(pid_t thread, struct place *ret)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART}, previous;
    struct timespec deadline;

    action.sa_sigaction = on_sample;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SAMPLE_SIGNAL, &action, &previous) < 0)
        return false;
    bool taken = false;
    if (syscall(SYS_tgkill, getpid(), thread, SAMPLE_SIGNAL) == 0) {
        deadline_after(INTERVAL_NS, &deadline);
        taken = sem_clockwait(&sample.taken, CLOCK_MONOTONIC, &deadline) == 0;
    }
    /* It may still come: the handler stays. */
    ret->instruction = atomic_load(&sample.instruction);
    ret->stack = atomic_load(&sample.stack);
    return taken && ret->instruction != 0;
}

/* The kernel tells of a thread that is in a system call, without disturbing it. */
static bool
find_thread(pid_t thread, struct place *ret)
{
    char path[64], text[256];

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)thread);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (size <= 0)
        return false;
    text[size] = '\0';
    if (strncmp(text, "running", strlen("running")) == 0)
        return sample_running(thread, ret);
    char *instruction = strrchr(text, ' '), *stack;
    if (instruction == NULL)
        return false;
    *instruction++ = '\0';
    stack = strrchr(text, ' ');
    if (stack == NULL)
        return false;
    ret->instruction = (uintptr_t)strtoull(instruction, NULL, 16);
    ret->stack = (uintptr_t)strtoull(stack + 1, NULL, 16);
    return true;
}

/* ---- which place in the plugin that is ------------------------------------------------ */

struct range {
    uintptr_t base, start, end; /* of the plugin: where it is loaded, and its code */
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

/* The innermost address in the plugin's code: the instruction, or what is returned to. */
static uintptr_t
find_in_plugin(const struct place *place, uintptr_t top, const struct range *range)
{
    size_t size = top > place->stack ? top - place->stack : SEARCHED;
    _cleanup_free_ uintptr_t *words = malloc(SEARCHED);
    _cleanup_close_ int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

    if (place->instruction >= range->start && place->instruction < range->end)
        return place->instruction;
    if (words == NULL || memory < 0)
        return 0;
    ssize_t got = pread(memory, words, size < SEARCHED ? size : SEARCHED, (off_t)place->stack);
    for (ssize_t i = 0; i < got / (ssize_t)sizeof(*words); i++)
        if (words[i] > range->start && words[i] < range->end)
            return words[i] - 1; /* in the call, not behind it */
    return 0;
}

/* "echo.so+0x1234, in handle", or "" if it cannot be told. */
static void
describe_place(const struct watched_loop *watched, uintptr_t top, char *text, size_t size)
{
    const struct plugin *plugin = &watchdog.server->plugin;
    struct range range = {0};
    struct place place;
    Dl_info info;

    text[0] = '\0';
    if (dladdr((void *)(uintptr_t)plugin->hooks.handle, &info) == 0 ||
        !find_thread(atomic_load(&watched->thread), &place))
        return;
    range.base = (uintptr_t)info.dli_fbase;
    (void)dl_iterate_phdr(look_at_object, &range);
    uintptr_t found = find_in_plugin(&place, top, &range);
    if (found == 0 || dladdr((void *)found, &info) == 0)
        return;
    (void)snprintf(text, size, ", at %s+0x%lx%s%s", plugin_base_name(plugin), found - range.base,
                   info.dli_sname != NULL ? ", in or behind " : "",
                   info.dli_sname != NULL ? info.dli_sname : "");
}

/* ---- looking ------------------------------------------------------------------------------ */

static void
report(const struct watched_loop *watched)
{
    struct coroutine *coroutine =
        atomic_load_explicit(&watched->loop->current, memory_order_acquire);
    struct log_context context = {0};
    char place[200];

    describe_place(watched, (uintptr_t)coroutine, place, sizeof(place));
    if (coroutine != NULL) {
        const struct ss_request *request = coroutine_extra(coroutine);
        context.request = counter_get(request->slot->request);
    }
    log_set_context(context.request != 0 ? &context : NULL);
    log_warning("the handler keeps its event loop for more than 100 ms%s: other requests wait "
                "for it; wait with ss_sleep() or ss_wait() there, or use mixin \"threading\" "
                "(said once)",
                place);
    log_set_context(NULL);
}

/* Whether a loop was awake; *ret_stuck: one that has not gone on since the last look. */
static bool
look(const struct watched_loop **ret_stuck)
{
    bool awake = false;

    *ret_stuck = NULL;
    for (uint32_t i = 0; i < watchdog.count; i++) {
        struct watched_loop *watched = &watchdog.loops[i];
        uint64_t beat = atomic_load_explicit(&watched->loop->beat, memory_order_relaxed);
        if (beat != 0 && beat == watched->beat && atomic_load(&watched->thread) != 0)
            *ret_stuck = watched;
        awake |= beat != 0;
        watched->beat = beat;
    }
    return awake;
}

/* Until the next look; whether somebody woke us before. */
static bool
await_interval(void)
{
    struct timespec deadline;

    deadline_after(INTERVAL_NS, &deadline);
    return sem_clockwait(&watchdog.wake, CLOCK_MONOTONIC, &deadline) == 0;
}

/*
 * Until a loop wakes up. One that did so just as we said that we rest may not
 * have seen it, and would never be looked at: so there is one more look.
 */
static void
rest(void)
{
    const struct watched_loop *stuck;

    atomic_store(&watchdog.resting, true);
    if (await_interval())
        return;
    if (!look(&stuck)) {
        (void)sem_wait(&watchdog.wake);
        return;
    }
    if (!atomic_exchange(&watchdog.resting, false))
        (void)sem_wait(&watchdog.wake); /* another has seen it */
    (void)await_interval();
}

static void *
watch(void *argument)
{
    const struct watched_loop *stuck;
    unsigned quiet = 0;

    (void)pthread_setname_np(pthread_self(), "watchdog");
    while (!atomic_load(&watchdog.stop)) {
        quiet = look(&stuck) ? 0 : quiet + 1;
        if (stuck != NULL) {
            report(stuck);
            break;
        }
        if (quiet < REST_AFTER) {
            (void)await_interval();
        } else {
            rest();
            quiet = 0;
        }
    }
    return argument;
}

int
watchdog_start(const struct ss_server *server, struct watched_loop *loops, uint32_t count)
{
    sigset_t every, old;

    watchdog.server = server;
    watchdog.loops = loops;
    watchdog.count = count;
    if (sem_init(&watchdog.wake, 0, 0) < 0 || sem_init(&sample.taken, 0, 0) < 0)
        return -errno;
    (void)sigfillset(&every);
    (void)pthread_sigmask(SIG_BLOCK, &every, &old);
    int error = pthread_create(&watchdog.thread, NULL, watch, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    watchdog.running = error == 0;
    return -error;
}

void
watchdog_stop(void)
{
    if (!watchdog.running)
        return;
    atomic_store(&watchdog.stop, true);
    (void)sem_post(&watchdog.wake);
    (void)pthread_join(watchdog.thread, NULL);
    watchdog.running = false;
}

void
watchdog_wake(void)
{
    if (atomic_load_explicit(&watchdog.resting, memory_order_relaxed) &&
        atomic_exchange(&watchdog.resting, false))
        (void)sem_post(&watchdog.wake);
}
