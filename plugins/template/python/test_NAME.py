# SPDX-License-Identifier: MIT
"""test_@NAME@.py - what clients of @NAME@ see; sockserverd --run tells where it listens"""

import os
import socket
import unittest

ADDRESS = (os.environ["SOCKSERVER_HOST"], int(os.environ["SOCKSERVER_PORT"]))


class Clients(unittest.TestCase):
    def test_lines_are_numbered(self):
        with socket.create_connection(ADDRESS, timeout=30) as client:
            lines = client.makefile("rb")
            self.assertEqual(lines.readline(), b"hello\n")
            client.sendall(b"one\ntwo\n")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(lines.read(), b"1: one\n2: two\n")

    def test_clients_do_not_wait_for_each_other(self):
        with socket.create_connection(ADDRESS, timeout=30) as first, \
                socket.create_connection(ADDRESS, timeout=30) as second:
            self.assertEqual(second.makefile("rb").readline(), b"hello\n")
            self.assertEqual(first.makefile("rb").readline(), b"hello\n")


if __name__ == "__main__":
    unittest.main()
