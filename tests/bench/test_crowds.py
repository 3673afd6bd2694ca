#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the crowds of ./dev faults say of servers whose ways are known, and what is made of it."""
import importlib.util
import ipaddress
import os
import socket
import sys
import threading
import time
import unittest
from importlib.machinery import SourceFileLoader
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import fault_crowds
from fault_clients import Load

fault_crowds.CROWD = ipaddress.ip_address("127.0.1.1")  # no namespace is needed for these
_loader = SourceFileLoader("faults", str(Path(__file__).with_name("faults")))
faults = importlib.util.module_from_spec(importlib.util.spec_from_loader("faults", _loader))
_loader.exec_module(faults)


class Listening:
    """A context: a thread for each connection that runs `serve(connection, peer)`."""

    def __init__(self, serve):
        self.serve = serve
        self.peers = []

    def accept(self):
        while True:
            try:
                connection, peer = self.listening.accept()
            except OSError:
                return
            self.peers.append(peer[0])
            threading.Thread(target=self.one, args=(connection, peer[0]), daemon=True).start()

    def one(self, connection, peer):
        with connection:
            try:
                self.serve(connection, peer)
            except OSError:
                pass

    def __enter__(self):
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


def watch(crowd, enough, patience=30):
    """Lets a crowd go until enough(crowd) holds; what it has seen."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as end:
        thread = threading.Thread(target=crowd.run, args=(end,))
        thread.start()
        until = time.monotonic() + patience
        while not enough(crowd) and time.monotonic() < until:
            time.sleep(0.01)
        os.close(writing)
        thread.join()
    seen = crowd.seen()
    for sock, _ in list(crowd.open.values()):
        crowd.remove(sock)
    return seen


class Crowds(unittest.TestCase):
    def setUp(self):
        self.stdout, sys.stdout = sys.stdout, open(os.devnull, "w")

    def tearDown(self):
        sys.stdout.close()
        sys.stdout = self.stdout

    def test_dribble_tells_how_long_it_was_let(self):
        with Listening(lambda connection, _: connection.recv(1) and time.sleep(0.3)) as server:
            seen = watch(fault_crowds.Dribble(server.port, 20, 5, 1), lambda c: len(c.stayed) == 20)
        self.assertEqual((seen["open"], len(seen["stayed"]), seen["refused"]), (0, 20, 0))
        self.assertGreaterEqual(seen["stayed"][0], 0.3)
        self.assertEqual(set(server.peers), {f"127.0.1.{i}" for i in range(1, 6)})

    def test_dribble_goes_on_byte_by_byte_and_never_ends_a_line(self):
        got, each = [], threading.Lock()

        def serve(connection, _):
            while data := connection.recv(100):
                with each:
                    got.append(data)
        with Listening(serve) as server:
            seen = watch(fault_crowds.Dribble(server.port, 2, 2, 0.1), lambda _: len(got) >= 8)
        self.assertEqual((seen["open"], seen["stayed"]), (2, []))
        self.assertEqual(set(b"".join(got)), {ord("X")})

    def test_flood_counts_who_is_served_and_who_is_turned_away(self):
        def serve(connection, _):
            if len(server.peers) % 4 == 0:
                connection.sendall(connection.recv(100))
        fault_crowds.SETTLING, kept = 0.3, fault_crowds.SETTLING
        try:
            with Listening(serve) as server:
                crowd = fault_crowds.Flood(server.port, 100)
                seen = watch(crowd, lambda c: len(c.served) >= 20)
        finally:
            fault_crowds.SETTLING = kept
        self.assertGreater(seen["served"], 0)
        self.assertGreater(seen["turned_away"], len(crowd.served))
        self.assertEqual(set(server.peers), {"127.0.1.1"})


class WellBehaved(unittest.TestCase):
    def test_they_come_from_their_own_addresses_and_count_what_failed(self):
        def serve(connection, peer):
            if peer == "127.0.2.1":
                connection.sendall(connection.recv(100))
        with Listening(serve) as server:
            with Load(server.port, 2, 0.01, ["127.0.2.1", "127.0.2.2"]) as load:
                until = time.monotonic() + 30
                while len(server.peers) < 20 and time.monotonic() < until:
                    time.sleep(0.01)
        self.assertGreater(load.failed(), 0)
        self.assertLess(load.failed(), len(load.history))
        self.assertGreater(load.p99(), 0)

    def test_nobody_answered_has_no_p99(self):
        self.assertIsNone(Load(1).p99())
        self.assertEqual(faults.p99(Load(1)), "none")


class Cells(unittest.TestCase):
    def test_only_sockserverd_loses_a_promise(self):
        load = Load(1)
        load.history = [(0, 0.1, ""), (0, 0.1, "closed")]
        self.assertEqual(faults.others(faults.SERVERS["xinetd, cat"], load), "1 of 2")
        self.assertEqual(faults.others(faults.SERVERS["sockserverd coroutine"], load), "LOST: 1 of 2")
        load.history.pop()
        self.assertEqual(faults.others(faults.SERVERS["sockserverd coroutine"], load), "0 of 1")

    def test_a_figure_that_sockserverd_missed_is_marked(self):
        own, other = faults.SERVERS["sockserverd threading"], faults.SERVERS["HAProxy"]
        self.assertEqual(faults.judged(own, "90 ms", False), "MISSED: 90 ms")
        self.assertEqual(faults.judged(own, "9 ms", True), "9 ms")
        self.assertEqual(faults.judged(other, "90 ms", False), "90 ms")

    def test_how_long_the_slow_ones_stayed(self):
        self.assertEqual(faults.stayed({"stayed": [], "open": 3}), "all stay")
        self.assertEqual(faults.stayed({"stayed": [0.5, 2, 3], "open": 0}), "2.0 s, 3.0 s")
        self.assertEqual(faults.stayed({"stayed": [0.5], "open": 7}), "500 ms, 500 ms; 7 stay")

    def test_a_case_that_is_not_for_a_server_is_no_failure(self):
        self.assertEqual(faults.cell({}, "HAProxy"), faults.ABSENT)
        self.assertEqual(faults.cell({}, "xinetd, cat"), "?")
        self.assertEqual(faults.cell({"HAProxy": "0 of 5"}, "HAProxy"), "0 of 5")


unittest.main()
