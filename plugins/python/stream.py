# SPDX-License-Identifier: MIT
"""A socket's methods over the daemon's own reads and writes.

It stands where the connection's bytes are not the client's (TLS), or where some of them have been
received already.
"""

import errno
import os
import socket

import _sockserverd as daemon


class Stream:
    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = 0
    makefile = socket.socket.makefile  # Python's own, which needs recv_into() and send() only

    def __init__(self, token, client_address):
        self._token = token
        self._client_address = client_address
        self._timeout = None
        self._io_refs = 0
        self._closed = False

    def _request(self):
        if self._token is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._token

    def _forget(self):
        self._token = None

    # ---- what goes through it

    def recv(self, size, flags=0):
        request = self._request()
        if self._timeout is not None and not daemon.wait(request, self._timeout):
            raise TimeoutError("timed out") if self._timeout else BlockingIOError(
                errno.EAGAIN, os.strerror(errno.EAGAIN))
        if flags:
            raise OSError(errno.EOPNOTSUPP, "flags are not supported over TLS")
        return daemon.read(request, size)

    def recv_into(self, buffer, nbytes=0, flags=0):
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view), flags)
        view[:len(data)] = data
        return len(data)

    def recvfrom(self, size, flags=0):
        return self.recv(size, flags), None

    def send(self, data, flags=0):
        daemon.write(self._request(), data)
        return memoryview(data).nbytes

    def sendall(self, data, flags=0):
        daemon.write(self._request(), data)

    def sendfile(self, file, offset=0, count=None):
        if offset:
            file.seek(offset)
        sent = 0
        while count is None or sent < count:
            data = file.read(65536 if count is None else min(65536, count - sent))
            if not data:
                break
            self.sendall(data)
            sent += len(data)
        return sent

    # ---- its state

    def fileno(self):
        return -1

    def settimeout(self, seconds):
        if seconds is not None and seconds < 0:
            raise ValueError("Timeout value out of range")
        self._timeout = seconds

    def gettimeout(self):
        return self._timeout

    timeout = property(gettimeout)

    def setblocking(self, flag):
        self._timeout = None if flag else 0.0

    def getblocking(self):
        return self._timeout != 0

    def setsockopt(self, *arguments):
        pass  # the connection's options are the daemon's

    def getsockopt(self, *arguments):
        return 0

    def getpeername(self):
        return self._client_address

    def getsockname(self):
        return daemon.local_address(self._request())

    # ---- its end

    def shutdown(self, how):
        request = self._request()
        if how != socket.SHUT_RD:
            daemon.end_output(request)

    def _decref_socketios(self):
        self._io_refs -= 1
        if self._closed:
            self.close()

    def close(self):
        self._closed = True
        if self._io_refs <= 0 and self._token is not None:
            try:
                daemon.end_output(self._token)  # the rest is done when the request ends
            except OSError:
                pass  # the client has gone

    def detach(self):
        self._forget()
        return -1

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def __repr__(self):
        return f"<sockserverd.Stream raddr={self._client_address}>"

    # ---- what ssl.SSLSocket says

    def _tls(self, place):
        said = daemon.tls(self._request())
        return None if said is None else said[place]

    def version(self):
        return self._tls(0)

    def cipher(self):
        name = self._tls(1)
        return None if name is None else (name, self._tls(0), 0)

    def selected_alpn_protocol(self):
        return self._tls(3)
