# SPDX-License-Identifier: MIT
"""Clients that keep a history: whoever connected, asked and checked says how it went.

All verdicts about a fault are made from these histories, none from what a server says of itself.
"""
import socket
import threading
import time

PATIENCE = 5.0  # seconds until a client gives up


def exchange(sock, text):
    """Sends a line and wants it back; "" or what went wrong."""
    try:
        sock.sendall(text)
        answer = b""
        while len(answer) < len(text):
            data = sock.recv(4096)
            if not data:
                return "closed"
            answer += data
        return "" if answer == text else "wrong answer"
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return error.strerror


def ask(port, text=b"HELLO\n", patience=PATIENCE, source=None):
    """One client from connect to close: (began, seconds, "" or what went wrong)."""
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), patience,
                                      source_address=source and (source, 0)) as sock:
            fault = exchange(sock, text)
    except OSError as error:
        fault = error.strerror or "no connection"
    return began, time.monotonic() - began, fault


class Load:
    """Short requests, one after the other, from a few clients at a time, each with its own source.

    What they ask is in capitals: so a plugin that answers lines in capitals echoes it.
    """

    def __init__(self, port, clients=4, pause=0.002, sources=()):
        self.port, self.pause, self.sources = port, pause, sources
        self.history = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(clients)]

    def run(self, client):
        number = 0
        source = self.sources[client % len(self.sources)] if self.sources else None
        while not self.over.wait(self.pause):
            number += 1
            self.history.append(ask(self.port, b"CLIENT %d ASKS %d\n" % (client, number),
                                    source=source))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def failed(self):
        return sum(1 for _, _, fault in self.history if fault)

    def longest(self):
        return max((seconds for _, seconds, _ in self.history), default=0)

    def p99(self):
        """Of those that were answered, how long 99 in a hundred waited at most; None: nobody was."""
        waits = sorted(seconds for _, seconds, fault in self.history if not fault)
        return waits[min(len(waits) * 99 // 100, len(waits) - 1)] if waits else None


class Conversations:
    """Connections that stay open, each of which was answered once."""

    def __init__(self, port, count):
        self.sockets = []
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
            self.sockets.append(sock)
            fault = exchange(sock, b"are you there\n")
            if fault:
                raise RuntimeError(f"a conversation could not begin: {fault}")

    def answered(self):
        """How many are answered now."""
        return sum(1 for sock in self.sockets if exchange(sock, b"and now\n") == "")

    def close(self, count=None):
        for sock in self.sockets[:count]:
            sock.close()
        self.sockets = self.sockets[len(self.sockets) if count is None else count:]


class Silent:
    """Connections that send the first byte of a line, and no more."""

    def __init__(self, port, count):
        self.sockets = []
        for _ in range(count):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
            self.sockets.append(sock)
        time.sleep(0.2)  # the handshakes
        for sock in self.sockets:
            try:
                sock.send(b"x")
            except OSError:
                pass  # refused: then it holds nothing

    def close(self):
        for sock in self.sockets:
            sock.close()
