#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tutorial's client of the threaded server: three connections, one after the other.

usage: client.py HOST:PORT     (the port is the one in the daemon's log)
"""

import socket
import sys


def client(host, port, message):
    with socket.create_connection((host, port)) as sock:
        sock.sendall(bytes(message, "ascii"))
        response = str(sock.recv(1024), "ascii")
        print("Received: {}".format(response))


if len(sys.argv) != 2:
    sys.exit(__doc__)
host, _, port = sys.argv[1].rpartition(":")
for number in 1, 2, 3:
    client(host.strip("[]"), int(port), "Hello World {}".format(number))
