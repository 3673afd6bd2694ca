/* SPDX-License-Identifier: MIT */
/*
 * module.c - the module _sockserverd: the daemon's calls, for the parts in Python
 *
 * A request is a number there. serve.py forgets it when the request ends, and uses it only in the
 * thread that the request runs in.
 *
 * Runs in:  any thread of Python's.
 * Owns:     nothing.
 * Failures: OSError.
 */
#include "python.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static struct ss_request *
request_of(PyObject *token)
{
    return PyLong_AsVoidPtr(token);
}

static PyObject *
failed(int error)
{
    errno = -error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

/* log(level, text) */
static PyObject *
module_log(PyObject *self, PyObject *arguments)
{
    const char *text;
    int level;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "is", &level, &text))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    ss_log(level, "%s", text);
    Py_END_ALLOW_THREADS;
    return Py_NewRef(Py_None);
}

/* read(request, size): bytes, b"" at the end of the stream */
static PyObject *
module_read(PyObject *self, PyObject *arguments)
{
    PyObject *token;
    Py_ssize_t size;
    ssize_t got;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "On", &token, &size))
        return NULL;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
    if (bytes == NULL)
        return NULL;
    char *data = PyBytes_AS_STRING(bytes);
    struct ss_request *request = request_of(token);
    Py_BEGIN_ALLOW_THREADS;
    got = size == 0 ? 0 : ss_read(request, data, (size_t)size);
    Py_END_ALLOW_THREADS;
    if (got < 0) {
        Py_DECREF(bytes);
        return failed((int)got);
    }
    (void)_PyBytes_Resize(&bytes, got);
    return bytes;
}

/* write(request, data): all of it, at once */
static PyObject *
module_write(PyObject *self, PyObject *arguments)
{
    PyObject *token;
    Py_buffer data;
    int error;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "Oy*", &token, &data))
        return NULL;
    struct ss_request *request = request_of(token);
    Py_BEGIN_ALLOW_THREADS;
    error = ss_write(request, data.buf, (size_t)data.len);
    if (error == 0)
        error = ss_flush(request);
    Py_END_ALLOW_THREADS;
    PyBuffer_Release(&data);
    if (error < 0)
        return failed(error);
    return Py_NewRef(Py_None);
}

/* end_output(request): the client finds the end */
static PyObject *
module_end_output(PyObject *self, PyObject *token)
{
    struct ss_request *request = request_of(token);
    int error;

    (void)self;
    Py_BEGIN_ALLOW_THREADS;
    error = ss_shutdown(request);
    Py_END_ALLOW_THREADS;
    return error < 0 ? failed(error) : Py_NewRef(Py_None);
}

/* wait(request, seconds): whether there is input, or the end, within that time */
static PyObject *
module_wait(PyObject *self, PyObject *arguments)
{
    PyObject *token;
    double seconds;
    int result;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "Od", &token, &seconds))
        return NULL;
    struct ss_request *request = request_of(token);
    Py_BEGIN_ALLOW_THREADS;
    result = ss_wait(request, ss_fd(request), POLLIN, seconds);
    Py_END_ALLOW_THREADS;
    if (result < 0)
        return failed(result);
    return PyBool_FromLong(result > 0);
}

/* tls(request): None, or (version, cipher, server_name, alpn, subject) */
static PyObject *
module_tls(PyObject *self, PyObject *token)
{
    struct ss_tls tls = {.size = sizeof(tls)};

    (void)self;
    if (!ss_tls(request_of(token), &tls))
        return Py_NewRef(Py_None);
    return Py_BuildValue("(zzzzz)", tls.version, tls.cipher, tls.server_name, tls.alpn,
                         tls.subject);
}

/* local_address(request) */
static PyObject *
module_local_address(PyObject *self, PyObject *token)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    int error = ss_local_address(request_of(token), (struct sockaddr *)&address, &size);

    (void)self;
    return error < 0 ? failed(error) : address_object((struct sockaddr *)&address, size, true);
}

/* serves(): the daemon serves from here on */
static PyObject *
module_serves(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    script_serves();
    return Py_NewRef(Py_None);
}

/* leave(): this process has no use for the script any more */
static PyObject *
module_leave(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    script_leave();
}

/* uses(path): the listener has changed where this file has */
static PyObject *
module_uses(PyObject *self, PyObject *argument)
{
    const char *path = PyUnicode_AsUTF8(argument);
    int error;

    (void)self;
    if (path == NULL)
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    error = ss_server_uses(interpreter.server, path);
    Py_END_ALLOW_THREADS;
    return PyLong_FromLong(error);
}

/* stop(): asks for the end of the listener */
static PyObject *
module_stop(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    ss_server_stop(interpreter.server);
    return Py_NewRef(Py_None);
}

/* is_cut(): whether the request of this thread must end now */
static PyObject *
module_is_cut(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return PyBool_FromLong(context_is_cut());
}

/* in_request() */
static PyObject *
module_in_request(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return PyBool_FromLong(context_request() != NULL);
}

/* raise_in(thread, exception) */
static PyObject *
module_raise_in(PyObject *self, PyObject *arguments)
{
    unsigned long thread;
    PyObject *exception;

    (void)self;
    if (!PyArg_ParseTuple(arguments, "kO", &thread, &exception))
        return NULL;
    return PyLong_FromLong(context_raise(thread, exception));
}

/* end_with_parent() */
static PyObject *
module_end_with_parent(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return Py_NewRef(Py_None);
}

static PyMethodDef methods[] = {
    {"log", module_log, METH_VARARGS, NULL},
    {"read", module_read, METH_VARARGS, NULL},
    {"write", module_write, METH_VARARGS, NULL},
    {"end_output", module_end_output, METH_O, NULL},
    {"wait", module_wait, METH_VARARGS, NULL},
    {"tls", module_tls, METH_O, NULL},
    {"local_address", module_local_address, METH_O, NULL},
    {"serves", module_serves, METH_NOARGS, NULL},
    {"leave", module_leave, METH_NOARGS, NULL},
    {"uses", module_uses, METH_O, NULL},
    {"stop", module_stop, METH_NOARGS, NULL},
    {"is_cut", module_is_cut, METH_NOARGS, NULL},
    {"in_request", module_in_request, METH_NOARGS, NULL},
    {"raise_in", module_raise_in, METH_VARARGS, NULL},
    {"end_with_parent", module_end_with_parent, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_sockserverd",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
module_init(void)
{
    return PyModule_Create(&definition);
}
