# SPDX-License-Identifier: MIT
"""One server under measurement: started on CPU 0, in a cgroup of its own, loaded from CPU 1."""
import atexit
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import cgroup
from figures import NETWORKS, SERVERS, WORKS

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
    """The program that this server needs and that is not here, or None."""
    needs = SERVERS[name].needs.format(build=BUILD)
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return needs if needs and shutil.which(needs, path=path) is None else None


def build_of(spec):
    """The build folder of a sockserverd: this tree's, unless it is compared with another."""
    return spec.build or str(PROJECT / "build")


def write_networks(path):
    """A list of networks in which no client is."""
    path.write_text("".join(f"{20 + i // 25000}.{i // 100 % 250}.{2 * (i % 100)}.0/24\n"
                            for i in range(NETWORKS)))
    return path


def daemon_configuration(spec, address, room, folder):
    """sockserverd with its ordinary defaults; only the access log is off and the room is made."""
    scheme, rest = address.split(":", 1)
    settings = spec.settings
    if "{networks}" in settings:
        settings = settings.format(networks=write_networks(folder / "networks"))
    limit = "" if spec.mixin == "none" else f"max_connections = {room};"
    return f"""plugin_path = "{build_of(spec)}/plugins";
control = {{ path = "{folder}/control"; }};
log = {{ target = "stderr"; level = "warning"; access = false; }};
listeners = {{ bench = {{ address = "{scheme}://{rest}"; plugin = "{spec.plugin}";
    mixin = "{spec.mixin}"; {limit} {settings} }}; }};
"""


class Server:
    port = FIRST_PORT

    def __init__(self, name, scheme, connections=64, start=True):
        self.name, self.spec, self.scheme = name, SERVERS[name], scheme
        Server.port = FIRST_PORT + (Server.port + 1 - FIRST_PORT) % PORTS
        self.folder = RUN / f"{Server.port}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.address = self.spec.address or (
            f"{scheme}:{self.folder}/socket" if scheme.startswith("unix")
            else f"{scheme}:127.0.0.1:{Server.port}")
        self.environment = dict(os.environ, RUN=str(self.folder), CONNS=str(connections))
        self.command = self._command(connections)
        self.group = cgroup.new_group()
        self.process = None
        self.log = (self.folder / "log").open("wb")
        if start:
            try:
                self._start(connections)
            except BaseException:
                self.stop()
                raise

    def _command(self, connections):
        if self.spec.mixin:
            room = max(connections + 100, 512)
            path = self.folder / "sockserverd.conf"
            path.write_text(daemon_configuration(self.spec, self.address, room, self.folder))
            return [f"{build_of(self.spec)}/bin/sockserverd", "-c", str(path)]
        room = 32 if connections <= 64 else connections + 8
        return self.spec.command.format(address=self.address, build=BUILD, room=room).split()

    def enter(self):
        """In the child, before it becomes the server."""
        self.group.enter()
        os.sched_setaffinity(0, {SERVER_CPU})
        os.setsid()

    def _start(self, connections):
        self.process = subprocess.Popen(self.command, cwd=HERE, env=self.environment,
                                        preexec_fn=self.enter, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        if isinstance(self.group, cgroup.Tree):
            self.group.session = self.process.pid
        mode = "dgram" if self.scheme in ("udp", "unixgram") else "conn"
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            if self._reachable() and self.load(f"{mode} {{address}} -k 1 -n 1 -c length", 0.3)["done"]:
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

    def load(self, arguments, seconds):
        """Runs the load generator against it; what it reports."""
        command = ["taskset", "-c", str(LOAD_CPU), str(BUILD / "load"),
                   *arguments.format(address=self.address).split(), *self.spec.load.split(),
                   "-t", str(seconds)]
        if self.group.gauge:
            command += ["-G", str(self.group.gauge)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
        if done.returncode:
            raise Failed(done.stderr.strip())
        return json.loads(done.stdout)

    def slice(self, work, seconds, settle=0.05):
        """One slice of load; adds the server's CPU time per request, in microseconds."""
        before, busy, began = self.group.cpu_us(), busy_seconds(), time.monotonic()
        result = self.load(WORKS[work][1], seconds)
        time.sleep(settle)  # what was begun ends
        used = self.group.cpu_us() - before
        wall = time.monotonic() - began
        own = used / 1e6 + result["client_cpu"] * result["secs"]
        result["other_cpus"] = max(0, (busy_seconds() - busy - own) / wall)
        if WORKS[work][1].startswith("echo") and "gauge" in result:
            used = result["gauge"] / 1000  # without the setting up of the connections
        result["cpu_us"] = used / result["done"] if result["done"] else None
        result["server_cpu"] = used / 1e6 / result["secs"]
        return result

    def idle_kib(self, connections):
        """Growth of the PSS of its processes with so many idle connections, each; KiB."""
        self.load("conn {address} -k 4", 0.3)
        time.sleep(1)
        before = self.group.pss_kib()
        client = subprocess.Popen(
            ["taskset", "-c", str(LOAD_CPU), str(BUILD / "load"), "idle", self.address, "-e",
             "-N", str(connections), "-t", "300"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            opened = json.loads(client.stdout.readline())["open"]
            if opened < connections:
                raise Failed(f"only {opened} of {connections} connections were served")
            time.sleep(1)
            return (self.group.pss_kib() - before) / connections
        finally:
            client.stdin.close()
            client.wait(timeout=60)

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
        shutil.rmtree(self.folder, ignore_errors=True)
