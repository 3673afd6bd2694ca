#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One conversation with a plugin, under every mixin, over TCP and Unix sockets, plain and with TLS: what
each call returns, what the client sees, what is logged and what is counted shall be the same.

    conversation.py BUILD [--show]

The plugin's side is tests/plugins/good_conversation/, what is expected is expected.txt beside this
file. Where a line is not the same everywhere, and cannot be, it begins with who says it in brackets.
--show prints what was said instead of comparing it, in the form of that file.
"""
import argparse
import difflib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEADLINE = 120
MIXINS = "none", "threading", "forking", "coroutine"
SCHEMES = "tcp", "unix"
KINDS = [(mixin, scheme, tls) for mixin in MIXINS for scheme in SCHEMES for tls in (False, True)]
MAX_LINE = 100


# ---- the client -----------------------------------------------------------------------------

class Plain:
    def __init__(self, sock):
        self.sock = sock

    def send(self, data):
        self.sock.sendall(data)

    def receive(self):
        """Some bytes; nothing at the end."""
        return self.sock.recv(65536)

    def end(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """TCP's reset; over a Unix socket, to be gone is all there is."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


class Sealed(Plain):
    """The same over TLS. The end of either side is a close_notify."""
    context = None

    def __init__(self, sock):
        super().__init__(sock)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = self.context.wrap_bio(self.incoming, self.outgoing)
        self._do(self.tls.do_handshake)

    def _do(self, call, *arguments):
        while True:
            try:
                return call(*arguments)
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            finally:
                self._flush()

    def _flush(self):
        if self.outgoing.pending:
            try:
                self.sock.sendall(self.outgoing.read())
            except BrokenPipeError:
                pass  # whoever has gone is read to its end all the same

    def send(self, data):
        self._do(self.tls.write, data)

    def receive(self):
        try:
            return self._do(self.tls.read, 65536)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def end(self):
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # the other side's end is still to come
        self._flush()


# ---- what the client does in each scene, when it is told "now" ---------------------------------

class Client:
    def __init__(self, address, tls):
        if address.startswith("unix://"):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(DEADLINE)
            sock.connect(address[7:])
        else:
            host, _, port = address[6:].rpartition(":")
            sock = socket.create_connection((host, int(port)), DEADLINE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pipe = (Sealed if tls else Plain)(sock)
        self.held, self.seen, self.ended = b"", [], False

    def say(self, data):
        self.pipe.send(data)

    def line(self):
        """The next one; what is left at the end; or None."""
        while b"\n" not in self.held and not self.ended:
            try:
                data = self.pipe.receive()
            except ConnectionResetError:
                data = b""
                self.seen.append("reset")
            self.ended = not data
            self.held += data
        if not self.held:
            return None
        head, newline, self.held = self.held.partition(b"\n")
        self.seen.append(repr((head + newline).decode()))
        return (head + newline).decode()

    def await_turn(self):
        text = self.line()
        if text != "now\n":
            raise AssertionError(f"not the client's turn: {text!r} after {self.seen}")

    def to_the_end(self):
        while self.line() is not None:
            pass
        self.seen.append("the end")


def say_each(*pieces):
    """Each piece (a list: with pauses between its parts) at its turn, then to the end."""
    def play(client):
        for piece in pieces:
            client.await_turn()
            for part in piece if isinstance(piece, list) else [piece]:
                if part is END:
                    client.pipe.end()
                else:
                    client.say(part)
                    time.sleep(0.02)  # so that they come apart, if they may
        client.to_the_end()
    return play


END = object()


def resets(client):
    client.await_turn()
    client.pipe.reset()
    client.seen.append("gone")


def takes_nothing(client):
    client.seen.append("takes nothing")


def answers_the_end(client):
    client.to_the_end()
    client.say(b"I have seen it\n")
    client.pipe.end()


SCENES = {
    "reads": say_each(b"abc", [b"de", b"fgh"], [b"one li", b"ne\n"], b"first\nsecond\n",
                      b"x" * 2 * MAX_LINE),
    "ends": say_each([b"no newline", END]),
    "peeks": say_each([END]),
    "waits": say_each(b"some", b"more", b"bytes"),
    "stale": say_each(b"y" * 2000, b"z" * 4096),
    "rests": say_each(*[b"w" * 16384] * 4),
    "polls": say_each(b"q"),
    "polls_in_turn": say_each(),
    "wakes": say_each(b"hello", b"one\ntwo\n"),
    "timeouts": say_each(b"hello"),
    "deadlines": say_each(b"hello"),
    "half_close": answers_the_end,
    "write_after_end": say_each(),
    "relay_end": answers_the_end,
    "reset_read": resets,
    "reset_wait": resets,
    "reset_write": resets,
    "files": say_each(),
    "file_after_end": say_each(),
    "nowhere": say_each(),
    "fails_io": say_each(),
    "fails_pipe": say_each(),
    "fails_time": say_each(),
    "fails_cancelled": say_each(),
    "fails_again": say_each(),
}
LAST = {"unread": takes_nothing}  # how many bytes it has got is the kernel's affair
OVERTIME = {"overtime": say_each(), "overtime_read": say_each(b"")}
DRAINS = {"drain_poll": b"", "drain_input": b"", "drain_sleep": b"", "drain_line": b"half a li",
          "drain_passes": b""}


# ---- the daemon -----------------------------------------------------------------------------

def name_of(kind):
    mixin, scheme, tls = kind
    return f"{mixin}-{scheme}" + ("-tls" if tls else "")


class Daemon:
    """Serves the plugin once for each kind."""

    def __init__(self, build, folder, settings):
        self.build, self.folder, self.log = build, folder, []
        self.ended = threading.Event()
        self.changed = threading.Condition()
        (folder / "conf").write_text(self._configuration(settings))
        self.process = subprocess.Popen([build / "bin/sockserverd", "-c", folder / "conf"],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        errors="replace", start_new_session=True)
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.addresses = {kind: self._await_address(kind) for kind in KINDS}
        except BaseException:
            self.kill()
            raise

    def _await_address(self, kind):
        line = self.await_line(rf"\[{name_of(kind)}\]: (?:listening on (\S+)|.*cannot load plugin)")
        if line[1] is None:
            raise AssertionError("\n".join(self.log))
        return line[1].rstrip(",")

    def _configuration(self, settings):
        certificate = f'tls = {{ certificate = "{self.folder}/pem"; key = "{self.folder}/key"; }};'
        listeners = "".join(f"""
    "{name_of(kind)}" = {{ address = "{kind[1]}://{'127.0.0.1:0' if kind[1] == 'tcp' else self.folder / name_of(kind)}";
        plugin = "good_conversation"; mixin = "{kind[0]}"; max_line = {MAX_LINE}; {settings}
        options = {{ folder = "{self.folder}"; }}; {certificate if kind[2] else ''} }};""" for kind in KINDS)
        listeners = re.sub(r'"([\w-]+)" = \{ address', r"\1 = { address", listeners)
        return f"""plugin_path = "{self.build}/tests/plugins";
control = {{ path = "{self.folder}/control"; }};
log = {{ target = "stderr"; level = "info"; access = true; }};
listeners = {{{listeners}
}};
"""

    def _listen(self):
        for line in self.process.stderr:
            with self.changed:
                self.log.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended.set()
            self.changed.notify_all()

    def find(self, pattern, start=0):
        for line in itertools.islice(self.log, start, None):
            if found := re.search(pattern, line):
                return found
        return None

    def await_line(self, pattern, start=0):
        with self.changed:
            if not self.changed.wait_for(lambda: self.find(pattern, start) or self.ended.is_set(),
                                         DEADLINE) or not self.find(pattern, start):
                raise AssertionError(f"waited in vain for {pattern!r} in the log:\n" +
                                     "\n".join(self.log[-30:]))
            return self.find(pattern, start)

    def counters(self, kind):
        done = subprocess.run([self.build / "bin/sockserverctl", "--socket", self.folder / "control",
                               "status", name_of(kind), "--json"], capture_output=True, text=True,
                              timeout=DEADLINE)
        return json.loads(done.stdout)

    def stop(self):
        """As it is; its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


NORMAL = [
    (r"^\S*sockserverd\[[\w-]+(/\d+)?\]: ", "log: "),
    (r"(127\.0\.0\.1:\d+|pid \d+ uid \d+|unknown process): ", "CLIENT: "),
    (r", \d+\.\d+ ms", ""),
]


SLOW = "the handler keeps its event loop for more than"  # it may, on a busy machine
# In the scene with a client that takes nothing.
NORMAL += [(r"(idle for too long, \d+ bytes in), \d{5,} bytes out", r"\1, many bytes out")]


def normal(line):
    for pattern, text in NORMAL:
        line = re.sub(pattern, text, line)
    return line


def log_of(daemon, kind, start):
    """What this listener has logged of requests since then."""
    pattern = re.compile(rf"sockserverd\[{name_of(kind)}/\d+\]: ")
    with daemon.changed:
        return [normal(line) for line in daemon.log[start:]
                if pattern.search(line) and SLOW not in line]


# ---- the conversations ----------------------------------------------------------------------

def meet(daemon, kind, scene, play):
    """One scene on a connection of its own: what the client has seen, and the log."""
    start = len(daemon.log)
    client = Client(daemon.addresses[kind], kind[2])
    try:
        if scene:
            client.say(f"{scene}\n".encode())
        play(client)
        if scene != "unread":
            client.pipe.close()
        daemon.await_line(rf"\[{name_of(kind)}/\d+\]: .*bytes in", start)
    finally:
        client.pipe.close()
    return ([f"client: {text}" for text in client.seen] + log_of(daemon, kind, start))


def counted(daemon, kind):
    counters = daemon.counters(kind)
    found = {}

    def walk(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in COUNTED and isinstance(inner, int):
                    found.setdefault(key, inner)
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
    walk(counters)
    return [f"{key} {found[key]}" for key in sorted(found)]


COUNTED = ("accepted", "refused", "failed", "vanished", "cut", "truncated", "bytes_in", "bytes_out",
           "idle_ended", "slow_ended", "done", "rejected", "denied", "limited", "handshakes_failed")


def refused(daemon, kind, name):
    """While the file of that name is there, for a hook that refuses."""
    start = len(daemon.log)
    client = Client(daemon.addresses[kind], kind[2])
    client.to_the_end()
    daemon.await_line(rf"\[{name_of(kind)}/\d+\]: .*bytes in", start)
    client.pipe.close()
    return [f"client: {text}" for text in client.seen] + log_of(daemon, kind, start)


def talk(daemon, kind):
    said = {}
    for scene, play in SCENES.items():
        said[scene] = meet(daemon, kind, scene, play)
    return said


def run_talk(build, folder):
    daemon = Daemon(build, folder, 'drain_timeout = "2s";')
    try:
        said = in_parallel(lambda kind: talk(daemon, kind))
        for name in "refuse", "setup":
            (folder / name).touch()
            for kind, scenes in in_parallel(lambda kind: {name: refused(daemon, kind, name)}).items():
                said[kind] |= scenes
            (folder / name).unlink()
        for kind in KINDS:
            said[kind]["counters"] = counted(daemon, kind)
        for kind, scenes in in_parallel(lambda kind: {scene: meet(daemon, kind, scene, play)
                                                      for scene, play in LAST.items()}).items():
            said[kind] |= scenes
        if daemon.stop():
            raise AssertionError("the daemon ended with a failure:\n" + "\n".join(daemon.log[-30:]))
    finally:
        daemon.kill()
    return said


def run_overtime(build, folder):
    daemon = Daemon(build, folder, 'request_timeout = "2s";')
    try:
        said = in_parallel(lambda kind: {scene: meet(daemon, kind, scene, play)
                                         for scene, play in OVERTIME.items()})
        for kind in KINDS:
            said[kind]["overtime counters"] = counted(daemon, kind)
        daemon.stop()
    finally:
        daemon.kill()
    return said


def run_drain(build, folder, scene, data):
    daemon = Daemon(build, folder, 'drain_timeout = "2s";')
    try:
        start, clients = len(daemon.log), {}
        for kind in KINDS:
            client = clients[kind] = Client(daemon.addresses[kind], kind[2])
            client.say(f"{scene}\n".encode())
            client.await_turn()
            if data:
                client.say(data)
        daemon.process.send_signal(signal.SIGTERM)
        for client in clients.values():
            client.to_the_end()
            client.pipe.close()
        if daemon.process.wait(DEADLINE):
            raise AssertionError("the daemon ended with a failure:\n" + "\n".join(daemon.log[-30:]))
        daemon.ended.wait(DEADLINE)
        return {kind: {scene: [f"client: {text}" for text in clients[kind].seen] +
                       log_of(daemon, kind, start)} for kind in KINDS}
    finally:
        daemon.kill()


def in_parallel(work):
    """The results by kind. A failure of any is the whole one's."""
    results, failures = {}, []

    def run(kind):
        try:
            results[kind] = work(kind)
        except Exception as error:  # shown below, in the main thread
            failures.append(f"{name_of(kind)}: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=run, args=(kind,)) for kind in KINDS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise AssertionError("\n".join(failures))
    return results


# ---- what is the same -----------------------------------------------------------------------

GROUPS = ([("tcp", lambda k: k[1] == "tcp"), ("unix", lambda k: k[1] == "unix"),
           ("tls", lambda k: k[2]), ("plain", lambda k: not k[2])] +
          [(f"{scheme} {name}", lambda k, s=scheme, t=tls: k[1] == s and k[2] == t)
           for scheme in SCHEMES for tls, name in ((False, "plain"), (True, "tls"))] +
          [(mixin, lambda k, m=mixin: k[0] == m) for mixin in MIXINS])


def label(kinds):
    """Who these kinds are: "" for all of them."""
    kinds = set(kinds)
    if kinds == set(KINDS):
        return ""
    for name, belongs in GROUPS:
        if kinds == {kind for kind in KINDS if belongs(kind)}:
            return f"[{name}] "
    return "[" + " ".join(name_of(kind) for kind in KINDS if kind in kinds) + "] "


def shown(said):
    """All of it as text; of a scene that is not the same everywhere, once for each group."""
    lines = []
    for scene in said[KINDS[0]]:
        groups = {}
        for kind in KINDS:
            groups.setdefault(tuple(said[kind][scene]), []).append(kind)
        for text, kinds in groups.items():
            lines += [f"{label(kinds)}{scene}", *(f"    {line}" for line in text), ""]
    return lines


def make_certificate(build, folder):
    program = build / "tests/tls_certificate"
    if not program.exists():
        return False
    leaks = f'{os.environ.get("ASAN_OPTIONS", "")}:detect_leaks=0'  # what it has is freed at its end
    subprocess.run([program, folder / "made", "ec", "localhost", "-1", "30", "-", "DNS:localhost"],
                   check=True, env=dict(os.environ, ASAN_OPTIONS=leaks))
    shutil.copy(folder / "made.pem", folder / "pem")
    shutil.copy(folder / "made.key", folder / "key")
    Sealed.context = ssl.create_default_context(cafile=str(folder / "pem"))
    Sealed.context.check_hostname = False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    build = options.build.resolve()
    with tempfile.TemporaryDirectory(prefix="talk-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # workers may have another user
        if not make_certificate(build, folder):
            print("skipped: it was built without OpenSSL")
            return 0
        said = run_talk(build, folder)
        for kind, scenes in run_overtime(build, folder).items():
            said[kind] |= scenes
        for scene, data in DRAINS.items():
            for kind, scenes in run_drain(build, folder, scene, data).items():
                said[kind] |= scenes
    lines = shown(said)
    if options.show:
        print("\n".join(lines))
        return 0
    expected = (HERE / "expected.txt").read_text().splitlines()
    found = list(difflib.unified_diff(expected, lines, "expected.txt", "said", lineterm=""))
    print("\n".join(found) if found else f"{len(lines)} lines are as expected")
    return 1 if found else 0


sys.exit(main())
