# SPDX-License-Identifier: MIT
"""One server under measurement: started on CPU 0, in a cgroup of its own, loaded from CPU 1."""
import atexit
import functools
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import cgroup
from figures import FILES, NETWORKS, QUESTIONS, SERVERS, WORKS

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
BUILD = PROJECT / "build" / "bench"
RUN = Path(tempfile.mkdtemp(prefix="bench-"))  # short: a Unix socket's path goes in there
atexit.register(shutil.rmtree, RUN, ignore_errors=True)
RUN.chmod(0o755)
SERVER_CPU, LOAD_CPU = 0, (os.cpu_count() or 2) - 1
FIRST_PORT, PORTS = 20000, 12000
PATIENCE = 15  # seconds, for a first answer


class Failed(Exception):
    """A server that does not start or answer; the text says why."""


def busy_seconds():
    """CPU time that all processes of the machine have used."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")  # but idle and iowait


def missing(name):
    """What this server needs and is not here, or None."""
    spec = SERVERS[name]
    needs = [spec.needs.format(build=BUILD), "openssl" if spec.tls else ""]
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    for program in filter(None, needs):
        if shutil.which(program, path=path) is None:
            return Path(program).name
    return "libssl-dev" if spec.tls and not (BUILD / "load-tls").exists() else None


def build_of(spec):
    """The build folder of a sockserverd: this tree's, unless it is compared with another."""
    return spec.build or str(PROJECT / "build")


@functools.cache
def tls_files():
    """A certificate of ECDSA P-256 for this run: its file, its key's, and one with both."""
    files = {name: RUN / f"{name}.pem" for name in ("certificate", "key", "both")}
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(files["key"]), "-out", str(files["certificate"])],
        capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"openssl req: {done.stderr.strip()}")
    files["both"].touch(mode=0o600)
    files["both"].write_text(files["certificate"].read_text() + files["key"].read_text())
    return files


@functools.cache
def program():
    """What is executed for a connection, where every user may."""
    return shutil.copy(BUILD / "programs/line", RUN / "line")


@functools.cache
def files():
    """A folder of files that are served by HTTP."""
    folder = RUN / "files"
    folder.mkdir()
    for name, size in FILES.items():
        (folder / name).write_bytes(os.urandom(size))
    return folder


def filled(text, backend):
    """The text of a command or of settings, with what is made for this run."""
    if "{certificate}" in text or "{key}" in text:
        for name, path in tls_files().items():
            text = text.replace(f"{{{name}}}", str(path))
    for name, make in {"program": program, "files": files, "backend": lambda: backend,
                       "here": lambda: HERE, "build": lambda: BUILD}.items():
        if f"{{{name}}}" in text:
            text = text.replace(f"{{{name}}}", str(make()))
    return text


def write_networks(path):
    """A list of networks in which no client is."""
    path.write_text("".join(f"{20 + i // 25000}.{i // 100 % 250}.{2 * (i % 100)}.0/24\n"
                            for i in range(NETWORKS)))
    return path


def daemon_configuration(spec, address, room, folder, backend=""):
    """sockserverd with its ordinary defaults; only the access log is off and the room is made."""
    scheme, rest = address.split(":", 1)
    settings = filled(spec.settings, backend)
    if "{networks}" in settings:
        settings = settings.replace("{networks}", str(write_networks(folder / "networks")))
    limit = "" if spec.mixin == "none" else f"max_connections = {room};"
    return f"""plugin_path = "{build_of(spec)}/plugins:{build_of(spec)}/examples:{BUILD}/plugins";
control = {{ path = "{folder}/control"; }};
log = {{ target = "stderr"; level = "warning"; access = false; }};
listeners = {{ bench = {{ address = "{scheme}://{rest}"; plugin = "{spec.plugin}";
    mixin = "{spec.mixin}"; {limit} {settings} }}; }};
"""


class Server:
    port = FIRST_PORT
    rate = 1000  # of redis-benchmark, in a second

    def __init__(self, name, scheme, connections=64, start=True, cpu=SERVER_CPU):
        self.name, self.spec, self.scheme, self.cpu = name, SERVERS[name], scheme, cpu
        Server.port = FIRST_PORT + (Server.port + 1 - FIRST_PORT) % PORTS
        self.folder = RUN / f"{Server.port}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.address = self.spec.address or (
            f"{scheme}:{self.folder}/socket" if scheme.startswith("unix")
            else f"{scheme}:127.0.0.1:{Server.port}")
        self.environment = dict(os.environ, RUN=str(self.folder), CONNS=str(connections))
        if self.spec.tls:
            self.environment |= {"CERTIFICATE": str(tls_files()["certificate"]),
                                 "KEY": str(tls_files()["key"]), "PEM": str(tls_files()["both"])}
        self.backend = self.process = None
        self.group = cgroup.new_group()
        self.log = (self.folder / "log").open("wb")
        self.command = [] if self.spec.backend else self._command(connections)
        if start:
            try:
                if self.spec.backend:
                    self._start_backend(connections)
                self._start(connections)
            except BaseException:
                self.stop()
                raise

    def _command(self, connections, backend=""):
        if self.spec.mixin:
            room = max(connections + 100, 512)
            path = self.folder / "sockserverd.conf"
            path.write_text(daemon_configuration(self.spec, self.address, room, self.folder, backend))
            return [f"{build_of(self.spec)}/bin/sockserverd", "-c", str(path)]
        room = 32 if connections <= 64 else connections + 8
        command = self.spec.command.replace("{address}", self.address)
        return filled(command.replace("{room}", str(room)), backend).split()

    def _start_backend(self, connections):
        """Beside the load generator, so that it takes nothing of the proxy's CPU."""
        self.backend = Server(self.spec.backend, self.scheme, connections, cpu=LOAD_CPU)
        self.environment["BACKEND"] = self.backend.address.split(":", 1)[1]
        self.command = self._command(connections, self.environment["BACKEND"])

    def enter(self):
        """In the child, before it becomes the server."""
        self.group.enter()
        os.sched_setaffinity(0, {self.cpu})
        os.setsid()

    def _start(self, connections):
        self.process = subprocess.Popen(self.command, cwd=HERE, env=self.environment,
                                        preexec_fn=self.enter, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        if isinstance(self.group, cgroup.Tree):
            self.group.session = self.process.pid
        echoes_datagrams = self.scheme in ("udp", "unixgram") and self.spec.serves == "echo"
        question = QUESTIONS["datagrams" if echoes_datagrams else self.spec.serves]
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            if self._reachable() and self.load(question, 0.3)["done"]:
                if connections > 64 and ("Apache" in self.name or "kept" in self.name):
                    time.sleep(1 + connections / 1000)  # its pool is still growing
                return
            time.sleep(0.02)
        raise Failed(self._complaint())

    def _reachable(self):
        return not self.scheme.startswith("unix") or (self.folder / "socket").exists()

    def _complaint(self):
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[0] if lines else "no answer"

    def load_command(self, arguments):
        return ["taskset", "-c", str(LOAD_CPU), str(BUILD / ("load-tls" if self.spec.tls else "load")),
                *arguments.format(address=self.address).split(), *self.spec.load.split(),
                *["-T"] * self.spec.tls]

    def load(self, arguments, seconds):
        """Runs the load generator against it; what it reports."""
        if arguments.startswith("redis-benchmark"):
            return self._redis_benchmark(arguments, seconds)
        command = [*self.load_command(arguments), "-t", str(seconds)]
        if self.group.gauge:
            command += ["-G", str(self.group.gauge)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
        if done.returncode:
            raise Failed(done.stderr.strip())
        return json.loads(done.stdout)

    def _redis_benchmark(self, arguments, seconds):
        """The same of redis-benchmark, which knows no time, but a number: the last run tells the rate."""
        host, port = self.address.split(":", 1)[1].rsplit(":", 1)
        try:
            socket.create_connection((host, port), 1).close()
        except OSError as error:  # redis-benchmark would try for ever
            return {"done": 0, "last_error": str(error)}
        count = max(50, int(seconds * self.rate))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            ["taskset", "-c", str(LOAD_CPU), *arguments.split(), "-P", "1", "-n", str(count), "--csv",
             "-h", host, "-p", port],
            capture_output=True, text=True, timeout=seconds * 20 + 60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = [line for line in done.stdout.splitlines() if re.match(r'"[A-Z]', line)]
        good = done.returncode == 0 and bool(lines)
        self.rate = float(lines[-1].split(",")[1].strip('"')) if good else 1000
        secs = count / self.rate
        client = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"done": count if good else 0, "secs": secs, "rate": self.rate, "errors": 0, "lost": 0,
                "client_cpu": client / secs, "last_error": done.stderr.strip()}

    def slice(self, work, seconds, settle=0.05):
        """One slice of load; adds the server's CPU time per request, in microseconds."""
        before, busy, began = self.group.cpu_us(), busy_seconds(), time.monotonic()
        behind = self.backend.group.cpu_us() if self.backend else 0
        result = self.load(WORKS[work][1], seconds)
        time.sleep(settle)  # what was begun ends
        used = self.group.cpu_us() - before
        wall = time.monotonic() - began
        behind = self.backend.group.cpu_us() - behind if self.backend else 0
        own = (used + behind) / 1e6 + result["client_cpu"] * result["secs"]
        result["other_cpus"] = max(0, (busy_seconds() - busy - own) / wall)
        if WORKS[work][1].startswith(("echo", "chat")) and "gauge" in result:
            used = result["gauge"] / 1000  # without the setting up of the connections
        result["cpu_us"] = used / result["done"] if result["done"] else None
        result["server_cpu"] = used / 1e6 / result["secs"]
        return result

    def idle_kib(self, connections):
        """Growth of the PSS of its processes with so many idle connections, each; KiB. All of them
        must answer at the end."""
        self.load("conn {address} -k 4", 0.3)
        time.sleep(1)
        before = self.group.pss_kib()
        client = subprocess.Popen(
            self.load_command(f"idle {{address}} -e -a -N {connections} -t 300"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self._expect_open(client, connections, "served")
            time.sleep(1)
            grown = self.group.pss_kib() - before
            client.stdin.close()
            self._expect_open(client, connections, "served again")
            return grown / connections
        finally:
            client.stdin.close()
            client.wait(timeout=60)

    @staticmethod
    def _expect_open(client, connections, what):
        told = json.loads(client.stdout.readline())
        if told["open"] < connections:
            raise Failed(f"only {told['open']} of {connections} connections were {what}: "
                         f"{told['last_error'] or 'no answer'}")

    def cold_ms(self):
        """From exec to the first answer."""
        done = subprocess.run(
            ["taskset", "-c", str(LOAD_CPU), str(BUILD / "load"), "cold", self.address, "-t", "10",
             "-P", str(SERVER_CPU), "--", *self.command],
            cwd=HERE, env=self.environment, preexec_fn=self.group.enter,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True, timeout=60)
        result = json.loads(done.stdout)
        if not result["ok"]:
            raise Failed(self._complaint())
        return result["ms"]

    def stop(self):
        self.group.end()
        if self.process:
            self.process.wait(timeout=20)
        self.group.remove()
        self.log.close()
        if self.backend:
            self.backend.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
