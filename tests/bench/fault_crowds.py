#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that mean no good, in a process of their own, so that they slow down no well-behaved one.

    fault_crowds.py dribble PORT CONNECTIONS SOURCES APART
    fault_crowds.py flood PORT A_SECOND

Each says "ready" when it is in full swing, stops when its standard input ends, and then prints
what it has seen as a line of JSON. The clients come from addresses that are not the machine's own
to a server: from CROWD on.
"""
import errno
import heapq
import ipaddress
import json
import resource
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

CROWD = ipaddress.ip_address("198.18.1.1")  # of 198.18.0.0/15, for measurements
OPENING = 1000        # connections that dribble begin so many a second
PATIENCE = 5          # seconds, for an answer to who floods
SETTLING = 3          # seconds in which who floods may use up a burst
IP_BIND_ADDRESS_NO_PORT = 24


def connect(port, source):
    """A connection on its way, from an address of the crowd."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((str(CROWD + source), 0))
    if sock.connect_ex(("127.0.0.1", port)) not in (0, errno.EINPROGRESS):
        sock.close()
        return None
    return sock


class Crowd:
    """Connections, what each has to do and when, and what comes back."""

    def __init__(self):
        self.poll = select.epoll()
        self.open = {}  # descriptor: (socket, when it was opened)
        self.due = []   # a heap of (when, number, what, with what)
        self.number = 0

    def later(self, when, what, *arguments):
        self.number += 1
        heapq.heappush(self.due, (when, self.number, what, arguments))

    def add(self, port, source, events):
        sock = connect(port, source)
        if sock:
            self.open[sock.fileno()] = sock, time.monotonic()
            self.poll.register(sock, events)
        return sock

    def remove(self, sock):
        """Closes it; for how long it was open."""
        _, began = self.open.pop(sock.fileno())
        self.poll.unregister(sock)
        sock.close()
        return time.monotonic() - began

    def run(self, end):
        """Until something can be read of the file `end`, or it is over."""
        self.poll.register(end, select.EPOLLIN)
        while True:
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                _, _, what, arguments = heapq.heappop(self.due)
                what(*arguments)
            wait = max(0, self.due[0][0] - time.monotonic()) if self.due else 1
            for fd, events in self.poll.poll(wait):
                if fd == end.fileno():
                    return
                if fd in self.open:
                    self.on_event(self.open[fd][0], events)


class Dribble(Crowd):
    """Each sends a byte of a line, and the next one much later; the line never ends."""

    def __init__(self, port, connections, sources, apart):
        super().__init__()
        self.port, self.connections, self.sources, self.apart = port, connections, sources, apart
        self.refused, self.stayed = 0, []
        for i in range(connections):
            self.later(time.monotonic() + i / OPENING, self.begin, i)
        self.later(time.monotonic() + connections / OPENING + 1, print, "ready")

    def begin(self, number):
        sock = self.add(self.port, number % self.sources, select.EPOLLIN)
        if sock:
            self.later(time.monotonic() + 0.2, self.send, sock)
        else:
            self.refused += 1

    def send(self, sock):
        if sock.fileno() < 0:
            return
        try:
            sock.send(b"X")
        except OSError:
            pass  # not yet connected, or no more: that is seen by its event
        self.later(time.monotonic() + self.apart, self.send, sock)

    def on_event(self, sock, _):
        try:
            data = sock.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.stayed.append(self.remove(sock))

    def seen(self):
        return {"connections": self.connections, "refused": self.refused, "open": len(self.open),
                "stayed": sorted(self.stayed)}


class Flood(Crowd):
    """One source that connects, asks and closes so many times a second, whatever comes back."""

    def __init__(self, port, a_second):
        super().__init__()
        self.port, self.apart = port, 1 / a_second
        self.began = time.monotonic()
        self.asked, self.served, self.turned_away = [], [], 0
        self.later(self.began, self.begin, self.began)
        self.later(self.began + SETTLING, print, "ready")

    def begin(self, when):
        self.later(when + self.apart, self.begin, when + self.apart)
        sock = self.add(self.port, 0, select.EPOLLOUT)
        self.asked.append(time.monotonic())
        if sock:
            self.later(time.monotonic() + PATIENCE, self.give_up, sock)

    def give_up(self, sock):
        if sock.fileno() >= 0:
            self.remove(sock)
            self.turned_away += 1

    def on_event(self, sock, events):
        try:
            if events & select.EPOLLOUT:
                sock.send(b"FLOOD\n")
                self.poll.modify(sock, select.EPOLLIN)
                return
            answered = sock.recv(4096) != b""
        except OSError:
            answered = False
        if answered:
            self.served.append(time.monotonic())
        else:
            self.turned_away += 1
        self.remove(sock)

    def seen(self):
        since = self.began + SETTLING
        seconds = time.monotonic() - since
        return {"seconds": seconds, "turned_away": self.turned_away,
                "asked": sum(at > since for at in self.asked) / seconds,
                "served": sum(at > since for at in self.served) / seconds}


class Apart:
    """A context: one of these, as a process of its own."""

    def __init__(self, name, *arguments):
        self.command = [sys.executable, str(Path(__file__).resolve()), name, *map(str, arguments)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE)
        if self.process.stdout.readline() != "ready\n":
            self.process.wait()
            raise RuntimeError(f"{self.command[2]} did not begin")
        return self

    def end(self):
        """What it has seen."""
        return json.loads(self.process.communicate()[0])

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.stdout.reconfigure(line_buffering=True)
    kind = {"dribble": Dribble, "flood": Flood}[sys.argv[1]]
    crowd = kind(*map(int, sys.argv[2:]))
    crowd.run(sys.stdin)
    print(json.dumps(crowd.seen()))


if __name__ == "__main__":
    main()
