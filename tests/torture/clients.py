# SPDX-License-Identifier: MIT
"""Clients that ask without a pause and write down what became of every request."""
import os
import random
import socket
import threading
import time
from collections import namedtuple

PATIENCE = 20  # seconds, for an answer: longer than any back-off that a schedule can cause
DATAGRAM_PATIENCE = 6  # the kernel does not tell that a datagram is lost

# What became of a request. served_by: the processes that it depended on, empty if that is not
# known; connected: None if it never was, and for a datagram. result: answered, refused, lost,
# late, wrong, or unknown: it was not waited for to the end.
Request = namedtuple("Request",
                     "listener client number began connected ended served_by result detail")


class Wrong(Exception):
    """An answer to something else."""


class GivenUp(Exception):
    """The test ends, and nobody waits for the answer any more."""


class Lost(Exception):
    """The end came before the answer."""


def destination(scheme, place):
    return ("127.0.0.1", place) if scheme in ("tcp", "udp") else place


def open_socket(scheme):
    return socket.socket(socket.AF_INET if scheme in ("tcp", "udp") else socket.AF_UNIX,
                         socket.SOCK_STREAM if scheme in ("tcp", "unix") else socket.SOCK_DGRAM)


def number_behind(line, word):
    """The N of a line "WORD N"."""
    parts = line.split()
    if len(parts) != 2 or parts[0] != word or not parts[1].isdigit():
        raise Wrong(f"{line!r} to the question \"{word}\"")
    return int(parts[1])


class Client:
    """One client of one listener: a thread with one request at a time."""

    def __init__(self, listener, number, supervisor, seed):
        self.listener, self.number, self.supervisor = listener, number, supervisor
        self.random = random.Random(f"{seed} {listener.name} {number}")
        self.history = []
        self.enough = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.enough.is_set():
            self._request()
            self.enough.wait(self.random.uniform(0.005, 0.05))

    def _request(self):
        self.began, self.connected, self.served_by = time.monotonic(), None, ()
        result, detail = "answered", ""
        try:
            self._ask(f"{self.listener.name}-{self.number}-{len(self.history)}")
        except Wrong as error:
            result, detail = "wrong", str(error)
        except TimeoutError:
            result = "late"
        except GivenUp:
            result = "unknown"
        except (Lost, OSError) as error:
            result = "lost" if self.connected else "refused"
            detail = str(error)
        self.history.append(Request(self.listener.name, self.number, len(self.history), self.began,
                                    self.connected, time.monotonic(), self.served_by, result,
                                    detail))

    def start(self):
        self.thread.start()

    def stop(self):
        self.enough.set()

    def join(self):
        self.thread.join(2 * PATIENCE)
        if self.thread.is_alive():
            raise SystemExit(f"history: a client of {self.listener.name} hangs")

    def close(self):
        pass


class StreamClient(Client):
    """A request is a connection: it asks who serves it, then some questions, and expects the
    end."""

    def _ask(self, text):
        with open_socket(self.listener.scheme) as self.socket:
            self.socket.settimeout(PATIENCE)
            self.socket.connect(destination(self.listener.scheme, self.listener.place))
            self.connected = time.monotonic()
            self.rest = b""
            pid = number_behind(self._exchange("pid"), "pid")
            parent = number_behind(self._exchange("parent"), "parent")
            self.served_by = (pid,) if parent == self.supervisor else (pid, parent)
            for i in range(self.random.randrange(1, 4)):
                if self.random.random() < 0.3:
                    time.sleep(self.random.uniform(0, 0.1))
                question = f"{text}-{i}"
                answer = self._exchange(f"echo {question}")
                if answer != question:
                    raise Wrong(f"{answer!r} to {question!r}")
            self.socket.shutdown(socket.SHUT_WR)
            more = self.rest + self.socket.recv(100)
            if more:
                raise Wrong(f"{more!r} behind the last answer")

    def _exchange(self, question):
        self.socket.sendall(question.encode() + b"\n")
        while b"\n" not in self.rest:
            more = self.socket.recv(4096)
            if not more:
                raise Lost("end of the stream")
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace")


class DatagramClient(Client):
    """A request is a datagram. The socket stays, so an answer that comes twice is seen."""

    def __init__(self, listener, number, supervisor, seed):
        super().__init__(listener, number, supervisor, seed)
        self.socket = None
        self.unanswered = set()  # questions that were given up

    def _connect(self):
        """A socket file that was made anew is another one, so a refused client connects again."""
        self.close()
        self.socket = open_socket(self.listener.scheme)
        self.socket.settimeout(PATIENCE)
        if self.listener.scheme == "unixgram":
            self.socket.bind(f"\0history-{os.getpid()}-{self.listener.name}-{self.number}")
        self.socket.connect(destination(self.listener.scheme, self.listener.place))

    def _ask(self, text):
        try:
            if self.socket is None:
                self._connect()
            self.socket.send(f"echo {text}\n".encode())
        except TimeoutError:
            raise
        except OSError:
            self.close()
            raise
        deadline = time.monotonic() + DATAGRAM_PATIENCE
        while True:
            answer = self._receive(text, deadline)
            if answer == text:
                return
            if answer not in self.unanswered:
                raise Wrong(f"{answer!r} to {text!r}")
            self.unanswered.remove(answer)

    def _receive(self, text, deadline):
        """The next answer. At the end of all it is not waited for."""
        self.socket.settimeout(0.2)
        while True:
            try:
                return self.socket.recv(1000).decode(errors="replace").rstrip("\n")
            except TimeoutError:
                if self.enough.is_set():
                    raise GivenUp from None
                if time.monotonic() < deadline:
                    continue
                self.unanswered.add(text)
                self.close()  # it may have been in the queue of a socket that is gone
                raise
            except OSError:  # the socket was closed: what was in its queue is lost
                self.close()
                raise

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None


def client_of(listener, number, supervisor, seed):
    kind = StreamClient if listener.scheme in ("tcp", "unix") else DatagramClient
    return kind(listener, number, supervisor, seed)
