# SPDX-License-Identifier: MIT
"""@NAME@.py - greets, then answers each line: what a server in Python may begin with

By itself it is a program of Python's socketserver: python3 @NAME@.py. sockserverd runs it in place of
serve_forever(), under any mixin: sockserverd-python(7).
"""

import socketserver

ADDRESS = ("127.0.0.1", 9999)


class Handler(socketserver.StreamRequestHandler):
    """One client. An exception is logged with its traceback, and ends this client only."""

    def handle(self):
        self.wfile.write(b"hello\n")
        for number, line in enumerate(self.rfile, 1):
            self.wfile.write(b"%d: %s" % (number, line))


if __name__ == "__main__":
    with socketserver.ThreadingTCPServer(ADDRESS, Handler) as server:
        server.serve_forever()
