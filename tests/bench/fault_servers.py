# SPDX-License-Identifier: MIT
"""The servers that the faults are tried on: each echoes lines on a port of 127.0.0.1.

They get the same room (how many clients at a time), the same read timeout and the same deadline for
a stop, as far as they have such a thing; None stands where they have not.
"""
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cgroup import pss_kib
from fault_clients import ask

ROOT = Path(__file__).resolve().parents[2]
DRAIN = 3  # seconds that a stop may take
ALLOWED = 100  # requests of a source and second, where there is a limit


def free_port():
    import socket
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


# ---- processes --------------------------------------------------------------------------------


def processes(top=None):
    """{pid: (parent, CPU seconds)} of all that run below this process, or below `top`."""
    top = top or os.getpid()
    tick = os.sysconf("SC_CLK_TCK")
    every = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                every[int(entry.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / tick
    below = {top}
    while more := {pid for pid, (parent, _) in every.items() if parent in below} - below:
        below |= more
    return {pid: every[pid] for pid in below if pid in every and pid != top}


def cpu_seconds():
    return sum(seconds for _, seconds in processes().values())


def serving(port, client):
    """The process that holds the server's end of the connection of the socket `client`."""
    for _ in range(100):  # the kernel's table can leave a row out while others come and go
        inode = server_end(port, client.getsockname()[1])
        for pid in processes():
            if inode in descriptors(pid):
                return pid
        time.sleep(0.02)
    raise RuntimeError("the process that serves a connection was not found")


def server_end(port, client_port):
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, *_, inode = line.split()[:10]
        if local.endswith(f":{port:04X}") and remote.endswith(f":{client_port:04X}"):
            return f"socket:[{inode}]"
    return None


def descriptors(pid):
    try:
        return {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


# ---- servers ----------------------------------------------------------------------------------


class Server:
    needs = ()
    stop_signal = signal.SIGTERM
    cases = None             # the names of those that it is for; None: all
    crowd = {"room": 10000}  # what it is started with where thousands come
    limited = None           # what it is started with to allow a source ALLOWED a second

    def __init__(self, room=1000, timeout=60, descriptors=None, settings=""):
        self.room, self.timeout, self.descriptors = room, timeout, descriptors
        self.settings = settings  # more of them, as its configuration has them
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="faults-"))
        self.folder.chmod(0o755)
        self.changes = 0
        self.configure()

    @classmethod
    def missing(cls):
        return [name for name in cls.needs if not shutil.which(str(name))]

    def limit(self):
        if self.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def __enter__(self):
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=output,
                                            stdin=subprocess.DEVNULL, preexec_fn=self.limit)
        for _ in range(100):
            if not ask(self.port, patience=0.5)[2]:
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        text = (self.folder / "output").read_text(errors="replace")
        self.__exit__()
        raise RuntimeError(f"{type(self).__name__} does not serve: {text}")

    def __exit__(self, *_):
        while left := processes():
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.01)
        self.process.wait()
        shutil.rmtree(self.folder)

    def stop(self):
        self.process.send_signal(self.stop_signal)

    def memory_mib(self):
        """PSS of all its processes."""
        pids = [self.process.pid, *processes(self.process.pid)]
        return sum(pss_kib(pid) for pid in pids) / 1024

    def worker(self):
        """One of the processes that may accept a client, where this is not the first process."""
        return None

    def configure(self):
        """Writes the configuration; the next one differs in something harmless."""
        self.changes += 1

    reload = None


class Sockserverd(Server):
    needs = (ROOT / "build/bin/sockserverd",)
    mixin = "threading"
    # A crowd meets the defaults, and a plugin that waits for whole lines.
    crowd = {"room": None, "timeout": None, "plugin": "upper"}
    limited = {"settings": f'rate_per_source = "{ALLOWED}/s"; max_per_source = {ALLOWED};'}

    def __init__(self, *arguments, plugin="echo", **named):
        self.plugin = plugin
        super().__init__(*arguments, **named)

    def configure(self):
        super().configure()
        keys = self.settings
        if self.room:
            keys += f" max_connections = {self.room};"
        if self.timeout:
            keys += f' read_timeout = "{self.timeout}s";'
        (self.folder / "conf").write_text(f"""
            plugin_path = "{ROOT}/build/plugins";
            control = {{ path = "{self.folder}/control"; }};
            log = {{ target = "stderr"; access = false; }};
            listeners = {{ echo = {{
                address = "tcp://127.0.0.1:{self.port}"; mixin = "{self.mixin}";
                plugin = "{self.plugin}"; drain_timeout = "{DRAIN}s"; write_timeout = "{60 + self.changes % 2}s"; {keys}
            }}; }};""")

    def command(self):
        return [ROOT / "build/bin/sockserverd", "-c", self.folder / "conf"]

    def reload(self):
        self.configure()
        subprocess.run([ROOT / "build/bin/sockserverctl", "--socket", self.folder / "control",
                        "reload"], check=True, stdout=subprocess.DEVNULL)

    def worker(self):
        return next(pid for pid, (parent, _) in processes().items() if parent == self.process.pid)


class SockserverdForking(Sockserverd):
    mixin = "forking"


class SockserverdCoroutine(Sockserverd):
    mixin = "coroutine"


class Xinetd(Server):
    """A process per client: cat."""
    needs = ("xinetd", "cat")
    crowd = {"room": 1000}  # that many processes
    limited = {"settings": f"per_source = {ALLOWED}\n    cps = {ALLOWED} 10"}

    def configure(self):
        super().configure()
        (self.folder / "conf").write_text(f"""
service echo
{{
    type        = UNLISTED
    id          = faults
    socket_type = stream
    protocol    = tcp
    wait        = no
    flags       = NOLIBWRAP
    user        = nobody
    server      = {shutil.which("cat")}
    bind        = 127.0.0.1
    port        = {self.port}
    instances   = {self.room}
    {self.settings or "cps = 1000000 1"}
    nice        = {self.changes % 2}
    disable     = no
}}
""")

    def command(self):
        return ["xinetd", "-dontfork", "-f", self.folder / "conf", "-pidfile", self.folder / "pid",
                "-filelog", self.folder / "log"]

    def reload(self):
        self.configure()
        self.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)  # it does not say when it is done


class Apache(Server):
    """mod_echo under prefork: a pool of processes, one client each."""
    needs = ("apache2",)
    stop_signal = signal.SIGWINCH  # apachectl graceful-stop

    def configure(self):
        super().configure()
        pool = min(self.room, 64)
        modules = "/usr/lib/apache2/modules"
        (self.folder / "conf").write_text(f"""
ServerRoot {self.folder}
ServerName localhost
PidFile {self.folder}/pid
DefaultRuntimeDir {self.folder}
ErrorLog {self.folder}/log
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule echo_module {modules}/mod_echo.so
Listen 127.0.0.1:{self.port}
AcceptFilter echo none
AcceptFilter http none
User www-data
Group www-data
Timeout {self.timeout}
GracefulShutdownTimeout {DRAIN}
ProtocolEcho On
StartServers {pool}
MinSpareServers 1
MaxSpareServers {pool}
ServerLimit {pool}
MaxRequestWorkers {pool}
MaxConnectionsPerChild {self.changes % 2 * 1000000}
""")

    def command(self):
        return ["apache2", "-DFOREGROUND", "-d", self.folder, "-f", self.folder / "conf"]

    def reload(self):
        self.configure()
        self.process.send_signal(signal.SIGUSR1)  # apachectl graceful
        time.sleep(0.1)

    worker = Sockserverd.worker


PYTHON = """
import signal, socketserver, sys, threading
class Echo(socketserver.StreamRequestHandler):
    timeout = float(sys.argv[2])
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    def handle_error(self, request, client_address):
        pass
with Server(("127.0.0.1", int(sys.argv[1])), Echo) as server:
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
"""


class Python(Server):
    """ThreadingTCPServer: a thread per client, without a limit."""

    def command(self):
        return [sys.executable, "-c", PYTHON, str(self.port), str(self.timeout)]


BACKEND = """
import asyncio, sys
async def serve(reader, writer):
    try:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()
asyncio.run(main())
"""


class HAProxy(Server):
    """A proxy: behind it, an echo that holds any number of clients."""
    needs = ("haproxy",)
    crowd = {"room": 6000}
    cases = ("dribble", "flood")
    limited = {"settings": f"""
    stick-table type ip size 100k expire 10s store conn_rate(1s)
    tcp-request connection track-sc0 src
    tcp-request connection reject if {{ sc0_conn_rate gt {ALLOWED} }}"""}

    def configure(self):
        super().configure()
        self.behind = free_port()
        (self.folder / "conf").write_text(f"""
global
    maxconn {self.room}
defaults
    mode tcp
    timeout connect 5s
    timeout client {self.timeout}s
    timeout server {self.timeout}s
listen faults
    bind 127.0.0.1:{self.port} backlog 4096{self.settings}
    server echo 127.0.0.1:{self.behind}
""")

    def command(self):
        return ["haproxy", "-db", "-q", "-f", self.folder / "conf"]

    def __enter__(self):
        self.backend = subprocess.Popen([sys.executable, "-c", BACKEND, str(self.behind)])
        return super().__enter__()

    def __exit__(self, *_):
        super().__exit__()
        self.backend.wait()


SERVERS = {
    "sockserverd threading": Sockserverd,
    "sockserverd forking": SockserverdForking,
    "sockserverd coroutine": SockserverdCoroutine,
    "xinetd, cat": Xinetd,
    "Apache prefork, mod_echo": Apache,
    "Python ThreadingTCPServer": Python,
    "HAProxy": HAProxy,
}
