#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What ends a call that waits: the table in sockserver-plugin(3), under every mixin.

    waiting.py BUILD

Each call of the table waits in a request of its own, of one listener for each mixin, while
request_timeout ends or a drain begins. One line for each mistake; the status is 1 if there was one.
"""
import os
import re
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import pages
from serving import Daemon, Served, wait_until

MANUAL = pages.PROJECT / "include/sockserver/sockserver-plugin.3"
MIXINS = ("none", "threading", "forking", "coroutine")
OVER = 'request_timeout = "1s";'
DRAIN = 'read_timeout = "10s"; write_timeout = "10s"; drain_timeout = "5m";'
RETURNED = re.compile(r"sockserverd\[([^/\]]+)/\d+\]: the call has returned (.*)")


def table():
    """{call: (what request_timeout makes it return, what a drain does)}; "" is: it goes on."""
    text = re.search(r"^\.Bl -column .*?^\.El", MANUAL.read_text(encoding="utf-8")[
        MANUAL.read_text(encoding="utf-8").index(".Sh WAITING AND ENDING"):],
        re.MULTILINE | re.DOTALL).group(0)
    rows = {}
    for line in re.findall(r"^\.It Xr (.*)$", text, re.MULTILINE):
        call, over, drain = line.split(" Ta ")
        call = re.sub(r" 3( ,)?", lambda match: "," if match.group(1) else "", call)
        rows[call] = tuple("".join(re.findall(r"-(E[A-Z]+)", cell)) for cell in (over, drain))
    return rows


def compile_plugin(folder):
    plugin = folder / "waiting.so"
    subprocess.run([*os.environ.get("CC", "cc").split(), "-D_GNU_SOURCE", "-shared", "-fPIC",
                    f"-I{pages.PROJECT}/include", "-o", plugin,
                    pages.PROJECT / "tests/manuals/waiting.c"], check=True)
    plugin.chmod(0o755)
    return plugin


def fill_queue(path):
    """A Unix socket that takes nobody more, and those who fill it."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    os.chmod(path, 0o777)
    server.listen(0)
    clients = [server]
    while True:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        clients.append(client)
        try:
            client.connect(str(path))
        except BlockingIOError:
            return clients


def results(daemon):
    return dict(RETURNED.findall(daemon.text()))


def observe(build, plugin, folder, calls, more, drains):
    """{(call, mixin): what it returned}."""
    folder.mkdir()
    full = fill_queue(folder / "full")
    names = {f"l{number}-{mixin}": (call, mixin)
             for number, call in enumerate(calls) for mixin in MIXINS}
    options = {"to": f'"unix://{folder}/full"'}
    listeners = [Served(name, plugin, mixin, "stream", {**options, "call": f'"{call}"'}, more)
                 for name, (call, mixin) in names.items()]
    clients = []
    with Daemon(build, folder, listeners) as daemon:
        for listener in listeners:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            clients.append(client)
            client.connect(str(listener.address(folder)))
        wait_until(lambda: daemon.text().count("begins to wait") >= len(listeners),
                   "not every request has begun")
        if drains:
            daemon.process.terminate()
        wait_until(lambda: len(results(daemon)) >= len(listeners), "not every call has returned")
        found = {names[name]: result for name, result in results(daemon).items()}
        for client in [*clients, *full]:
            client.close()
    return found


def compare(rows, column, found, when):
    for call, row in rows.items():
        for mixin in MIXINS:
            result = found[call, mixin]
            if row[column] and result != row[column]:
                yield f"{call} ({mixin}), {when}: found {result}; expected {row[column]}"
            if not row[column] and result == "ECANCELED":
                yield f"{call} ({mixin}), {when}: found {result}; expected that it goes on"


def main():
    build, rows = Path(sys.argv[1]).resolve(), table()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        folder.chmod(0o755)
        plugin = compile_plugin(folder)
        over = pool.submit(observe, build, plugin, folder / "over", rows, OVER, False)
        drain = pool.submit(observe, build, plugin, folder / "drain", rows, DRAIN, True)
        mistakes = [*compare(rows, 0, over.result(), "request_timeout is over"),
                    *compare(rows, 1, drain.result(), "a drain begins")]
    for mistake in mistakes:
        print(mistake)
    print(f"{len(rows)} calls under {len(MIXINS)} mixins; {len(mistakes)} mistakes")
    return 1 if mistakes or len(rows) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
