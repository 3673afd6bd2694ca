# SPDX-License-Identifier: MIT
"""The listener's socket, as Python's servers see it.

socketserver makes its sockets with this module's socket(). What it would bind is bound already;
accept() and recvfrom() give what the daemon has received. The rest is a socket's own.
"""

import os
import socket
import sys
import threading

fd = -1           # the listener's, of the daemon
incoming = {}     # by thread: what accept() or recvfrom() returns next
looked_at = None  # is called with a server whose socket's number is asked for


class Listener(socket.socket):
    __slots__ = ("wanted", "_timeout", "_server", "_asked", "_name")

    def __init__(self, family, kind, server):
        super().__init__(fileno=os.dup(fd))
        self.wanted = None
        self._timeout = None
        self._server = server
        self._asked = (family, kind)
        self._name = super().getsockname()

    def bind(self, address):
        if isinstance(address, tuple) and not 0 <= address[1] <= 65535:
            raise OverflowError("bind(): port must be 0-65535.")
        self.wanted = address

    def listen(self, backlog=0):
        pass

    def setsockopt(self, *arguments):
        pass  # its options are the configuration's

    def settimeout(self, seconds):
        self._timeout = seconds  # others wait at this socket, too

    def gettimeout(self):
        return self._timeout

    timeout = property(gettimeout)

    def setblocking(self, flag):
        self._timeout = None if flag else 0.0

    def fileno(self):
        number = super().fileno()
        if looked_at is not None and number >= 0 and self._server is not None:
            looked_at(self._server)
        return number

    def getsockname(self):
        name = self._name  # a forked child has closed the socket
        if self._asked[0] == socket.AF_INET and self.family == socket.AF_INET6:
            host = name[0].removeprefix("::ffff:")
            return ("0.0.0.0" if host == "::" else host, name[1])
        return name

    def accept(self):
        given = incoming.pop(threading.get_ident(), None)
        return super().accept() if given is None else given

    def recvfrom(self, size, flags=0):
        given = incoming.pop(threading.get_ident(), None)
        return super().recvfrom(size, flags) if given is None else given

    def __repr__(self):
        text = f"<socket.socket fd={super().fileno()}, family={self.family!r}, type={self.type!r}"
        if super().fileno() >= 0:
            text += f", laddr={self.getsockname()!r}"
        return text + ">"


class Sockets:
    """The module socket, except for what makes a server's socket."""

    def __getattr__(self, name):
        return getattr(socket, name)

    @staticmethod
    def socket(family=socket.AF_INET, kind=socket.SOCK_STREAM, *more, **named):
        server = sys._getframe(1).f_locals.get("self")
        return Listener(family, kind, server)
