#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The load generator and the limit servers for programs, wake-ups, downloads, files and idle connections: they
count what happens, errors included.

    test_load.py FOLDER      of the programs; what is missing there is built first

Skipped where what builds them is missing. Measures nothing.
"""
import contextlib
import http.server
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from functools import partial
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import programs
from programs import PATIENCE, Limit, load

PROGRAMS = "load", "limit-epoll", "limit-thread", "limit-exec", "limit-wake", "programs/line"


class Programs(unittest.TestCase):
    def test_each_connection_gets_a_program(self):
        for model in ("vfork", "fork"):
            with self.subTest(model), Limit("limit-exec", "-m", model,
                                            programs.FOLDER / "programs/line") as limit:
                result = load("conn", limit.address, "-k", 4, "-n", 20, "-t", PATIENCE)
                self.assertEqual(result["errors"], 0, result)
                self.assertGreaterEqual(result["done"], 20)

    def test_the_program_echoes_a_line_that_comes_in_pieces_and_ends(self):
        program = subprocess.Popen([programs.FOLDER / "programs/line"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        program.stdin.write(b"hel")
        program.stdin.flush()
        program.stdin.write(b"lo\n")
        program.stdin.flush()  # it is not closed
        self.assertEqual(program.stdout.read(), b"hello\n")
        self.assertEqual(program.wait(PATIENCE), 0)
        program.stdin.close()
        program.stdout.close()

    def test_a_program_that_is_missing_is_told_at_the_start(self):
        self.assertIn("limit-exec", programs.run("limit-exec", "/nowhere", "unix:/nowhere").stderr)


class Wakes(unittest.TestCase):
    def ask(self, client, line):
        client.sendall(line)
        return client.recv(200)

    def test_connections_and_threads_wake_each_other_as_often_as_is_asked(self):
        for threads in ([], ["-t"]):
            with self.subTest(threads), Limit("limit-wake", *threads) as limit, \
                    socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
                for client in first, second:
                    client.settimeout(PATIENCE)
                    client.connect(limit.address.partition(":")[2])
                self.assertEqual(self.ask(first, b"hello\n"), b"hello\n")
                self.assertRegex(self.ask(first, b"thread 100\n"), rb"^100 [1-9]\d* [1-9]\d*\n$")
                self.assertEqual(self.ask(second, b"second 50\n"), b"here\n")
                self.assertRegex(self.ask(first, b"first 50\n"), rb"^50 [1-9]\d* [1-9]\d*\n$")


class Downloads(unittest.TestCase):
    def test_downloads_are_counted_in_mebibytes(self):
        with Limit("limit-thread", "-d") as limit:
            result = load("down", limit.address, "-k", 2, "-b", 3, "-n", 12, "-t", PATIENCE)
            self.assertEqual(result["errors"], 0, result)
            self.assertGreaterEqual(result["done"], 12)


class Queries(unittest.TestCase):
    def ask(self, change, number=40):
        """What is told of so many queries whose answers are the queries themselves, changed."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))

            def serve():
                with contextlib.suppress(OSError):  # it is closed
                    while True:
                        query, client = server.recvfrom(4096)
                        if not query:
                            return
                        server.sendto(change(bytes([*query[:2], query[2] | 0x80, *query[3:]])), client)

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                return load("dns", f"udp:127.0.0.1:{server.getsockname()[1]}", "-k", 2, "-d", 4, "-n", number,
                            "-t", 1.5, "-q", "www.example.org/1,example.org/15")
            finally:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    client.sendto(b"", server.getsockname())
                thread.join()

    def test_answers_are_counted(self):
        result = self.ask(lambda answer: answer)
        self.assertEqual((result["done"], result["errors"]), (40, 0), result)

    def test_what_answers_something_else_is_an_error(self):
        for change in (lambda answer: answer[:12], lambda answer: bytes([*answer[:3], 2, *answer[4:]]),
                       lambda answer: answer.replace(b"example", b"exemple"),
                       lambda answer: bytes([*answer[:2], answer[2] & 0x7f, *answer[3:]])):
            result = self.ask(change)
            self.assertEqual(result["done"], 0, result)
            self.assertGreater(result["errors"], 0, result)

    def test_questions_are_needed(self):
        self.assertIn("NAME/TYPE", programs.run("load", "dns", "udp:127.0.0.1:9").stderr)


class Idle(unittest.TestCase):
    def test_all_connections_answer_once_more(self):
        with Limit("limit-epoll") as limit:
            result = load("idle", limit.address, "-e", "-a", "-N", 20, "-t", 1)
            self.assertEqual((result["open"], result["errors"]), (20, 0), result)

    def test_connections_that_are_gone_do_not_answer(self):
        with Limit("limit-epoll") as limit:
            client = subprocess.Popen(
                [programs.FOLDER / "load", "idle", limit.address, "-e", "-a", "-N", "20", "-t", "300"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.assertEqual(json.loads(client.stdout.readline())["open"], 20)
            limit.process.kill()
            limit.process.wait()
            client.stdin.close()
            self.assertEqual(json.loads(client.stdout.readline())["open"], 0)
            client.stdout.close()
            self.assertEqual(client.wait(PATIENCE), 0)


class Chat(unittest.TestCase):
    @contextlib.contextmanager
    def hall(self):
        with subprocess.Popen([sys.executable, programs.HERE / "peers/chat.py", "tcp:127.0.0.1:0"],
                              stdout=subprocess.PIPE, text=True) as server:
            try:
                yield f"tcp:127.0.0.1:{server.stdout.readline().strip()}"
            finally:
                server.kill()

    def test_a_line_counts_for_each_member_that_hears_it(self):
        with self.hall() as address:
            result = load("chat", address, "-k", 7, "-d", 3, "-t", 1)
        self.assertEqual((result["errors"], result["lost"]), (0, 0), result)
        self.assertGreaterEqual(result["done"], 7 * 3)

    def test_a_chat_that_is_not_there_is_an_error(self):
        with self.hall() as address:
            pass
        result = load("chat", address, "-k", 7, "-t", 1)
        self.assertEqual((result["errors"], result["done"]), (1, 0), result)


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(handler):
    """The address of a server of Python's own."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None  # the load ends in the middle of an answer
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"tcp:127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@contextlib.contextmanager
def answering(answer):
    """The address of a server that has this answer to everything, in two pieces."""
    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection:
                    while connection.recv(1000):
                        connection.sendall(answer[:20])
                        connection.sendall(answer[20:])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield f"tcp:127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


class Files(unittest.TestCase):
    def get(self, address, path="/file"):
        return load("get", address, "-k", 1, "-n", 5, "-q", path, "-t", PATIENCE)

    def test_whole_answers_are_counted(self):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            for size in (1, 1000, 300000):
                (Path(folder) / "file").write_bytes(bytes(size))
                with self.subTest(size), serving(partial(Quiet, directory=folder)) as address:
                    result = self.get(address)
                    self.assertEqual((result["done"], result["errors"]), (5, 0), result)

    def test_a_status_other_than_200_is_an_error(self):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, \
                serving(partial(Quiet, directory=folder)) as address:
            result = self.get(address)
            self.assertEqual((result["done"], result["errors"]), (0, 5), result)

    def test_an_answer_may_come_in_pieces(self):
        with answering(b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 3\r\n\r\nabc") as address:
            result = self.get(address)
            self.assertEqual((result["done"], result["errors"]), (5, 0), result)

    def test_an_answer_without_a_length_or_with_too_much_is_an_error(self):
        for head in (b"Server: a\r\n", b"Content-Length: 2\r\n", b"A: " + b"a" * 3000):
            with self.subTest(head[:20]), \
                    answering(b"HTTP/1.1 200 OK\r\n" + head + b"\r\nabc") as address:
                result = self.get(address)
                self.assertEqual((result["done"], result["errors"]), (0, 5), result)


def main():
    for program in ("make", "cc"):
        if not shutil.which(program):
            print(f"skipped: {program} is not installed")
            return
    programs.build(sys.argv.pop(1) if len(sys.argv) > 1 else programs.FOLDER, PROGRAMS)
    unittest.main()


main()
