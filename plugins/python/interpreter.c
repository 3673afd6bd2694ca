/* SPDX-License-Identifier: MIT */
/*
 * interpreter.c - starting Python in a worker, and calling into it
 *
 * The parts of this plugin that are written in Python lie in the plugin itself, so that they can
 * neither be missing nor be of another version. The interpreter takes no settings from the
 * environment, writes no files, and is never taken down: threads may still run in it when the
 * worker ends.
 *
 * Runs in:  the worker's main thread, or the script's.
 * Owns:     the interpreter.
 * Failures: logged here, once.
 */
#include "python.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

struct interpreter interpreter = {.modules = -1};

/* A text of the source, with a zero behind it. */
#define EMBED(name, file)                                                                          \
    __asm__(".pushsection .rodata\n"                                                               \
            ".hidden source_" name "\n.global source_" name "\n"                                   \
            "source_" name ":\n.incbin \"" SOURCE_FOLDER "/" file "\"\n.byte 0\n"                  \
            ".popsection\n")

EMBED("output", "output.py");
EMBED("cut", "cut.py");
EMBED("stream", "stream.py");
EMBED("listener", "listener.py");
EMBED("forks", "forks.py");
EMBED("plain", "plain.py");
EMBED("source", "source.py");
EMBED("serve", "serve.py");
extern const char source_output[], source_cut[], source_stream[], source_listener[], source_forks[],
    source_plain[], source_source[], source_serve[];

/* In the order of their needs. */
static const struct source {
    const char *module, *text;
} sources[] = {
    {"_sockserverd_output", source_output}, {"_sockserverd_cut", source_cut},
    {"_sockserverd_stream", source_stream}, {"_sockserverd_listener", source_listener},
    {"_sockserverd_forks", source_forks},   {"_sockserverd_plain", source_plain},
    {"_sockserverd_source", source_source}, {"_sockserverd_serve", source_serve},
};

/* Python's extension modules find its functions only if they are everybody's; the daemon keeps a
 * plugin's libraries to the plugin. */
static int
share_library(void)
{
    Dl_info info;

    if (dladdr((const void *)(uintptr_t)Py_InitializeFromConfig, &info) == 0 ||
        dlopen(info.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD) == NULL) {
        ss_log(LOG_ERR, "cannot share Python's library with its modules: %s", dlerror());
        return -ENOEXEC;
    }
    return 0;
}

/* A program in the virtual environment tells Python where that is. */
static int
find_environment(struct ss_server *server, char *program, size_t size)
{
    const char *venv = ss_option_string(server, "venv");
    struct stat status;

    program[0] = '\0';
    if (venv[0] == '\0')
        return 0;
    (void)snprintf(program, size, "%s/pyvenv.cfg", venv);
    if (stat(program, &status) < 0) {
        ss_complain(server, "venv",
                    "found \"%s\", which is no virtual environment: %s: %s; make one with "
                    "python3 -m venv %s",
                    venv, program, strerror(errno), venv);
        return -ENOENT;
    }
    (void)snprintf(program, size, "%s/bin/python3", venv);
    return 0;
}

static PyStatus
configure(PyConfig *config, const char *program)
{
    PyPreConfig early;

    PyPreConfig_InitIsolatedConfig(&early);
    early.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&early);
    if (PyStatus_Exception(status))
        return status;
    PyConfig_InitIsolatedConfig(config);
    config->write_bytecode = 0;
    config->install_signal_handlers = 0;
    config->safe_path = 1;
    return program[0] == '\0'
               ? PyConfig_SetBytesString(config, &config->program_name, "/usr/bin/python3")
               : PyConfig_SetBytesString(config, &config->program_name, program);
}

static int
initialise(const char *program)
{
    PyConfig config;

    if (PyImport_AppendInittab("_sockserverd", module_init) < 0)
        return -ENOMEM;
    PyStatus status = configure(&config, program);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (!PyStatus_Exception(status))
        return 0;
    ss_log(LOG_ERR, "cannot start Python: %s", status.err_msg == NULL ? "?" : status.err_msg);
    return -ENOEXEC;
}

/* Before serve.py is there to do it better. */
static int
report(const char *what)
{
    PyObject *type, *value, *trace;

    PyErr_Fetch(&type, &value, &trace);
    PyObject *text = value == NULL ? NULL : PyObject_Str(value);
    ss_log(LOG_ERR, "%s: %s: %s", what,
           type == NULL ? "no exception" : ((PyTypeObject *)(void *)type)->tp_name,
           text == NULL ? "?" : PyUnicode_AsUTF8(text));
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    PyErr_Clear();
    return -EFAULT;
}

/* The last one is the one that is called; see interpreter_call(). */
static int
load_source(const struct source *source)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "<%s>", source->module);
    PyObject *code = Py_CompileString(source->text, name, Py_file_input);
    PyObject *module = code == NULL ? NULL : PyImport_ExecCodeModule(source->module, code);
    Py_XDECREF(code);
    if (module == NULL)
        return report(source->module);
    Py_XSETREF(interpreter.serve, module);
    return 0;
}

/* All of them, or the one of that name. */
static int
load_sources(const char *only)
{
    int error = 0;

    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]) && error == 0; i++)
        if (only == NULL || strcmp(only, sources[i].module) == 0)
            error = load_source(&sources[i]);
    return error;
}

/* A list of the options' as one of Python's. */
static PyObject *
list_object(struct ss_server *server, const char *name)
{
    size_t count = 0;
    const char *const *items = ss_option_list(server, name, &count);
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *item = PyUnicode_DecodeFSDefault(items[i]);
        if (item == NULL || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

/* With the parts of this plugin, or with one of them. */
static int
begin(struct ss_server *server, const char *only)
{
    char program[4096];
    int error = find_environment(server, program, sizeof(program));

    if (error == 0)
        error = share_library();
    if (error == 0)
        error = initialise(program);
    return error == 0 ? load_sources(only) : error;
}

int
interpreter_start(struct ss_server *server)
{
    int kind = SOCK_STREAM;
    socklen_t size = sizeof(kind);

    (void)getsockopt(ss_server_fd(server), SOL_SOCKET, SO_TYPE, &kind, &size);
    interpreter.stream = kind == SOCK_STREAM;
    int error = begin(server, NULL);
    if (error == 0)
        error = interpreter_ask("prepare", "(sNNi)", ss_server_mixin(server),
                                list_object(server, "path"), list_object(server, "arguments"),
                                ss_server_fd(server));
    return error;
}

void
interpreter_check(struct ss_server *server)
{
    const char *option, *text;

    if (begin(server, "_sockserverd_source") < 0)
        return;
    PyObject *found =
        interpreter_call("check", "(ssN)", ss_option_string(server, "script"),
                         ss_option_string(server, "handler"), list_object(server, "path"));
    for (Py_ssize_t i = 0; found != NULL && i < PyList_Size(found); i++)
        if (PyArg_ParseTuple(PyList_GET_ITEM(found, i), "ss", &option, &text))
            ss_complain(server, option, "%s", text);
    PyErr_Clear();
    Py_XDECREF(found);
}

/* What a function of serve.py returns; NULL: it has raised something. */
static PyObject *
call(const char *name, const char *format, va_list values)
{
    PyObject *arguments = Py_VaBuildValue(format, values);
    PyObject *function = arguments == NULL ? NULL : PyObject_GetAttrString(interpreter.serve, name);
    PyObject *result = function == NULL ? NULL : PyObject_CallObject(function, arguments);

    Py_XDECREF(function);
    Py_XDECREF(arguments);
    return result;
}

PyObject *
interpreter_call(const char *name, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    PyObject *result = call(name, format, values);
    va_end(values);
    if (result == NULL)
        (void)report(name);
    return result;
}

int
interpreter_ask(const char *name, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    PyObject *result = call(name, format, values);
    va_end(values);
    long number = result == NULL || result == Py_None ? 0 : PyLong_AsLong(result);
    bool failed = result == NULL || PyErr_Occurred() != NULL;
    Py_XDECREF(result);
    return failed ? report(name) : (int)number;
}

/* ---- addresses -------------------------------------------------------------------------- */

static PyObject *
unix_address(const struct sockaddr_un *address, socklen_t size, bool stream)
{
    size_t length = size > offsetof(struct sockaddr_un, sun_path)
                        ? size - offsetof(struct sockaddr_un, sun_path)
                        : 0;

    if (length == 0)
        return stream ? PyUnicode_FromString("") : Py_NewRef(Py_None);
    if (address->sun_path[0] == '\0')
        return PyBytes_FromStringAndSize(address->sun_path, (Py_ssize_t)length);
    return PyUnicode_DecodeFSDefaultAndSize(address->sun_path,
                                            (Py_ssize_t)strnlen(address->sun_path, length));
}

/* By hand: what inet_ntop() and printf() need would cost each forked child some pages. */
static PyObject *
ip4_address(const struct sockaddr_in *address)
{
    const uint8_t *bytes = (const uint8_t *)&address->sin_addr;
    char text[INET_ADDRSTRLEN], *end = text;

    for (size_t i = 0; i < 4; i++) {
        if (bytes[i] >= 100)
            *end++ = (char)('0' + bytes[i] / 100);
        if (bytes[i] >= 10)
            *end++ = (char)('0' + bytes[i] / 10 % 10);
        *end++ = (char)('0' + bytes[i] % 10);
        *end++ = '.';
    }
    PyObject *host = PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, text, end - text - 1);
    PyObject *port = PyLong_FromLong(ntohs(address->sin_port));
    PyObject *pair = host == NULL || port == NULL ? NULL : PyTuple_Pack(2, host, port);
    Py_XDECREF(host);
    Py_XDECREF(port);
    return pair;
}

PyObject *
address_object(const struct sockaddr *address, socklen_t size, bool stream)
{
    const struct sockaddr_in6 *in6 = (const void *)address;
    char text[INET6_ADDRSTRLEN] = "";

    switch (address->sa_family) {
    case AF_UNIX:
        return unix_address((const void *)address, size, stream);
    case AF_INET:
        return ip4_address((const void *)address);
    case AF_INET6:
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        return Py_BuildValue("(siII)", text, (int)ntohs(in6->sin6_port), ntohl(in6->sin6_flowinfo),
                             in6->sin6_scope_id);
    default:
        return Py_BuildValue("(si)", "", 0);
    }
}
