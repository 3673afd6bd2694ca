/* SPDX-License-Identifier: MIT */
/*
 * plain.c - a connection of a forked child, with as little of Python as possible
 *
 * A child must copy each page that it writes to, and whatever Python runs it writes to. So where
 * the server's class changes nothing of what Python's own does with a connection, the handler's
 * class is called from here, and nothing else of Python's runs. What a handler raises goes the long
 * way.
 *
 * Runs in:  a child.
 * Owns:     nothing: the descriptor stays the daemon's.
 * Failures: logged by serve.py, and returned.
 */
#include "python.h"

#include <errno.h>
#include <sys/socket.h>

static struct {
    PyTypeObject *kind, *base; /* socket.socket, and what it is made of; NULL: not a plain server */
    PyObject *server;          /* the server object */
    PyObject *lines[2];        /* unfinished ones, by thread */
    PyObject *family, *type, *zero;                         /* of a connection */
    PyObject *handler, *io_refs, *closed, *fileno, *detach; /* names */
} plain;

bool
plain_prepare(void)
{
    PyObject *parts = interpreter_call("plain_parts", "()");

    if (parts == NULL || parts == Py_None ||
        !PyArg_ParseTuple(parts, "OOOOOOO", &plain.kind, &plain.base, &plain.server,
                          &plain.lines[0], &plain.lines[1], &plain.family, &plain.detach)) {
        PyErr_Clear();
        Py_XDECREF(parts);
        plain.kind = NULL;
        return false;
    }
    /* Kept for ever, and so are the parts. */
    plain.type = PyLong_FromLong(SOCK_STREAM);
    plain.zero = PyLong_FromLong(0);
    plain.handler = PyUnicode_InternFromString("RequestHandlerClass");
    plain.io_refs = PyUnicode_InternFromString("_io_refs");
    plain.closed = PyUnicode_InternFromString("_closed");
    plain.fileno = PyUnicode_InternFromString("fileno");
    return true;
}

/* What socket.socket(family, type, 0, fd) makes. */
static PyObject *
connection_object(PyObject *fd)
{
    PyObject *nothing = PyTuple_New(0);
    PyObject *arguments = PyTuple_Pack(4, plain.family, plain.type, plain.zero, fd);
    PyObject *object = NULL;

    if (nothing != NULL && arguments != NULL)
        object = plain.kind->tp_new(plain.kind, nothing, NULL);
    if (object != NULL && (plain.base->tp_init(object, arguments, NULL) < 0 ||
                           PyObject_SetAttr(object, plain.io_refs, plain.zero) < 0 ||
                           PyObject_SetAttr(object, plain.closed, Py_False) < 0))
        Py_CLEAR(object);
    Py_XDECREF(arguments);
    Py_XDECREF(nothing);
    return object;
}

/* Python forgets the descriptor, unless the handler has closed it. */
static void
let_go(PyObject *connection, long fd)
{
    PyObject *number = PyObject_CallMethodNoArgs(connection, plain.fileno);

    if (number != NULL && PyLong_AsLong(number) == fd) {
        (void)PyObject_SetAttr(connection, plain.closed, Py_True);
        Py_XDECREF(PyObject_CallOneArg(plain.detach, connection));
    }
    PyErr_Clear();
    Py_XDECREF(number);
}

static int
fail(PyObject *connection, PyObject *client, int fd)
{
    PyObject *type, *error, *trace;

    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL)
        (void)PyException_SetTraceback(error, trace);
    int result = connection == NULL
                     ? interpreter_ask("report", "(O)", error)
                     : interpreter_ask("fail_plainly", "(iOOO)", fd, connection, client, error);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return connection == NULL ? -ECONNABORTED : result;
}

int
plain_handle(struct ss_request *request, int fd)
{
    socklen_t size;
    const struct sockaddr *address = ss_client_address(request, &size);
    PyObject *client = address_object(address, size, true);
    PyObject *number = client == NULL ? NULL : PyLong_FromLong(fd);
    PyObject *connection = number == NULL ? NULL : connection_object(number);
    PyObject *handler = connection == NULL ? NULL : PyObject_GetAttr(plain.server, plain.handler);
    PyObject *arguments[] = {NULL, connection, client, plain.server};
    PyObject *result =
        handler == NULL
            ? NULL
            : PyObject_Vectorcall(handler, arguments + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    int error = 0;

    if (result == NULL)
        error = fail(connection, client, fd);
    else
        let_go(connection, fd);
    if (PyDict_GET_SIZE(plain.lines[0]) > 0 || PyDict_GET_SIZE(plain.lines[1]) > 0 ||
        context_is_cut())
        (void)interpreter_ask("end_plainly", "()");
    Py_XDECREF(result);
    Py_XDECREF(handler);
    Py_XDECREF(connection);
    Py_XDECREF(number);
    Py_XDECREF(client);
    return error;
}
