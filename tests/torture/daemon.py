# SPDX-License-Identifier: MIT
"""A daemon under torture: its configuration, its clients, and what can be seen of it from outside."""
import collections
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from control import Control

PATIENCE = 5  # seconds, for whatever must happen: longer is a hang
TRANSPORTS = {"tcp": socket.SOCK_STREAM, "unix": socket.SOCK_STREAM, "unixgram": socket.SOCK_DGRAM}


class Broken(Exception):
    """Something that must not be; the text says what."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, test, patience=PATIENCE):
    """The first true answer of test(); Broken if there is none in time."""
    deadline = time.monotonic() + patience
    while True:
        answer = test()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Broken(what() if callable(what) else what)
        time.sleep(0.01)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return False


def descriptors(pid):
    """How many of each kind a process has open."""
    kinds = collections.Counter()
    folder = f"/proc/{pid}/fd"
    try:
        for name in os.listdir(folder):
            target = os.readlink(f"{folder}/{name}")
            kinds[re.sub(r"/torture-[^/]*/|:\[\d+\]", "/", target)] += 1
    except OSError:
        pass
    return kinds


class Manager:
    """Stands in for the service manager: reads everything, so that nobody waits for it."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.watchdog = []  # when it was heard
        self.ready = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                message = self.socket.recv(4096)
            except OSError:
                return
            if not message:
                return
            if b"WATCHDOG=1" in message:
                self.watchdog.append(time.monotonic())
            self.ready += b"READY=1" in message

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


class Daemon:
    def __init__(self, setup, watchdog=False):
        self.setup = setup
        self.folder = Path(tempfile.mkdtemp(prefix="torture-"))
        self.folder.chmod(0o755)
        self.file = self.folder / "daemon.conf"
        self.ports = [free_port(), free_port()]
        self.addresses = {
            "threading": ("tcp", self.ports[0]), "coroutine": ("tcp", self.ports[1]),
            "forking": ("unix", f"{self.folder}/forking"),
            "none": ("unixgram", f"{self.folder}/none"),
        }
        self.control = Control(f"{self.folder}/shared", setup.names)
        self.manager = Manager(f"{self.folder}/notify")
        self.watchdog = watchdog
        self.process = None
        self.configure("A")

    # ---- configurations ---------------------------------------------------------------------------

    def configure(self, variant):
        """A: four listeners. B: two of them otherwise, and two more, one with TLS. bad: a mistake in
        an option."""
        room = 20 if variant == "A" else 21
        extra = f"""extra = {{ address = "unix://{self.folder}/extra"; plugin = "echo"; }};"""
        files = self.setup.certificate
        secret = f"""secret = {{ address = "unix://{self.folder}/secret"; plugin = "echo";
              tls = {{ certificate = "{files}/tls.pem"; key = "{files}/tls.key"; }}; }};"""
        wrong = """wrong = { address = "unix:@none"; plugin = "echo"; options = { nonsense = 1; }; };"""
        user = """user = "nobody";""" if os.getuid() == 0 else ""
        text = f"""
plugin_path = "{self.setup.build}/plugins";
control = {{ path = "{self.folder}/control"; }};
log = {{ target = "stderr"; level = "info"; access = false; }};
defaults = {{ drain_timeout = "1s"; request_queue_size = 64; }};
listeners = {{
    threading = {{ address = "tcp://127.0.0.1:{self.ports[0]}"; plugin = "echo";
                  mixin = "threading"; max_connections = {room}; {user}
                  deny = [ "192.0.2.0/24" ];
                  max_per_source = 1000; rate_per_source = "100000/s"; rate = "100000/s"; }};
    coroutine = {{ address = "tcp://localhost:{self.ports[1]}"; plugin = "echo";
                  mixin = "coroutine"; max_connections = 20; }};
    forking = {{ address = "unix://{self.folder}/forking"; socket_mode = "0666"; plugin = "echo";
                mixin = "forking"; max_connections = {room}; {user}
                allow = [ "local", "group:{os.getgid()}" ]; }};
    none = {{ address = "unixgram://{self.folder}/none"; plugin = "echo"; }};
    keeps = {{ address = "unix://{self.folder}/keeps"; mixin = "threading";
              plugin = "{self.setup.build}/tests/plugins/good_counter.so";
              max_connections = {room}; options = {{ first = "text"; }}; }};
    {extra if variant == "B" else ""} {secret if variant == "B" and files else ""}
    {wrong if variant == "bad" else ""}
}};
"""
        beside = self.folder / "new"
        beside.write_text(text, encoding="utf-8")
        beside.rename(self.file)

    # ---- its life -----------------------------------------------------------------------------------

    def spawn(self):
        environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": str(self.setup.library),
                       "TORTURE": self.control.path, "NOTIFY_SOCKET": f"{self.folder}/notify"}
        for name in self.setup.environment:
            if name in os.environ:
                environment[name] = os.environ[name]
        if self.watchdog:
            environment["WATCHDOG_USEC"] = "1000000"
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [f"{self.setup.build}/bin/sockserverd", "-c", str(self.file)], env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def log(self):
        try:
            return (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def status(self):
        """None while it runs."""
        return self.process.poll()

    def expect_alive(self):
        if self.status() is not None:
            raise Broken(self.describe_end())

    def describe_end(self):
        status = self.status()
        if status < 0:
            return f"the supervisor died of {signal.Signals(-status).name}"
        return f"the supervisor ended with status {status}"

    def dispose(self):
        """Ends whatever is left of it."""
        self.control.disarm()
        if self.process is not None and self.status() is None:
            self.process.kill()
            self.process.wait()
        for pid, _ in self.control.processes():
            if is_alive(pid) and self._is_ours(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        self.manager.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_ours(self, pid):
        try:
            return str(self.folder).encode() in Path(f"/proc/{pid}/maps").read_bytes()
        except OSError:
            return False

    # ---- its clients ----------------------------------------------------------------------------------

    def ask(self, name, patience=1.0):
        """True if the listener sends back what it is sent."""
        scheme, place = self.addresses[name]
        family = socket.AF_INET if scheme == "tcp" else socket.AF_UNIX
        with socket.socket(family, TRANSPORTS[scheme]) as client:
            client.settimeout(patience)
            try:
                if scheme == "unixgram":
                    client.bind("")  # the kernel finds a name that nobody has
                client.connect(("127.0.0.1", place) if scheme == "tcp" else place)
                client.sendall(b"hello\n")
                return client.recv(16) == b"hello\n"
            except OSError:
                return False

    def connect(self, name):
        """A client of a Unix stream listener that has been answered once, and stays."""
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(PATIENCE)
        try:
            client.connect(f"{self.folder}/{name}")
            client.sendall(b"hello\n")
            if client.recv(16) != b"hello\n":
                raise Broken(f"{name} does not answer")
        except OSError as error:
            raise Broken(f"{name} does not answer: {error}") from error
        return client

    def call(self, method, patience=PATIENCE, **parameters):
        """The reply of the control socket; None if it hangs up without one."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(patience)
            reply = b""
            try:
                client.connect(f"{self.folder}/control")
                call = {"method": f"org.sockserver.Control.{method}", "parameters": parameters}
                client.sendall(json.dumps(call).encode() + b"\0")
                while not reply.endswith(b"\0"):
                    more = client.recv(65536)
                    if not more:
                        return None
                    reply += more
            except TimeoutError as error:
                raise Broken(f"{method}: no reply within {patience} s") from error
            except OSError:
                return None
            try:
                return json.loads(reply[:-1])
            except ValueError as error:
                raise Broken(f"{method}: the reply is not JSON: {reply}") from error

    def try_call(self, method):
        """Whatever becomes of it."""
        try:
            self.call(method, patience=0.2)
        except Broken:
            pass

    def call_well(self, method, **parameters):
        """A call that must succeed; one that is told "busy" is repeated."""
        def attempt():
            reply = self.call(method, **parameters)
            if reply is None or reply.get("error", "").endswith(".Busy"):
                return None
            return reply
        reply = until(f"{method}: busy, or no reply, for {PATIENCE} s", attempt)
        if "error" in reply:
            raise Broken(f"{method} failed afterwards: {reply}")
        return reply

    # ---- whether all is well ------------------------------------------------------------------------

    def workers(self):
        """The live workers by listener, as the daemon tells them; None if it does not."""
        reply = self.call("GetStatus")
        if reply is None or "error" in reply:
            return None
        listeners = reply["parameters"]["listeners"]
        if any(listener["state"] != "serving" for listener in listeners):
            return None
        return {listener["name"]: tuple(listener["workers"]) for listener in listeners}

    def settle(self):
        """Everything serves, within the patience."""
        for name in self.addresses:
            def serves(name=name):
                self.expect_alive()
                return self.ask(name)
            until(f"{name} does not answer", serves)
        def told():
            self.expect_alive()
            return self.workers()
        workers = until("the control socket does not say that all serve", told)
        self.expect_confined(workers)
        return workers

    def expect_confined(self, workers):
        """No worker runs as anybody it should not be, or without its fences."""
        for name, pids in workers.items():
            for pid in pids:
                try:
                    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").split("\n")
                except OSError:
                    continue
                status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
                if status["NoNewPrivs"].strip() != "1":
                    raise Broken(f"{name}'s worker serves without no_new_privs")
                if os.getuid() == 0 and name in ("threading", "forking"):
                    if set(status["Uid"].split()) != {"65534"} or status["Groups"].split():
                        raise Broken(f"{name}'s worker serves as uid {status['Uid']}, "
                                     f"groups {status['Groups']}")

    def began(self, role):
        """How many processes of this kind there have been."""
        return sum(kind == role for _, kind in self.control.processes())

    def settled_descriptors(self):
        """The supervisor's, when they have not changed for a while."""
        last, since = descriptors(self.process.pid), time.monotonic()
        deadline = since + PATIENCE
        while time.monotonic() - since < 0.15 and time.monotonic() < deadline:
            time.sleep(0.02)
            now = descriptors(self.process.pid)
            if now != last:
                last, since = now, time.monotonic()
        return last

    def expect_descriptors(self, before, fewer=False):
        """Those of before, once drained generations are gone; maybe fewer, if something is done
        without."""
        def same():
            now = descriptors(self.process.pid)
            return not now - before and (fewer or not before - now)
        def difference():
            now = descriptors(self.process.pid)
            more, fewer = dict(now - before), dict(before - now)
            return f"the supervisor's descriptors: {more} too many, {fewer} too few"
        until(difference, same)

    def expect_no_zombies(self):
        def reaped():
            return not any(is_zombie(pid) for pid, _ in self.control.processes())
        until("a child was not reaped", reaped)

    def stop(self):
        """An orderly end, and nobody is left behind."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise Broken(f"it did not end within {PATIENCE} s of SIGTERM") from error
        if status < 0:
            raise Broken(self.describe_end())
        def gone():
            return not any(is_alive(pid) and self._is_ours(pid)
                           for pid, _ in self.control.processes())
        until("processes are left after the end", gone)
        return status


class Clients:
    """Ask some listeners all the time, and note who got no answer."""

    def __init__(self, daemon, names):
        self.daemon, self.names = daemon, names
        self.lost = []
        self.enough = threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self):
        while not self.enough.is_set():
            for name in self.names:
                if not self.daemon.ask(name, patience=PATIENCE):
                    self.lost.append(name)
            self.enough.wait(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.enough.set()
        self.thread.join()
