#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The load generator over TLS, against the limit servers: it counts what happens, errors included.

    test_tls.py FOLDER      of the programs; what is missing there is built first

Skipped where libssl-dev or what builds them is missing. Measures nothing.
"""
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import programs
from programs import PATIENCE, run

PROGRAMS = "load", "load-tls", "limit-epoll", "limit-tls_epoll", "limit-tls_thread"


def load(mode, address, *arguments, program="load-tls"):
    return programs.load(mode, address, *arguments, program=program)


def Limit(name, *options):
    files = [FILES / "certificate.pem", FILES / "key.pem"] if "tls" in name else []
    return programs.Limit(name, *options, *files)


class Tls(unittest.TestCase):
    servers = "limit-tls_epoll", "limit-tls_thread"

    def test_handshake_echo_close(self):
        for server in self.servers:
            with self.subTest(server), Limit(server) as limit:
                result = load("conn", limit.address, "-T", "-k", 4, "-n", 20, "-t", PATIENCE)
                self.assertEqual((result["errors"], result["resumed"]), (0, 0), result)
                self.assertGreaterEqual(result["done"], 20)

    def test_resumption_is_counted(self):
        for server in self.servers:
            with self.subTest(server), Limit(server) as limit:
                result = load("conn", limit.address, "-T", "-R", "-k", 4, "-n", 40, "-t", PATIENCE)
                self.assertEqual(result["errors"], 0, result)
                self.assertGreaterEqual(result["resumed"], result["done"], result)

    def test_echo_of_messages_of_any_size_in_any_number(self):
        for server in self.servers:
            for size, depth in ((1, 1), (64, 1), (5000, 16), (50000, 8)):
                with self.subTest(f"{server} {size} {depth}"), Limit(server) as limit:
                    result = load("echo", limit.address, "-T", "-k", 3, "-n", 200, "-s", size, "-d",
                                  depth, "-t", PATIENCE)
                    self.assertEqual(result["errors"], 0, result)
                    self.assertGreaterEqual(result["done"], 200, result)

    def test_downloads_are_counted_in_mebibytes(self):
        for server in self.servers:
            with self.subTest(server), Limit(server, "-d") as limit:
                result = load("down", limit.address, "-T", "-k", 2, "-b", 3, "-n", 12, "-t", PATIENCE)
                self.assertEqual(result["errors"], 0, result)
                self.assertGreaterEqual(result["done"], 12)

    def test_idle_connections_have_shaken_hands(self):
        with Limit("limit-tls_epoll", "-r") as limit:
            result = load("idle", limit.address, "-T", "-N", 20, "-t", 1)
            self.assertEqual((result["open"], result["errors"]), (20, 0), result)

    def test_a_server_without_tls_gives_errors_and_not_answers(self):
        with Limit("limit-epoll") as limit:
            result = load("conn", limit.address, "-T", "-k", 2, "-n", 6, "-t", PATIENCE)
            self.assertEqual(result["done"], 0, result)
            self.assertGreaterEqual(result["errors"], 6)
            self.assertIn("Protocol error", result["last_error"])
            none = run("load-tls", "conn", limit.address, "-T", "-R", "-n", 1)
            self.assertIn("no handshake for the first session", none.stderr)

    def test_a_server_that_breaks_off_gives_errors(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(FILES / "certificate.pem", FILES / "key.pem")

        def serve(listening):
            while True:
                try:
                    connection, _ = listening.accept()
                    with context.wrap_socket(connection, server_side=True) as tls:
                        tls.recv(100)  # and no answer
                except OSError:
                    if listening.fileno() < 0:
                        return
        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=serve, args=(listening,), daemon=True)
            thread.start()
            result = load("conn", f"tcp:127.0.0.1:{listening.getsockname()[1]}", "-T", "-k", 1, "-n", 3,
                          "-t", PATIENCE)
        self.assertEqual(result["done"], 0, result)
        self.assertEqual((result["errors"], result["last_error"]), (3, "recv: unexpected EOF"))

    def test_without_tls_it_says_which_program_has_it(self):
        self.assertIn("load-tls has it", run("load", "conn", "unix:/nowhere", "-T").stderr)


def missing():
    for program in ("make", "cc", "openssl"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None if Path("/usr/include/openssl/ssl.h").exists() else "libssl-dev is not installed"


def main():
    global FILES
    if why := missing():
        print(f"skipped: {why}")
        return
    programs.build(sys.argv.pop(1) if len(sys.argv) > 1 else programs.FOLDER, PROGRAMS)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        FILES = Path(folder)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "2", "-subj", "/CN=localhost", "-keyout", FILES / "key.pem",
             "-out", FILES / "certificate.pem"], check=True, capture_output=True)
        unittest.main()


main()
