# SPDX-License-Identifier: MIT
"""The balancers: HAProxy with the shipped configuration, and nginx for datagrams."""
import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from network import NODES, Unable, inside
from node import FOLDER, PROJECT
from waiting import Broken, children, is_alive, until

SHIPPED = PROJECT / "packaging/haproxy"
SOCKET = Path("/run/haproxy/admin.sock")
MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
SERVICES = ("upper", "upper-tls")


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def start(name, *command):
    with open(FOLDER / f"{name}.log", "ab") as log:
        return subprocess.Popen(inside("edge", *command), stdin=subprocess.DEVNULL, stdout=log,
                                stderr=log, start_new_session=True)


def check(*command):
    done = subprocess.run(inside("edge", *command), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"{' '.join(command)}: {done.stdout}{done.stderr}")


class HAProxy:
    def __init__(self, with_tls):
        self.program, self.services = find("haproxy"), SERVICES if with_tls else SERVICES[:1]
        self.file = SHIPPED / "haproxy.cfg"
        SOCKET.parent.mkdir()
        check(self.program, "-c", "-f", str(self.file))
        self.process = start("haproxy", self.program, "-W", "-db", "-f", self.file)
        until("HAProxy does not answer", lambda: self.worker() is not None)

    def ask(self, command):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(10)
            try:
                client.connect(str(SOCKET))
                client.sendall(command.encode() + b"\n")
                answer = b""
                while more := client.recv(65536):
                    answer += more
            except OSError:
                return None
        return answer.decode()

    def worker(self):
        """The process that serves now; None if there is none yet."""
        for line in (self.ask("show info") or "").split("\n"):
            if line.startswith("Pid: "):
                return int(line.split()[1])
        return None

    def states(self, node):
        """What it thinks of a node, by service: "UP", "DOWN", "DRAIN (agent)" and so on."""
        table = (self.ask("show stat") or "").lstrip("# ").strip().split("\n")
        return {row["pxname"]: row["status"] for row in csv.DictReader(table)
                if row["svname"] == node and row["pxname"] in self.services}

    def wait_for(self, node, state):
        """Until each service of a node is in that state."""
        def reached():
            states = self.states(node)
            return states and all(found.split(" ")[0] == state for found in states.values())
        until(lambda: f"HAProxy takes {node} for {state}, but for {self.states(node)}", reached)

    def wait_until_up(self):
        for node in NODES:
            self.wait_for(node, "UP")

    def reload(self):
        """Returns when the new process serves, with the old one's pid."""
        before = self.worker()
        self.process.send_signal(signal.SIGUSR2)
        until("HAProxy's new process does not serve", lambda: self.worker() not in (before, None))
        return before


    @staticmethod
    def exit_code(worker):
        """As text; None if the master has not told yet."""
        told = re.search(rf"ormer worker \({worker}\) exited with code (\d+)",
                         (FOLDER / "haproxy.log").read_text(encoding="utf-8", errors="replace"))
        return told and told[1]


class Nginx:
    def __init__(self):
        self.program = find("nginx")
        if self.program is None:
            raise Unable("nginx is not installed")
        if not MODULE.exists():
            raise Unable(f"nginx has no stream module at {MODULE}")
        self.file = FOLDER / "nginx.conf"
        self.down = set()
        self.write()
        command = [self.program, "-e", "stderr", "-p", str(FOLDER), "-c", str(self.file)]
        check(*command, "-t")
        self.process = start("nginx", *command, "-g", "daemon off;")
        self.wait_for_worker(())

    def write(self):
        text = (SHIPPED / "nginx.conf").read_text(encoding="utf-8")
        for node in self.down:
            line = f"server {NODES[node]}:7000 max_fails=1 fail_timeout=2s"
            if text.count(f"        {line};") != 1:
                raise Broken(f"nginx.conf has no line {line!r}")
            text = text.replace(f"        {line};", f"        {line} down;")
        self.file.write_text(text, encoding="utf-8")

    def wait_for_worker(self, before):
        until("nginx's new process does not serve",
              lambda: set(children(self.process.pid)) - set(before))

    def mark(self, node, down):
        """Returns when no more datagrams go there: when the reload began and ended."""
        began = time.monotonic()
        (self.down.add if down else self.down.discard)(node)
        self.write()
        before = children(self.process.pid)
        self.process.send_signal(signal.SIGHUP)
        self.wait_for_worker(before)
        until("nginx's old process does not end",
              lambda: not any(is_alive(pid) for pid in before))
        return began, time.monotonic()
