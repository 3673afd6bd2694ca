#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tutorials' TCP client: sends one line and prints the answer.

usage: client.py [HOST:PORT [WORD...]]     (127.0.0.1:9999 hello)
"""

import socket
import sys

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9999"
data = " ".join(sys.argv[2:]) or "hello"
host, _, port = address.rpartition(":")

with socket.create_connection((host.strip("[]"), int(port))) as sock:
    sock.sendall(bytes(data + "\n", "utf-8"))
    received = str(sock.recv(1024), "utf-8")

print("Sent:     {}".format(data))
print("Received: {}".format(received))
