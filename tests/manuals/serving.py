# SPDX-License-Identifier: MIT
"""Serves many plugins at once, each under every mixin and transport that it states, by one daemon, and
asks each of them once."""
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

PATIENCE = 120  # seconds
BAD_NEWS = re.compile(r"killed by signal|exited with status [1-9]|cannot load|terminate called| failed: |runs as root")
TRANSPORTS = {"stream": ("unix", socket.SOCK_STREAM), "datagram": ("unixgram", socket.SOCK_DGRAM)}


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)


class Served:
    """One listener of the daemon's."""

    def __init__(self, name, plugin, mixin, transport, options, more=""):
        self.name, self.plugin, self.mixin = name, plugin, mixin
        self.transport, self.options = transport, options
        self.more = more or f'read_timeout = "{PATIENCE}s";'

    def address(self, folder):
        return folder / f"{self.name}.sock"

    def entry(self, folder):
        settings = "".join(f"{key} = {value}; " for key, value in self.options.items())
        scheme = TRANSPORTS[self.transport][0]
        return (f'{self.name} = {{ address = "{scheme}://{self.address(folder)}"; '
                f'socket_mode = "0666"; plugin = "{self.plugin}"; mixin = "{self.mixin}"; '
                f'{self.more} options = {{ {settings}}}; }};\n')

    def ask(self, folder, text):
        kind = TRANSPORTS[self.transport][1]
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.settimeout(PATIENCE)
            if kind == socket.SOCK_DGRAM:
                client.bind(str(folder / f"{self.name}.client"))
                os.chmod(folder / f"{self.name}.client", 0o666)
            client.connect(str(self.address(folder)))
            if kind == socket.SOCK_DGRAM:
                client.send(text)
                return client.recv(65536)
            return converse(client, text)


def converse(client, text):
    answer = b""
    try:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        pass  # who says all it has to say need not listen
    try:
        while part := client.recv(65536):
            answer += part
    except ConnectionResetError:
        pass
    return answer


def listeners_of(build, name, plugin, options, mixins=None):
    """Every way in which the plugin says that it can be served."""
    run = subprocess.run([build / "bin/sockserverd", "--describe", "--json", plugin], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if run.returncode != 0:
        raise ValueError(run.stderr)
    told = json.loads(run.stdout)
    for mixin in told["mixins"]:
        for transport in told["transports"]:
            if mixins is None or mixin in mixins:
                yield Served(f"{name}-{mixin}-{transport}", plugin, mixin, transport, options)


class Daemon:
    """A daemon with all these listeners, for a with statement."""

    def __init__(self, build, folder, listeners):
        self.folder, self.log = Path(folder), Path(folder) / "log"
        configuration = self.folder / "serve.conf"
        entries = "".join(listener.entry(self.folder) for listener in listeners)
        configuration.write_text(f'control = {{ path = "{self.folder}/control"; }};\n'
                                 f'listeners = {{\n{entries}}};\n', encoding="utf-8")
        os.chmod(folder, 0o777)  # as root, workers are somebody else
        self.command = [build / "bin/sockserverd", "-c", configuration]
        self.count = len(listeners)

    def __enter__(self):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=log)
        wait_until(lambda: self.process.poll() is not None or self.ready(),
                   f"the daemon does not serve: {self.text()[-2000:]}")
        if self.process.poll() is not None:
            raise ValueError(self.text())
        return self

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def ready(self):
        text = self.text()
        return text.count(": listening on ") >= self.count or "cannot start" in text

    def bad_news(self, listener):
        """The lines of the log that tell of trouble with this listener."""
        return [line for line in self.text().splitlines()
                if re.match(rf"sockserverd\[{listener.name}[/\]]", line) and BAD_NEWS.search(line)]

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
