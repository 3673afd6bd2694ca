# SPDX-License-Identifier: MIT
"""Servers whose class changes nothing of what Python's own does with a connection; see plain.c."""

import socket
import socketserver
import sys

import _sockserverd_listener as listener

BASES = (socketserver.BaseServer, socketserver.TCPServer, socketserver.UDPServer,
         socketserver.ForkingMixIn, socketserver.ThreadingMixIn)
STEPS = "get_request", "process_request", "finish_request", "shutdown_request", "close_request"


def has_own(one, name):
    """Whether the server object has such a hook of its own."""
    own = getattr(type(one), name)
    return name in vars(one) or all(own is not getattr(base, name, None) for base in BASES)


def is_plain(one):
    """Whether all that it does with a connection is to call the handler's class."""
    return (isinstance(one.socket, listener.Listener) and one.socket_type == socket.SOCK_STREAM
            and socket.socket is listener.Listener.__base__
            and not any(has_own(one, step) for step in STEPS))


def make_server(handler, mixin):
    """The one that goes with the listener's address and mixin."""
    probe = listener.Listener(0, 0, None)
    unix, stream = probe.family == socket.AF_UNIX, probe.type & socket.SOCK_STREAM
    base = {(False, 1): socketserver.TCPServer, (False, 0): socketserver.UDPServer,
            (True, 1): socketserver.UnixStreamServer,
            (True, 0): socketserver.UnixDatagramServer}[unix, stream]
    style = {"threading": (socketserver.ThreadingMixIn,),
             "forking": (socketserver.ForkingMixIn,)}.get(mixin, ())
    address = probe.getsockname()
    probe.close()
    kind = type(mixin.capitalize().replace("None", "") + base.__name__, style + (base,), {})
    kind.address_family = listener.family
    kind.__module__ = socketserver.__name__
    return kind(address, handler)


def parts(server, family):
    """What plain.c serves a connection with."""
    for kind in (server.RequestHandlerClass, socket.socket):
        names = {name for one in kind.__mro__ for name, value in vars(one).items() if callable(value)}
        for name in names:
            getattr(kind, name)  # Python remembers where it was, so that no child has to note it
    base = socket.socket.__base__
    return (socket.socket, base, server, sys.__stdout__.begun, sys.__stderr__.begun, family,
            base.detach)
