# SPDX-License-Identifier: MIT
"""A handler for the tests of the plugin python: sends back each line in upper case."""
import socketserver


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())
