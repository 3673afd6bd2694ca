/* SPDX-License-Identifier: MIT */
/*
 * forks.c - the children that the daemon forks, inside the interpreter
 *
 * A child must copy each page of memory that it writes to, and Python writes to all that it
 * touches. So a fork of a process that has no threads calls nothing of Python's but what the user's
 * modules have registered with os.register_at_fork(); where they have registered nothing, it does
 * not even take the interpreter's lock. Where there may be threads, or forks.py has not found what
 * was registered, the fork is done in Python's own way.
 *
 * Runs in:  the worker that forks, and its children.
 * Owns:     nothing.
 * Failures: logged by Python, as it does at its own forks.
 */
#include "python.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/single_threaded.h>
#include <unistd.h>

enum moment { BEFORE, IN_PARENT, IN_CHILD };

static struct {
    pid_t zygote;     /* 0: this is a child that has run something */
    PyObject *needed; /* three tuples of functions, by moment; NULL: Python's own way */
    int socket;       /* the server object's; -1: it has none that a child could do without */
    int nothing;      /* what it is in a child */
    bool followed;    /* the handlers below are registered */
    bool by_daemon;   /* the fork that is under way; Python sees to its own forks itself */
} forks = {.socket = -1, .nothing = -1};

static bool
calls_nothing(enum moment moment)
{
    return PyTuple_GET_SIZE(PyTuple_GET_ITEM(forks.needed, moment)) == 0;
}

/* With the interpreter's lock held. */
static void
call_needed(enum moment moment)
{
    PyObject *functions = PyTuple_GET_ITEM(forks.needed, moment);

    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(functions); i++) {
        PyObject *function = PyTuple_GET_ITEM(functions, i);
        PyObject *result = PyObject_CallNoArgs(function);
        if (result == NULL)
            PyErr_WriteUnraisable(function);
        Py_XDECREF(result);
    }
}

static void
see_to(enum moment moment)
{
    if (calls_nothing(moment))
        return;
    PyEval_RestoreThread(interpreter.main);
    call_needed(moment);
    (void)PyEval_SaveThread();
}

static void
before_fork(void)
{
    forks.by_daemon = !PyGILState_Check();
    if (!forks.by_daemon)
        return;
    if (forks.needed != NULL) {
        see_to(BEFORE);
        return;
    }
    PyEval_RestoreThread(interpreter.main);
    PyOS_BeforeFork();
}

static void
after_fork_in_parent(void)
{
    if (!forks.by_daemon)
        return;
    if (forks.needed != NULL) {
        see_to(IN_PARENT);
        return;
    }
    PyOS_AfterFork_Parent();
    (void)PyEval_SaveThread();
}

static void
after_fork_in_child(void)
{
    if (!forks.by_daemon)
        return;
    if (forks.needed != NULL) {
        see_to(IN_CHILD);
        return;
    }
    PyOS_AfterFork_Child();
    (void)PyEval_SaveThread();
}

/* Whether a fork must see to anything. */
static bool
learn_needs(bool first)
{
    PyObject *needed = NULL;

    interpreter_enter(NULL);
    PyObject *plan = interpreter_call("before_forks", "(i)", (int)first);
    if (plan != NULL && PyArg_ParseTuple(plan, "Oi", &needed, &forks.socket))
        Py_XSETREF(forks.needed,
                   needed == Py_None || !__libc_single_threaded ? NULL : Py_NewRef(needed));
    PyErr_Clear();
    Py_XDECREF(plan);
    interpreter_leave();
    return forks.needed == NULL || !calls_nothing(BEFORE) || !calls_nothing(IN_PARENT) ||
           !calls_nothing(IN_CHILD);
}

/* For each page less a fork has less to do; and what malloc() has put off until somebody wants much
 * memory, each child would have to do, and to copy what that touches. */
static void
tidy_memory(void)
{
    void *much = malloc(100000);

    free(much);
    (void)malloc_trim(0);
}

int
forks_follow(void)
{
    bool first = forks.nothing < 0;

    if (first)
        forks.nothing = eventfd(0, EFD_CLOEXEC);
    if (forks.nothing < 0)
        return -errno;
    forks.zygote = getpid();
    bool needed = learn_needs(first);
    if (first)
        tidy_memory();
    if (!needed || forks.followed)
        return 0;
    forks.followed = true; /* from here on a fork costs a little more */
    return -pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void
forks_enter(void)
{
    if (forks.zygote == 0 || getpid() == forks.zygote)
        return;
    forks.zygote = 0;
    if (forks.socket >= 0)
        (void)dup3(forks.nothing, forks.socket, O_CLOEXEC);
}
