/* SPDX-License-Identifier: MIT */
/*
 * context.c - the daemon's threads inside the interpreter
 *
 * A thread keeps its Python state from request to request. What Python's own threads would not
 * share between two requests, threading.local, is emptied in between.
 *
 * A request that is cut must end although it computes: the signal that interrupts its thread is
 * answered here, too, and an exception is raised in the Python code that runs. In a forked child
 * Python's own way with signals does that; in threads a guard does, which is asleep otherwise.
 *
 * Runs in:  every thread that serves; the guard's own; a signal handler.
 * Owns:     the Python state of each thread that serves.
 * Failures: without a guard, what spins is ended by the daemon with its worker.
 */
#include "python.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

#define KEPT_SIGNALS 5 /* the last one is SIGURG */

struct context {
    PyThreadState *thread;
    unsigned long number;       /* Python's, of the thread */
    struct ss_request *request; /* that it runs; NULL: none */
    volatile sig_atomic_t cut;  /* it shall end */
    bool told;                  /* and the exception is on its way */
    bool named;
    struct context *next;
};

static _Thread_local struct context own;

static struct {
    pthread_mutex_t lock; /* of the list; nobody waits for the interpreter's lock with it */
    struct context *first;
    pthread_key_t key;
    sem_t wanted; /* by a signal handler */
    struct sigaction interrupt;
    struct sigaction kept[KEPT_SIGNALS];
} contexts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const int kept_signals[] = {SIGTERM, SIGCHLD, SIGPIPE, SIGINT, SIGURG};

struct ss_request *
context_request(void)
{
    return own.request;
}

bool
context_is_cut(void)
{
    return own.cut != 0 || (own.request != NULL && own.told);
}

/* ---- threads ---------------------------------------------------------------------------- */

static void
list_context(void)
{
    (void)pthread_mutex_lock(&contexts.lock);
    own.next = contexts.first;
    contexts.first = &own;
    (void)pthread_mutex_unlock(&contexts.lock);
}

static void
unlist_context(void)
{
    (void)pthread_mutex_lock(&contexts.lock);
    for (struct context **place = &contexts.first; *place != NULL; place = &(*place)->next)
        if (*place == &own) {
            *place = own.next;
            break;
        }
    (void)pthread_mutex_unlock(&contexts.lock);
}

/* A thread ends that has served. */
static void
on_thread_end(void *context)
{
    (void)context;
    unlist_context();
    PyEval_RestoreThread(own.thread);
    (void)interpreter_ask("thread_ends", "()");
    PyThreadState_Clear(own.thread);
    PyThreadState_DeleteCurrent();
    own.thread = NULL;
}

static void
adopt_thread(void)
{
    bool known = PyGILState_GetThisThreadState() != NULL;

    (void)PyGILState_Ensure();
    own.thread = PyThreadState_Get();
    own.number = PyThread_get_thread_ident();
    list_context();
    if (!known)
        (void)pthread_setspecific(contexts.key, &own);
    own.named = known; /* Python's own threads have names */
}

void
interpreter_enter(struct ss_request *request)
{
    forks_enter();
    if (own.thread == NULL)
        adopt_thread();
    else
        PyEval_RestoreThread(own.thread);
    if (request != NULL && !own.named) {
        (void)interpreter_ask("thread_begins", "(s)", ss_worker_name(request));
        own.named = true;
    }
    own.cut = 0;
    own.request = request;
}

/* What was imported meanwhile stays, and is a part of the listener. What a forked child imports
 * ends with it, and the next one reads it anew. */
static void
name_imports(void)
{
    Py_ssize_t modules = PyDict_Size(PyImport_GetModuleDict());

    if (interpreter.forking || interpreter.modules < 0 || modules == interpreter.modules)
        return;
    interpreter.modules = modules;
    (void)interpreter_ask("name_files", "()");
}

void
interpreter_leave(void)
{
    name_imports();
    own.request = NULL;
    if (own.told) {
        (void)PyThreadState_SetAsyncExc(own.number, NULL); /* in case it has come too late */
        own.told = false;
    }
    PyObject *locals = interpreter.threading ? PyThreadState_GetDict() : NULL;
    if (locals != NULL && PyDict_Size(locals) > 0)
        PyDict_Clear(locals);
    (void)PyEval_SaveThread();
}

/* ---- ending what runs ---------------------------------------------------------------------- */

/* The daemon's own handler comes first: it shuts the connection of a request that is cut. */
static void
on_interrupt(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    contexts.interrupt.sa_sigaction(number, info, context);
    if (own.request != NULL && ss_cancelled(own.request)) {
        own.cut = 1;
        if (interpreter.forking)
            (void)PyErr_SetInterruptEx(SIGURG);
        else
            (void)sem_post(&contexts.wanted);
    }
    errno = saved;
}

/* With the interpreter's lock held, which a thread has, too, when it ends its request. */
static void
end_cut_requests(void)
{
    unsigned long numbers[64];
    size_t count = 0;

    (void)pthread_mutex_lock(&contexts.lock);
    for (struct context *context = contexts.first; context != NULL; context = context->next)
        if (context->cut && context->request != NULL && count < 64) {
            context->cut = 0;
            context->told = true;
            numbers[count++] = context->number;
        }
    (void)pthread_mutex_unlock(&contexts.lock);
    for (size_t i = 0; i < count; i++)
        (void)interpreter_ask("cut", "(k)", numbers[i]);
}

/* The guard may have had to wait for the interpreter's lock since it was told of the request: one
 * that has ended meanwhile, and whatever its thread runs now, is left alone. */
int
context_raise(unsigned long number, PyObject *exception)
{
    int raised = 0;

    (void)pthread_mutex_lock(&contexts.lock);
    for (struct context *context = contexts.first; context != NULL; context = context->next)
        if (context->number == number && context->told && context->request != NULL)
            raised = PyThreadState_SetAsyncExc(number, exception);
    (void)pthread_mutex_unlock(&contexts.lock);
    return raised;
}

static void *
guard(void *unused)
{
    (void)unused;
    for (;;) {
        while (sem_wait(&contexts.wanted) < 0)
            ;
        while (sem_trywait(&contexts.wanted) == 0)
            ;
        PyGILState_STATE state = PyGILState_Ensure();
        end_cut_requests();
        PyGILState_Release(state);
    }
    return NULL;
}

static int
start_guard(void)
{
    sigset_t all, old;
    pthread_t thread;

    (void)sem_init(&contexts.wanted, 0, 0);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &old);
    int error = pthread_create(&thread, NULL, guard, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error == 0)
        (void)pthread_detach(thread);
    return -error;
}

int
contexts_prepare(void)
{
    int error = -pthread_key_create(&contexts.key, on_thread_end);

    if (error == 0 && !interpreter.forking)
        error = start_guard();
    if (error < 0)
        return error;
    for (size_t i = 0; i < KEPT_SIGNALS; i++)
        (void)sigaction(kept_signals[i], NULL, &contexts.kept[i]);
    contexts.interrupt = contexts.kept[KEPT_SIGNALS - 1];
    struct sigaction action = contexts.interrupt;
    if (action.sa_flags & SA_SIGINFO) {
        action.sa_sigaction = on_interrupt;
        contexts.kept[KEPT_SIGNALS - 1] = action;
    }
    error = interpreter_ask("take_signals", "()");
    contexts_restore_signals();
    return error;
}

void
contexts_restore_signals(void)
{
    for (size_t i = 0; i < KEPT_SIGNALS; i++)
        (void)sigaction(kept_signals[i], &contexts.kept[i], NULL);
}
