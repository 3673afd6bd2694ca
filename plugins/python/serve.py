# SPDX-License-Identifier: MIT
"""Python's servers without their loop, which is the daemon's.

The functions that python.c, context.c and script.c call stand at the end.
"""

import atexit
import builtins
import errno
import importlib
import os
import signal
import socket
import socketserver
import sys
import syslog
import threading
import time
import types

import _sockserverd as daemon
import _sockserverd_forks as forks
import _sockserverd_listener as listener
import _sockserverd_output as output
import _sockserverd_plain as plain
import _sockserverd_source as source
from _sockserverd_cut import Cut, cut, cut_at, on_cut  # cut() is called by context.c
from _sockserverd_stream import Stream

mixin = ""
arguments = []
server = None                  # that the daemon serves for
is_plain = False               # see plain.py
served = 0                     # requests that have ended
asked_for = 0                  # and how many of them handle_request() has returned for
asks = False                   # whether anybody calls it
progress = threading.Condition()
stopped = threading.Event()
running = {}                   # by the request object's id
in_helper = False              # this process has the rest of the script only
helped, warned = False, set()  # another process has it; what was said already
folders = []                   # with the user's own modules
model = None                   # see make_model()


class Running:
    """One request: token is the daemon's, fd its descriptor."""

    __slots__ = ("token", "fd", "connection", "request", "address", "error", "done", "waiter")

    def __init__(self, token, fd, connection, request, address):
        self.token = token
        self.fd = fd
        self.connection = connection
        self.request = request
        self.address = address
        self.error = 0
        self.done = False
        self.waiter = None


def warn_once(text, level=syslog.LOG_NOTICE):
    if text not in warned:
        warned.add(text)
        output.log(level, text)


# ---- servers -------------------------------------------------------------------------------


def kind_of(kind):
    return "datagrams" if kind & socket.SOCK_DGRAM == socket.SOCK_DGRAM else "streams"


def compare(one):
    """Says once where the script wants other things than its listener has."""
    wanted, real = one.socket.wanted, one.socket.getsockname()
    differences = []
    if wanted is not None and wanted != real and not (
            isinstance(wanted, tuple) and wanted[1] in (0, real[1]) and wanted[0] in ("", "localhost", real[0])):
        differences.append(f"the address {wanted!r}, the listener has {real!r}")
    style = ("threading" if isinstance(one, socketserver.ThreadingMixIn) else
             "forking" if isinstance(one, socketserver.ForkingMixIn) else "none")
    if style != mixin:
        differences.append(f"the mixin \"{style}\", the listener has \"{mixin}\"")
    if differences:
        warn_once(f"{type(one).__name__} asks for " + ", and ".join(differences)
                  + ": the listener's settings hold")


def adopt(one):
    """Whether this is the server that the daemon serves for: the first one is."""
    global server, is_plain
    if server is None:
        real = listener.Listener(0, 0, None)
        kinds = kind_of(one.socket_type), kind_of(real.type)
        real.close()
        if kinds[0] != kinds[1]:
            raise OSError(errno.EPROTOTYPE, f"{type(one).__name__} serves {kinds[0]}, and its "
                          f"listener receives {kinds[1]}; give it an address of the other kind")
        if isinstance(one.socket, listener.Listener):
            compare(one)
        is_plain = plain.is_plain(one)
        watch(one)
        server = one
    elif server is not one:
        warn_once(f"a second server, {type(one).__name__}, is not served: a listener has one "
                  "socket; give it a listener of its own", syslog.LOG_WARNING)
    return server is one


def watch(one):
    """Notes how its requests end, whatever its class does."""
    shut, complain = one.shutdown_request, one.handle_error

    def shutdown_request(request):
        try:
            shut(request)
        finally:
            request_done(request)

    def handle_error(request, client_address):
        current = running.get(id(request))
        error = sys.exc_info()[1]
        if current is not None:
            current.error = -(getattr(error, "errno", None) or errno.EIO)
        complain(request, client_address)

    if isinstance(one, socketserver.ThreadingMixIn):
        vars(one).setdefault("_threads", socketserver._Threads())  # none of its own, to be joined
    one.shutdown_request = shutdown_request
    one.handle_error = handle_error


def hand_over(one):
    """The daemon serves for this server from here on."""
    first = server is None
    if first and not in_helper and os.getpid() != home:
        output.log(syslog.LOG_ERR, f"a process that the script has made by os.fork() cannot serve: {LEAVE_OUT}")
        os._exit(1)
    if adopt(one) and first:
        listener.looked_at = None
        output.end_lines()
        daemon.serves()


def end_of(one):
    """The event that ends its serve_forever()."""
    return vars(one).setdefault("_sockserverd_end", threading.Event())


def serve_forever(self, poll_interval=0.5):
    if not end_of(self).is_set():
        hand_over(self)
    if not stopped.is_set():
        end_of(self).wait()


def handle_request(self):
    """Python's handles one request or calls handle_timeout(); so does this."""
    global asked_for, asks
    asks = True
    if stopped.is_set():
        time.sleep(0.1)  # a script that asks for ever is interrupted soon, and best here
    hand_over(self)
    limits = [t for t in (self.socket.gettimeout(), self.timeout) if t is not None]
    with progress:
        came = progress.wait_for(lambda: served > asked_for or stopped.is_set(),
                                 min(limits) if limits else None)
        asked_for += came and not stopped.is_set()
    if not came:
        self.handle_timeout()


def looked_at(one):
    """A script that waits for its socket itself, and then calls handle_request()."""
    global asks
    if server is None and threading.current_thread() is not None and mixin != "forking":
        if getattr(one, "RequestHandlerClass", None) is not None:
            asks = True
            hand_over(one)


def shutdown(self):
    """Asks for the end of the listener, and waits for it where that is possible."""
    if self is not server:
        end_of(self).set()
        return
    daemon.stop()
    if in_helper:
        stopped.set()
    elif not daemon.in_request():
        end_of(self).wait()


def process_in_thread(self, request, client_address):
    self.process_request_thread(request, client_address)


def process_in_child(self, request, client_address):
    try:
        self.finish_request(request, client_address)
    except Exception:
        self.handle_error(request, client_address)
    finally:
        self.shutdown_request(request)


def close_request(self, request):
    """The connection is the daemon's to close."""
    if isinstance(request, Stream):
        return
    if id(request) in running:
        request.detach()
    else:
        request.close()


def handle_error(self, request, client_address):
    report(sys.exc_info()[1])


def report(error):
    if isinstance(error, (BrokenPipeError, ConnectionResetError)):
        output.log(syslog.LOG_INFO, "the client has gone: " + output.describe(error))
    elif daemon.is_cut() and isinstance(error, (OSError, Cut)):
        output.log(syslog.LOG_INFO, "cut: " + output.describe(error))
    else:
        output.log(syslog.LOG_ERR, output.describe(error))


# ---- requests --------------------------------------------------------------------------------


def request_done(request):
    current = running.pop(id(request), None)
    if current is not None:
        current.done = True
        if current.waiter is not None:
            current.waiter.set()


def connection_of(token, fd, address):
    if fd < 0:
        return Stream(token, address)
    return socket.socket(listener.family, socket.SOCK_STREAM, 0, fd)


def begin(token, fd, address, data):
    """What Python's server gets from its get_request(); None: that has failed."""
    connection = None if data is not None else connection_of(token, fd, address)
    listener.incoming[threading.get_ident()] = (data if connection is None else connection, address)
    try:
        request, address = get_request()
    except OSError as error:
        report(error)
        let_go(connection, fd)
        return None
    finally:
        listener.incoming.pop(threading.get_ident(), None)
    current = Running(token, fd, connection, request, address)
    running[id(request)] = current
    return current


def get_request():
    context = getattr(server.socket, "context", None)
    if context is None or isinstance(server.socket, listener.Listener):
        return server.get_request()
    # The script has wrapped its listening socket in TLS.
    connection, address = listener.incoming.pop(threading.get_ident())
    return context.wrap_socket(connection, server_side=True), address


def let_go(connection, fd):
    """Python forgets a descriptor, unless it has closed it."""
    if isinstance(connection, Stream):
        connection._forget()
    elif connection is not None and fd >= 0 and connection.fileno() == fd:
        connection.detach()


def end_plainly():
    cut_at.pop(threading.get_ident(), None)
    output.end_lines()


def end(current):
    global served
    running.pop(id(current.request), None)
    cut_at.pop(threading.get_ident(), None)
    let_go(current.connection, current.fd)
    if current.request is not current.connection and hasattr(current.request, "fileno"):
        let_go(current.request, current.fd)
    output.end_lines()
    with progress:
        served += 1
        progress.notify_all()


def await_done(current):
    """The server's process_request() has given the request to another thread."""
    current.waiter = threading.Event()
    while not current.done and not current.waiter.wait(0.1):
        if daemon.is_cut():
            raise Cut


def process(current):
    """What Python's loop does with a request that it has verified."""
    try:
        server.process_request(current.request, current.address)
        if not current.done:
            await_done(current)
    except BaseException as error:
        fail(current, error)


def fail(current, error):
    """Called where the error is handled."""
    if isinstance(error, Exception):
        server.handle_error(current.request, current.address)
    else:
        current.error = current.error or -errno.ECANCELED
        if not isinstance(error, Cut):
            output.log(syslog.LOG_NOTICE, "the handler ended by " + output.describe(error))
    server.shutdown_request(current.request)


verified = {}  # by thread: the request that verify() has begun


def finish(current, error=None):
    try:
        process(current) if error is None else fail(current, error)
    except BaseException as error:  # in the server's own hooks
        current.error = current.error or -errno.EIO
        report(error)
    finally:
        end(current)
    return current.error


# ---- what the C files call -------------------------------------------------------------------


def prepare(name, path, given, fd):
    """Before anything of the user's is imported."""
    global mixin, arguments, model
    mixin, arguments, model = name, given, make_model()
    output.redirect(stopped)
    sys.path[:0] = path
    folders[:] = path
    listener.fd = fd
    probe = listener.Listener(0, 0, None)
    listener.family = probe.family
    probe.close()
    sys.dont_write_bytecode = True
    socketserver.socket = listener.Sockets()
    socketserver.BaseServer.serve_forever = serve_forever
    socketserver.BaseServer.handle_request = handle_request
    socketserver.BaseServer.shutdown = shutdown
    socketserver.BaseServer.handle_error = handle_error
    socketserver.TCPServer.close_request = close_request
    socketserver.ThreadingMixIn.process_request = process_in_thread
    socketserver.ForkingMixIn.process_request = process_in_child


def load_handler(name):
    module_name, _, class_name = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
        if not (isinstance(found, type) and issubclass(found, socketserver.BaseRequestHandler)):
            raise TypeError(f"{class_name} is no subclass of socketserver.BaseRequestHandler")
        adopt(plain.make_server(found, mixin))
    except BaseException as error:
        output.log(syslog.LOG_ERR, f"cannot load the handler {name}: {output.describe(error)}")
        return -errno.ENOEXEC
    return 0


FILES_MOST = 200  # that the daemon is told of
named, looked = set(), set()  # files that it was told of; modules whose files were looked at


def name_files():
    """The user's own files: whoever changes one and reloads has changed the listener."""
    modules = {name: module for name, module in list(sys.modules.items()) if name not in looked}
    looked.update(modules)
    files = {os.path.realpath(module.__file__) for module in modules.values()
             if isinstance(getattr(module, "__file__", None), str)}
    ours = tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)
    for file in sorted(name for name in files - named if name.startswith(ours)):
        if len(named) < FILES_MOST:
            named.add(file)
            daemon.uses(file)


def overrides(name):
    return plain.has_own(server, name)


def verify(token, fd, address, data):
    current = begin(token, fd, address, data)
    if current is None:
        return 0
    try:
        if server.verify_request(current.request, current.address):
            verified[threading.get_ident()] = current
            return 1
        server.shutdown_request(current.request)
    except BaseException as error:
        report(error)
    end(current)
    return 0


def handle(token, fd, address, data):
    current = verified.pop(threading.get_ident(), None) or begin(token, fd, address, data)
    return -errno.ECONNABORTED if current is None else finish(current)


def plain_parts():
    if is_plain and (mixin == "forking" or not asks):
        return plain.parts(server, listener.family)


def fail_plainly(fd, request, address, error):
    """What has been raised in plain.c's handler goes the way that it goes elsewhere."""
    current = running[id(request)] = Running(None, fd, request, request, address)
    try:
        raise error
    except BaseException:
        return finish(current, error)


def call_hook(name):
    try:
        getattr(server, name)()
    except BaseException as error:
        output.log(syslog.LOG_ERR, f"{name}() failed: {output.describe(error)}")
    output.end_lines()


def before_forks(first):
    return forks.before(first, server)


def make_model():
    """What Python's objects for threads of others have in common, or None.

    To make them anew takes each thread another page of its stack, and an Event that is set for ever.
    """
    own = threading.current_thread()
    model = vars(threading._DummyThread())  # it takes the place of the thread that makes it
    threading._active[threading.get_ident()] = own
    return None if "_handle" in model else model  # which names one thread


def thread_begins(name):
    """threading.current_thread() finds it by its number. Nobody needs to join it."""
    if model is None:
        thread = threading._DummyThread()
        thread._name = name
        threading._dangling.discard(thread)
        return
    thread = threading._DummyThread.__new__(threading._DummyThread)
    number = threading.get_ident()
    thread.__dict__ = {**model, "_name": name, "_ident": number, "_native_id": threading.get_native_id()}
    with threading._active_limbo_lock:
        threading._active[number] = thread


def thread_ends():
    threading._active.pop(threading.get_ident(), None)


def take_signals():
    """In Python's main thread; the daemon's own handlers stay in force beneath."""
    signal.signal(signal.SIGURG, on_cut)
    if signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, None):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def stop():
    stopped.set()
    if server is not None:
        end_of(server).set()
    with progress:
        progress.notify_all()
    if not script_runs:
        leave_python()


def stop_signal():
    if helped:
        return 0
    return signal.SIGTERM if callable(signal.getsignal(signal.SIGTERM)) else signal.SIGINT


# ---- scripts -----------------------------------------------------------------------------------

script_runs = False
home = 0       # the process that the script has been started in
forked = False
LEAVE_OUT = ("the daemon serves in the process that it has started the script in; leave out what "
             "puts the program into the background")


def note_fork():
    global forked
    forked = True


def run_script(name):
    global script_runs, home
    script_runs, home = True, os.getpid()
    os.register_at_fork(after_in_parent=note_fork)
    if mixin != "forking":
        listener.looked_at = looked_at
    else:
        threading.Thread.start = start_thread
    name = source.find_script(name)
    main = types.ModuleType("__main__")
    main.__file__, main.__builtins__ = name, builtins
    sys.modules["__main__"] = main
    sys.argv = [name, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.realpath(name)))
    folders.append(sys.path[0])
    status = 0
    try:
        exec(source.compiled(name), main.__dict__)
    except SystemExit as end:
        if end.code not in (None, 0):
            output.log(syslog.LOG_ERR, f"{name} ended by sys.exit({end.code!r})")
            status = -errno.ENOEXEC
    except KeyboardInterrupt as error:
        if not stopped.is_set():
            output.log(syslog.LOG_ERR, f"{name}: {output.describe(error)}")
    except BaseException as error:
        output.log(syslog.LOG_ERR, f"{name}: {output.describe(error)}")
        status = -errno.ENOEXEC
    leave_python()
    if in_helper:
        daemon.stop()
    if os.getpid() != home:
        os._exit(status != 0)
    if forked and server is None and status == 0:
        output.log(syslog.LOG_ERR, f"{name} has called os.fork(), and ended without serving: {LEAVE_OUT}")
        status = -errno.ENOEXEC
    return status


def leave_python():
    """The end of the interpreter without its destruction: threads may still run in it."""
    if in_helper:
        stopped.set()
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException as error:
        output.log(syslog.LOG_NOTICE, output.describe(error))
    output.end_lines()


# ---- a server in a thread, where children are forked ----------------------------------------

real_start = threading.Thread.start


def will_serve(thread):
    """Whether this thread is the one that calls serve_forever()."""
    target = getattr(thread, "_target", None) or type(thread).run
    function = getattr(target, "__func__", target)
    names = getattr(getattr(function, "__code__", None), "co_names", ())
    return function in (serve_forever, handle_request) or "serve_forever" in names


def start_thread(self):
    """A process that forks has no threads: this one stays and serves, a copy runs the script on."""
    global helped
    if in_helper or server is not None or not will_serve(self):
        return real_start(self)
    one = getattr(getattr(self, "_target", None), "__self__", None)
    helper = os.fork()
    if helper == 0:
        become_helper(self, one)
        return None
    helped = True
    try:
        self.run()
    except BaseException as error:
        output.log(syslog.LOG_ERR, output.describe(error))
    end_helper(helper)
    daemon.leave()


def end_helper(helper):
    """The script's other process comes to its end by itself, by Ctrl-C's signal, or by force."""
    for number, tries in (signal.SIGINT, 100), (signal.SIGINT, 100), (signal.SIGKILL, 1000):
        for _ in range(tries):
            if os.waitpid(helper, os.WNOHANG)[0] != 0:
                return
            time.sleep(0.01)
        os.kill(helper, number)


def become_helper(thread, one):
    global in_helper, server
    daemon.end_with_parent()
    in_helper = True
    server = one if isinstance(one, socketserver.BaseServer) else None
    os.close(listener.fd)
    signal.signal(signal.SIGINT, on_helper_end)
    thread._started.set()
    thread.join = lambda timeout=None: stopped.wait(timeout) and None
    thread.is_alive = lambda: not stopped.is_set()


def on_helper_end(number, frame):
    """Whoever waits for the server is told first; whoever goes on then gets KeyboardInterrupt."""
    if stopped.is_set():
        raise KeyboardInterrupt
    stopped.set()
