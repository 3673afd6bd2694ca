/* SPDX-License-Identifier: MIT */
/*
 * python.c - handlers of Python's socketserver, and whole scripts, as a plugin
 *
 * An interpreter runs in each worker. With `handler` it imports a module and makes a server of the
 * class; with `script` it runs the script, whose server object is taken over where it calls
 * serve_forever(). For each request Python's own classes run, on the client's own socket; only the
 * loop around them is the daemon's. The manual is sockserverd-python(7).
 *
 * Runs in:  the worker's main thread; a handler thread or child.
 * Owns:     nothing: a request's descriptor stays the daemon's.
 * Failures: logged by serve.py, once, with the traceback, and returned.
 */
#include "python.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static const struct ss_option options[] = {
    {.name = "handler",
     .type = SS_STRING,
     .max = 1000,
     .help = "\"MODULE:CLASS\", a request handler of Python's socketserver"},
    {.name = "script",
     .type = SS_STRING,
     .max = 4095,
     .help = "a Python program that calls serve_forever(), instead of handler"},
    {.name = "arguments", .type = SS_LIST, .help = "the script's arguments, sys.argv[1:]"},
    {.name = "path", .type = SS_LIST, .help = "folders that modules are looked for in, first"},
    {.name = "venv", .type = SS_STRING, .max = 4000, .help = "a virtual environment's folder"},
    {0},
};

SS_PLUGIN(.name = "python", .summary = "serves handlers and scripts of Python's socketserver",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING, .options = options)

/* What is served was not said, or twice. */
static int
check_choice(struct ss_server *server)
{
    const char *handler = ss_option_string(server, "handler");
    const char *script = ss_option_string(server, "script");
    const char *colon = strchr(handler, ':');

    if (handler[0] != '\0' && script[0] != '\0')
        ss_complain(server, "script", "found \"%s\", and handler = \"%s\"; expected one of them",
                    script, handler);
    else if (handler[0] == '\0' && script[0] == '\0')
        ss_complain(server, "handler",
                    "there is nothing to serve; expected \"MODULE:CLASS\", or the option script");
    else if (script[0] == '\0' && (colon == NULL || colon == handler || colon[1] == '\0'))
        ss_complain(server, "handler",
                    "found \"%s\"; expected \"MODULE:CLASS\", for example \"echo:MyHandler\"",
                    handler);
    else
        return 0;
    return -EINVAL;
}

int
check_options(struct ss_server *server)
{
    int error = check_choice(server);

    if (error == 0)
        interpreter_check(server);
    return error;
}

static int
load_handler(struct ss_server *server)
{
    int error = interpreter_start(server);

    if (error == 0)
        error = interpreter_ask("load_handler", "(s)", ss_option_string(server, "handler"));
    if (error == 0)
        error = contexts_prepare();
    interpreter.main = PyEval_SaveThread();
    return error;
}

/* What of the server object's own need not be called is not. */
static void
learn_overrides(void)
{
    interpreter_enter(NULL);
    interpreter.verifies = interpreter_ask("overrides", "(s)", "verify_request") > 0;
    interpreter.acts = interpreter_ask("overrides", "(s)", "service_actions") > 0;
    interpreter.times_out = interpreter_ask("overrides", "(s)", "handle_timeout") > 0;
    interpreter.plain = !interpreter.verifies && plain_prepare();
    (void)interpreter_ask("name_files", "()");
    interpreter.modules = PyDict_Size(PyImport_GetModuleDict());
    interpreter_leave();
}

int
server_activate(struct ss_server *server)
{
    int error = check_choice(server);
    const char *mixin = ss_server_mixin(server);

    if (error < 0)
        return error;
    if (ss_server_fd(server) < 0) {
        ss_log(LOG_ERR, "python serves listeners only, which have a socket");
        return -ENOTSUP;
    }
    interpreter.server = server;
    interpreter.forking = strcmp(mixin, "forking") == 0;
    interpreter.threading = strcmp(mixin, "threading") == 0;
    if (ss_option_string(server, "script")[0] != '\0')
        error = script_start(server);
    else
        error = load_handler(server);
    if (error == 0) {
        learn_overrides();
        if (interpreter.forking)
            error = forks_follow();
    }
    return error;
}

void
server_close(struct ss_server *server)
{
    (void)server;
    if (interpreter.serve == NULL)
        return;
    interpreter_enter(NULL);
    (void)interpreter_ask("stop", "()");
    interpreter_leave();
    script_stop();
}

/* A hook of the server object's. */
static void
call_hook(const char *name)
{
    interpreter_enter(NULL);
    (void)interpreter_ask("call_hook", "(s)", name);
    interpreter_leave();
    if (interpreter.forking)
        (void)forks_follow();
}

void
service_actions(struct ss_server *server)
{
    (void)server;
    if (interpreter.acts)
        call_hook("service_actions");
}

void
handle_timeout(struct ss_server *server)
{
    (void)server;
    if (interpreter.times_out)
        call_hook("handle_timeout");
}

/*
 * The client's own socket, or -ENOTSUP: its bytes are not the client's, or some of them have been
 * read. Python waits as long as it likes; a gate may have limited that.
 */
static int
plain_socket(struct ss_request *request)
{
    static const struct timeval for_ever = {0};
    int fd = ss_fd(request);

    if (fd < 0 || !interpreter.stream)
        return fd;
    socklen_t size;
    if (ss_buffered(request) > 0 || ss_client_address(request, &size)->sa_family == AF_UNSPEC)
        return -ENOTSUP;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever));
    return fd;
}

/* The arguments of serve.py's functions for a request: a token, a descriptor, who, and the
 * datagram. */
static int
run(const char *function, struct ss_request *request, int fd)
{
    socklen_t address_size;
    size_t size = 0;
    const struct sockaddr *address = ss_client_address(request, &address_size);
    const void *packet = ss_packet(request, &size);
    PyObject *client = address_object(address, address_size, interpreter.stream);
    PyObject *data =
        packet == NULL ? Py_NewRef(Py_None) : PyBytes_FromStringAndSize(packet, (Py_ssize_t)size);
    PyObject *token = PyLong_FromVoidPtr(request);
    if (client == NULL || data == NULL || token == NULL) {
        PyErr_Clear();
        Py_XDECREF(client);
        Py_XDECREF(data);
        Py_XDECREF(token);
        return -ENOMEM;
    }
    return interpreter_ask(function, "(NiNN)", token, fd, client, data);
}

/* Where the server object has its own, it is asked here, so that a refusal is counted as one. */
bool
verify_request(struct ss_request *request)
{
    if (!interpreter.verifies)
        return true;
    interpreter_enter(request);
    int result = run("verify", request, plain_socket(request));
    interpreter_leave();
    return result > 0;
}

int
handle(struct ss_request *request)
{
    interpreter_enter(request);
    int fd = plain_socket(request);
    int error =
        interpreter.plain && fd >= 0 ? plain_handle(request, fd) : run("handle", request, fd);
    if (error < 0 && context_is_cut())
        error = -ECANCELED;
    interpreter_leave();
    return error;
}

/* serve.py has said what it was, with its traceback. */
void
handle_error(struct ss_request *request, int error)
{
    (void)request, (void)error;
}
