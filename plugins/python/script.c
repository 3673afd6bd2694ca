/* SPDX-License-Identifier: MIT */
/*
 * script.c - running a script beside the daemon that serves for it
 *
 * Under "none" and "threading" the script has a thread of its own, Python's main thread. Where
 * children are forked there must be no thread: the script then runs on a stack of its own and
 * stands still while the daemon serves, from its serve_forever() to the end of the listener.
 * What Python calls meanwhile ends before the script goes on, so that to the interpreter these are
 * calls from within serve_forever().
 *
 * Runs in:  the worker's main thread, and the script's thread.
 * Owns:     the script's stack or thread.
 * Failures: a script that ends without serving is an error of the listener.
 */
#include "python.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_SIZE ((size_t)8 << 20)
#define PATIENCE   1 /* seconds, for a script that has been told to end; and once more */

enum script_state { SCRIPT_NONE, SCRIPT_RUNS, SCRIPT_SERVES, SCRIPT_ENDED };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum script_state state;
    pthread_t thread;
    ucontext_t daemon, own; /* where both go on; not for threads */
    void *stack;
    int error;
} script = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void
set_state(enum script_state state)
{
    (void)pthread_mutex_lock(&script.lock);
    if (script.state != SCRIPT_ENDED)
        script.state = state;
    (void)pthread_cond_broadcast(&script.changed);
    (void)pthread_mutex_unlock(&script.lock);
}

/* With the interpreter started; its lock is held before and behind. */
static int
run(void)
{
    int error = contexts_prepare();

    if (error == 0)
        error =
            interpreter_ask("run_script", "(s)", ss_option_string(interpreter.server, "script"));
    return error;
}

/* ---- on a stack of its own --------------------------------------------------------------- */

static void
switch_stack(ucontext_t *from, const ucontext_t *to, const void *stack, size_t size)
{
#if defined(__SANITIZE_ADDRESS__)
    void *fake;
    __sanitizer_start_switch_fiber(&fake, stack, size);
    (void)swapcontext(from, to);
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#else
    (void)stack, (void)size;
    (void)swapcontext(from, to);
#endif
}

static const void *daemon_stack;
static size_t daemon_stack_size;

static void
fiber_main(void)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(NULL, &daemon_stack, &daemon_stack_size);
#endif
    script.error = run();
    set_state(SCRIPT_ENDED);
    script_leave();
}

_Noreturn void
script_leave(void)
{
    set_state(SCRIPT_ENDED);
    for (;;)
        switch_stack(&script.own, &script.daemon, daemon_stack, daemon_stack_size);
}

static void
go_on(void)
{
    switch_stack(&script.daemon, &script.own, script.stack, STACK_SIZE);
}

static int
start_on_stack(struct ss_server *server)
{
    int error = interpreter_start(server);

    script.stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (error == 0 && (script.stack == MAP_FAILED || getcontext(&script.own) < 0))
        error = -ENOMEM;
    if (error == 0) {
        (void)mprotect(script.stack, 4096, PROT_NONE); /* an overflow ends the worker */
        script.own.uc_stack.ss_sp = script.stack;
        script.own.uc_stack.ss_size = STACK_SIZE;
        script.own.uc_link = NULL;
        makecontext(&script.own, fiber_main, 0);
        set_state(SCRIPT_RUNS);
        go_on();
        error = script.error;
    }
    interpreter.main = PyEval_SaveThread();
    return error;
}

/* ---- in a thread of its own ---------------------------------------------------------------- */

static void *
thread_main(void *unused)
{
    (void)unused;
    script.error = interpreter_start(interpreter.server);
    if (script.error == 0)
        script.error = run();
    interpreter.main = PyEval_SaveThread();
    bool served = script.state == SCRIPT_SERVES;
    set_state(SCRIPT_ENDED);
    if (served)
        ss_server_stop(interpreter.server);
    return NULL;
}

static int
start_thread(void)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);

    if (error == 0)
        error = pthread_attr_setstacksize(&attributes, STACK_SIZE);
    set_state(SCRIPT_RUNS);
    if (error == 0)
        error = pthread_create(&script.thread, &attributes, thread_main, NULL);
    if (error != 0)
        return -error;
    (void)pthread_mutex_lock(&script.lock);
    while (script.state == SCRIPT_RUNS)
        (void)pthread_cond_wait(&script.changed, &script.lock);
    (void)pthread_mutex_unlock(&script.lock);
    return 0;
}

/* ---- its end ------------------------------------------------------------------------------- */

/* Whether it has ended in time. */
static bool
await_end(int seconds)
{
    struct timespec until;
    int error = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    (void)pthread_mutex_lock(&script.lock);
    while (script.state != SCRIPT_ENDED && error == 0)
        error = pthread_cond_timedwait(&script.changed, &script.lock, &until);
    bool ended = script.state == SCRIPT_ENDED;
    (void)pthread_mutex_unlock(&script.lock);
    return ended;
}

/* As a terminal's Ctrl-C does, it gets KeyboardInterrupt, or its own handler of SIGTERM. Whether it
 * has ended then. */
static bool
interrupt(int number)
{
    if (await_end(PATIENCE))
        return true;
    /* A thread that computes looks for it only when it has had to give up the lock. */
    PyGILState_STATE state = PyGILState_Ensure();
    (void)PyErr_SetInterruptEx(number);
    PyGILState_Release(state);
    (void)pthread_kill(script.thread, SIGURG); /* out of a call that waits */
    if (await_end(PATIENCE))
        return true;
    ss_log(LOG_NOTICE, "the script goes on behind serve_forever(); leaving without it");
    return false;
}

/* 0: the script runs in another process, and serve.py ends that. */
static int
stop_signal(void)
{
    interpreter_enter(NULL);
    int number = interpreter_ask("stop_signal", "()");
    interpreter_leave();
    return number;
}

/* Where the script has the worker's own thread, the worker cannot go on without it. */
static void *
watch_end(void *number)
{
    if (!interrupt(*(const int *)number))
        _exit(EXIT_SUCCESS);
    return NULL;
}

static void
stop_on_stack(void)
{
    int number = stop_signal();
    pthread_t watch;

    script.thread = pthread_self();
    int error = number == 0 ? -ESRCH : pthread_create(&watch, NULL, watch_end, &number);
    interpreter_enter(NULL);
    while (script.state != SCRIPT_ENDED)
        go_on();
    interpreter_leave();
    if (error == 0)
        (void)pthread_join(watch, NULL);
}

/* ---- both ------------------------------------------------------------------------------------ */

int
script_start(struct ss_server *server)
{
    int error = interpreter.forking ? start_on_stack(server) : start_thread();

    if (error < 0 || script.error < 0)
        return error < 0 ? error : script.error;
    if (script.state == SCRIPT_ENDED) {
        ss_log(LOG_ERR,
               "%s has ended and serves nothing: it has not called serve_forever() or "
               "handle_request() of a server of socketserver",
               ss_option_string(server, "script"));
        return -ENOEXEC;
    }
    contexts_restore_signals();
    return 0;
}

void
script_serves(void)
{
    set_state(SCRIPT_SERVES);
    if (interpreter.forking)
        switch_stack(&script.own, &script.daemon, daemon_stack, daemon_stack_size);
}

void
script_stop(void)
{
    if (script.state != SCRIPT_SERVES)
        return;
    if (interpreter.forking)
        stop_on_stack();
    else
        (void)interrupt(stop_signal());
}
