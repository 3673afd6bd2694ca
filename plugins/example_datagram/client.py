#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tutorial's UDP client: sends one datagram and prints the answer.

There is no connect(): UDP has no connections.

usage: client.py [HOST:PORT [WORD...]]     (127.0.0.1:9999 hello)
"""

import socket
import sys

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9999"
data = " ".join(sys.argv[2:]) or "hello"
host, _, port = address.rpartition(":")

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(10)
    sock.sendto(bytes(data + "\n", "utf-8"), (host, int(port)))
    received = str(sock.recv(1024), "utf-8")

print("Sent:     {}".format(data))
print("Received: {}".format(received))
