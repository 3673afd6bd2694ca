# SPDX-License-Identifier: MIT
"""Runs tests of Python's own test_socketserver as a script of the plugin python.

The arguments are their names: SocketServerTest.test_TCPServer, ...
"""

import os
import sys
import tempfile
import unittest

from test import test_socketserver

folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)
suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:], test_socketserver)
result = unittest.TestResult()
suite.run(result)
for name, trace in result.errors + result.failures:
    print(f"{name}: {trace}", file=sys.stderr)
bad = len(result.errors) + len(result.failures)
print(f"of {result.testsRun} tests {bad} failed, {len(result.skipped)} were skipped")
