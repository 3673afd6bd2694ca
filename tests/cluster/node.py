# SPDX-License-Identifier: MIT
"""One of the machines: a sockserverd in a network namespace of its own, with its own files."""
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from history import Kill
from network import inside
from waiting import Broken, children, is_alive, until

PROJECT = Path(__file__).resolve().parent.parent.parent
SHIPPED = PROJECT / "packaging/haproxy/sockserverd.conf"
FOLDER = Path("/run/cluster")
AGE = "5s"  # in place of the five minutes, which no test sees the end of



class Node:
    def __init__(self, name, build, with_tls):
        self.name, self.build, self.with_tls = name, build, with_tls
        self.folder = FOLDER / name
        self.process = None
        (self.folder / "plugins").mkdir(parents=True)
        self.install_programs()
        self.install("plugins/agent.so", "plugins/agent.so")
        self.install_plugin("a")
        self.file = self.folder / "sockserverd.conf"
        self.file.write_text(self.configuration(), encoding="utf-8")

    def configuration(self):
        """The shipped file, with the plugin that says who answers."""
        text = SHIPPED.read_text(encoding="utf-8")
        changes = {'plugin = "upper";': f'plugin = "member"; options = {{ node = "{self.name}"; }};',
                   'max_connection_age = "5m";': f'max_connection_age = "{AGE}";',
                   "/etc/sockserverd/tls.": f"{FOLDER}/tls."}
        for before, after in changes.items():
            if before not in text:
                raise Broken(f"{SHIPPED} has no {before!r}")
            text = text.replace(before, after)
        if not self.with_tls:
            text = "\n".join(line for line in text.split("\n") if "tls = {" not in line)
        return f'control = {{ path = "{self.folder}/control"; }};\n{text}'

    # ---- its files ----------------------------------------------------------------------------

    def install(self, source, place):
        """A new file takes the old one's name, as package managers do it."""
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_suffix(".new")
        shutil.copy(self.build / source, beside)
        beside.rename(target)
        return target.stat().st_ino

    def install_programs(self):
        """Returns the inode of the daemon's program."""
        self.install("lib/sockserverd/worker", "lib/sockserverd/worker")
        if self.with_tls:
            self.install("lib/sockserverd/tls.so", "lib/sockserverd/tls.so")
        self.install("bin/sockserverctl", "bin/sockserverctl")
        return self.install("bin/sockserverd", "bin/sockserverd")

    def install_plugin(self, build):
        self.install(f"tests/plugins/good_member_{build}.so", "plugins/member.so")

    # ---- its life -----------------------------------------------------------------------------

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                inside(self.name, self.folder / "bin/sockserverd", "--no-access-log",
                       "--plugin-path", self.folder / "plugins", "-c", self.file),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        until(lambda: f"{self.name} does not serve: {self.last_words()}", self.is_ready)

    def ctl(self, *words, must=True):
        """What sockserverctl prints."""
        done = subprocess.run(
            [self.folder / "bin/sockserverctl", "--socket", self.folder / "control", *words],
            capture_output=True, text=True, check=False)
        if must and done.returncode:
            raise Broken(f"{self.name}: sockserverctl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout if done.returncode == 0 else None

    def is_ready(self):
        if self.process.poll() is not None:
            raise Broken(f"{self.name} ended with status {self.process.returncode}: "
                         f"{self.last_words()}")
        return self.ctl("health", must=False) is not None

    def status(self):
        return json.loads(self.ctl("status", "--json"))

    def program(self):
        """The inode of the program that runs."""
        return os.stat(f"/proc/{self.process.pid}/exe").st_ino

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        until(f"{self.name} does not end after SIGTERM", lambda: self.process.poll() is not None)
        if self.process.returncode:
            raise Broken(f"{self.name} ended with status {self.process.returncode}: "
                         f"{self.last_words()}")

    def kill(self):
        """Supervisor and workers at once, as the machine's end would be."""
        pids = [self.process.pid, *children(self.process.pid)]
        began = time.monotonic()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(f"{self.name} is not dead", lambda: not any(is_alive(pid) for pid in pids))
        self.process.wait()
        return Kill(self.name, began, time.monotonic())

    def last_words(self):
        try:
            return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
        except OSError:
            return ""
