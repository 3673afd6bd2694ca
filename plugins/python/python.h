/* SPDX-License-Identifier: MIT */
/*
 * python.h - what the files of the plugin share
 *
 * A worker has one listener, so there is one interpreter and one record of it.
 */
#ifndef PLUGIN_PYTHON_H
#define PLUGIN_PYTHON_H

#define PY_SSIZE_T_CLEAN
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <Python.h>
#pragma GCC diagnostic pop

#include <sockserver/plugin.h>
#include <stdatomic.h>

struct interpreter {
    struct ss_server *server;
    bool forking, threading; /* neither: one request after another */
    bool stream;
    PyThreadState *main;  /* of the thread that has started the interpreter */
    PyObject *serve;      /* the module that serves; see serve.py */
    bool plain;           /* plain.c does all that the server object does with a connection */
    bool verifies;        /* the server object has a verify_request() of its own */
    bool acts, times_out; /* and service_actions(), handle_timeout() */
    Py_ssize_t modules;   /* how many there were when their files were named; -1: not yet */
};

extern struct interpreter interpreter;

/* ---- interpreter.c: starting it, and calling into it ------------------------------------ */

/* In the calling thread, which holds the interpreter's lock afterwards. */
int interpreter_start(struct ss_server *server);

/* Complains of what is wrong with script or handler, without running any of it; in a process that
 * serves nothing. */
void interpreter_check(struct ss_server *server);

/* The module of the daemon's own calls, registered before the interpreter starts. */
PyMODINIT_FUNC module_init(void);

/* Calls a function of serve.py with the lock held. The result, or NULL: what went wrong was logged.
 */
PyObject *interpreter_call(const char *name, const char *format, ...);
/* The same, of a function that returns a number. */
int interpreter_ask(const char *name, const char *format, ...);

/* A thread of the daemon's takes the lock, with request as its own; and gives it back. */
void interpreter_enter(struct ss_request *request);
void interpreter_leave(void);

/* Python's form of an address, as accept() and recvfrom() have it. */
PyObject *address_object(const struct sockaddr *address, socklen_t size, bool stream);

/* ---- context.c: the daemon's threads, and ending what they run ---------------------------- */

/* Once, behind interpreter_start(), with the lock held. */
int contexts_prepare(void);
/* A script may have changed what signals do. */
void contexts_restore_signals(void);
/* Whether the calling thread's request has been cut. */
bool context_is_cut(void);
struct ss_request *context_request(void);
/* Raises it in the thread of that number, if its request is one that must end. With the
 * interpreter's lock held. Whether it did. */
int context_raise(unsigned long number, PyObject *exception);

/* ---- forks.c: the children that the daemon forks --------------------------------------------- */

/* Children are forked from here on; again, whenever something of the user's has run. */
int forks_follow(void);
/* Before Python runs: a child has its connection, and needs the listener's socket no more. */
void forks_enter(void);

/* ---- plain.c: a connection, the short way ---------------------------------------------------- */

/* Whether the server object is one for that. */
bool plain_prepare(void);
/* The handler runs. 0, or a negative errno. With the interpreter's lock held. */
int plain_handle(struct ss_request *request, int fd);

/* ---- script.c: a script, until it serves, and from then on ---------------------------------- */

int script_start(struct ss_server *server);
/* In the script: from here on the daemon serves. Returns where it runs beside the daemon's
 * threads; else when the listener stops. */
void script_serves(void);
/* The script shall come to its end now; it is given some time for that. */
void script_stop(void);
/* The process that forks has the server only: the script goes on in another. Never returns. */
_Noreturn void script_leave(void);

#endif
