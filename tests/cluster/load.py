#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Asks at a steady rate by a timetable, and writes down what became of each request.

    load.py --history FILE --rate N --tcp HOST:PORT [--tls HOST:PORT --ca FILE] [--udp HOST:PORT]
            --from ADDRESS[,ADDRESS]...

It runs until SIGTERM, then waits for what is under way, and writes the end of the history. A request
that is due while others are late is not put off by them: what it waits counts from when it was due.
One thread, one epoll; each request is a generator that yields what it waits for. history.py
explains the file.
"""
import argparse
import collections
import errno
import gc
import os
import select
import signal
import socket
import ssl
import sys
import time

sys.dont_write_bytecode = True  # the source tree is not ours to fill

from history import Request, write_request

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
KEPT = 32           # connections that stay, of each kind
IP_BIND_ADDRESS_NO_PORT = 24
# Of a hundred requests, by turns.
MIX = {"tcp": 50, "kept": 30, "tls": 3, "kept-tls": 7, "udp": 10}
SLOW = 41           # each so many'th takes its time, so that a drain meets requests that run
SERVICE = 0.2       # seconds


class Late(Exception):
    """There was no answer in time."""


class Fault(Exception):
    """There was no answer; the text is a result of history.py."""


def fault_of(error):
    if isinstance(error, ConnectionRefusedError):
        return Fault("refused")
    if isinstance(error, (ssl.SSLError, ConnectionError)):
        return Fault("reset")
    return Fault(errno.errorcode.get(error.errno, "failed"))


def spread(mix):
    """The kinds, mixed evenly."""
    turns = [(i / count, kind) for kind, count in mix.items() for i in range(count)]
    return [kind for _, kind in sorted(turns)]


class Slot:
    """A connection that stays; sock is None while there is none. rest: what came behind an answer."""

    def __init__(self):
        self.sock, self.client, self.busy, self.rest = None, None, False, b""

    def close(self):
        self.rest = b""
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class Task:
    """A request under way."""

    __slots__ = ("number", "kind", "due", "service", "client", "tries", "steps", "fd", "answer", "done",
                 "events")

    def __init__(self, number, kind, due):
        self.number, self.kind, self.due = number, kind, due
        self.service = SERVICE if number % SLOW == 0 else 0.0
        self.client, self.tries, self.fd, self.answer, self.done = "", 0, -1, "", False

    def line(self, word):
        return f"{word} {self.number} {int(self.service * 1000)}\n".encode()


class Load:
    def __init__(self, options, file):
        self.file, self.options = file, options
        self.epoll = select.epoll()
        self.tasks = {}  # by descriptor
        self.given, self.open = 0, 0
        self.deadlines = collections.deque()
        self.resends = collections.deque()
        self.slots = {kind: [Slot() for _ in range(KEPT)] for kind in ("kept", "kept-tls")}
        self.queues = {kind: collections.deque() for kind in self.slots}
        mix = {kind: count for kind, count in MIX.items()
               if (options.tls or "tls" not in kind) and (options.udp or kind != "udp")}
        self.kinds = spread(mix)
        self.tls = ssl.create_default_context(cafile=options.ca) if options.tls else None
        self.stopping = False

    # ---- requests, each a generator that yields READ or WRITE --------------------------------

    def socket(self, kind):
        sort = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
        sock = socket.socket(socket.AF_INET, sort | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sources = self.options.sources
        sock.bind((sources[self.given % len(sources)], 0))
        return sock

    def connect(self, task, place):
        """Yields; returns a connected socket, over TLS if the kind says so."""
        sock = self.socket(task.kind)
        task.fd = sock.fileno()
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if sock.connect_ex(place) not in (0, errno.EINPROGRESS):
                raise Fault("unreachable")
            yield WRITE
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise fault_of(OSError(error, ""))
            task.client = "%s:%d" % sock.getsockname()
            if "tls" in task.kind:
                sock = self.tls.wrap_socket(sock, server_hostname="localhost",
                                            do_handshake_on_connect=False)
                yield from self.until_done(sock.do_handshake)
        except BaseException:
            self.forget(task)
            sock.close()
            raise
        return sock

    @staticmethod
    def until_done(call, *arguments):
        while True:
            try:
                return call(*arguments)
            except (BlockingIOError, ssl.SSLWantReadError):
                yield READ
            except ssl.SSLWantWriteError:
                yield WRITE

    def once(self, task, place):
        """A connection with one request; whatever comes until its end is the answer. "bye" says that the
        request came so late after a drain had begun that nobody read it."""
        task.answer = b"bye\n"
        while task.answer == b"bye\n":
            yield from self.ask_once(task, place)

    def ask_once(self, task, place):
        sock = yield from self.connect(task, place)
        task.tries += 1
        got = b""
        try:
            yield from self.until_done(sock.sendall, task.line("last"))
            while more := (yield from self.until_done(sock.recv, 4096)):
                got += more
        finally:
            task.answer = got
            self.forget(task)
            sock.close()
        if not got.endswith(b"\n"):
            raise Fault("ended")

    def ask_kept(self, task, place):
        """On a connection that stays. "bye" says that the request was not read: it is sent again."""
        # By turns, so that each comes to know soon that it has been told to end.
        slots = self.slots[task.kind]
        slot = next(slot for slot in slots if not slot.busy)
        slots.remove(slot)
        slots.append(slot)
        slot.busy = True
        try:
            while not (yield from self.ask_slot(task, slot, place)):
                pass
        except BaseException:
            slot.close()
            raise
        finally:
            slot.busy = False

    def ask_slot(self, task, slot, place):
        """False if the request must be sent again."""
        if slot.sock is not None and self.has_ended(slot):
            slot.close()
        if slot.sock is None:
            slot.sock = yield from self.connect(task, place)
            slot.client = task.client
        sock, got = slot.sock, slot.rest
        task.client, task.fd = slot.client, sock.fileno()
        task.tries += 1
        try:
            yield from self.until_done(sock.sendall, task.line("ask"))
            while b"\n" not in got:
                more = yield from self.until_done(sock.recv, 4096)
                if not more:
                    raise Fault("ended")
                got += more
        except OSError as error:
            raise fault_of(error) from error
        finally:
            task.answer, end, slot.rest = got.partition(b"\n")
            task.answer += end
            self.forget(task)
        if task.answer != b"bye\n":
            return True
        slot.close()
        return False

    @staticmethod
    def has_ended(slot):
        """Whether it has said goodbye since the last answer. Without one, its end is a fault: a client
        that had just sent something would not know what became of it."""
        if slot.rest == b"bye\n":
            return True
        try:
            got = slot.sock.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            raise Fault("cut") from error
        slot.rest += got
        if not got or not b"bye\n".startswith(slot.rest):
            raise Fault("cut" if not got else "surplus")
        return slot.rest == b"bye\n"

    def datagram(self, task, place):
        """Sent again, now and then, until there is an answer. nginx sends an empty datagram where a
        node has refused one; that is none."""
        sock = self.socket(task.kind)
        task.fd = sock.fileno()
        try:
            sock.connect(place)
            task.client = sock.getsockname()[0]
            while True:
                task.tries += 1
                sock.send(task.line("last"))
                self.resends.append((time.monotonic() + self.options.resend + task.service, task))
                while (yield READ) is None:  # else it is time to send again
                    task.answer = sock.recv(4096)
                    if task.answer:
                        return
        finally:
            self.forget(task)
            sock.close()

    # ---- the loop -----------------------------------------------------------------------------

    def begin(self, kind, due):
        self.given += 1
        self.open += 1
        task = Task(self.given, kind, due)
        self.deadlines.append((due + self.options.patience, task))
        if kind in self.slots and all(slot.busy for slot in self.slots[kind]):
            self.queues[kind].append(task)
        else:
            self.start(task)

    def start(self, task):
        options, kind = self.options, task.kind
        place = options.tls if "tls" in kind else options.udp if kind == "udp" else options.tcp
        run = self.ask_kept if kind in self.slots else \
            self.datagram if kind == "udp" else self.once
        task.steps = run(task, place)
        self.resume(task)

    def forget(self, task):
        if self.tasks.pop(task.fd, None) is not None:
            self.epoll.unregister(task.fd)

    def resume(self, task, value=None, error=None):
        """Until it waits again, or ends."""
        try:
            events = task.steps.throw(error) if error else task.steps.send(value)
        except StopIteration:
            self.end(task, "answered")
        except Late:
            self.end(task, "late")
        except Fault as fault:
            self.end(task, str(fault))
        except OSError as fault:
            self.end(task, str(fault_of(fault)))
        else:
            if task.fd not in self.tasks:
                self.epoll.register(task.fd, events)
                self.tasks[task.fd] = task
            elif events != task.events:
                self.epoll.modify(task.fd, events)
            task.events = events

    def end(self, task, result):
        task.done = True
        self.open -= 1
        answer = task.answer if isinstance(task.answer, str) else task.answer.decode("latin-1")
        answer = answer[:-1] if answer.endswith("\n") else answer
        write_request(Request(
            task.number, task.kind, f"{task.due:.6f}", f"{time.monotonic():.6f}", task.service,
            task.client, result, task.tries, repr(answer)[1:-1]), self.file)

    def start_queued(self):
        """Connections that stay take what waits for them."""
        for kind, queue in self.queues.items():
            while queue and not all(slot.busy for slot in self.slots[kind]):
                self.start(queue.popleft())

    def expire(self, now):
        while self.deadlines and (self.deadlines[0][1].done or self.deadlines[0][0] <= now):
            _, task = self.deadlines.popleft()
            if task.done:
                continue
            if task in self.queues.get(task.kind, ()):
                self.queues[task.kind].remove(task)
                self.end(task, "late")
            else:
                self.resume(task, error=Late())
        while self.resends and (self.resends[0][1].done or self.resends[0][0] <= now):
            _, task = self.resends.popleft()
            if not task.done:
                self.resume(task, value="again")

    def run(self):
        interval, begin = 1 / self.options.rate, time.monotonic() + 0.1
        turn = 0
        while self.open or not self.stopping:
            now = time.monotonic()
            while not self.stopping and (due := begin + turn * interval) <= now:
                self.begin(self.kinds[turn % len(self.kinds)], due)
                turn += 1
            self.expire(now)
            self.start_queued()
            wait = 0.1 if self.stopping else max(0.0, due - time.monotonic())
            # A task that goes on may close a descriptor, and another open one of the same number.
            ready = [(fd, self.tasks.get(fd)) for fd, _ in self.epoll.poll(min(wait, 0.1))]
            for fd, task in ready:
                if task is not None and self.tasks.get(fd) is task:
                    self.resume(task)
        self.file.write(f"given\t{self.given}\n")

    def stop(self, *_):
        self.stopping = True


def place(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--tcp", type=place, required=True)
    parser.add_argument("--tls", type=place)
    parser.add_argument("--ca")
    parser.add_argument("--udp", type=place)
    parser.add_argument("--patience", type=float, default=20.0,
                        help="seconds until a request counts as lost")
    parser.add_argument("--resend", type=float, default=1.5, help="seconds, of a datagram")
    parser.add_argument("--from", dest="sources", type=lambda text: text.split(","), required=True)
    return parser.parse_args()


def main():
    options = read_options()
    gc.disable()
    with open(options.history, "w", encoding="utf-8") as file:
        load = Load(options, file)
        signal.signal(signal.SIGTERM, load.stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("asking", flush=True)
        load.run()


if __name__ == "__main__":
    main()
