# SPDX-License-Identifier: MIT
"""sockserverd with many listeners: the start, a reload of one of them, a scrape, the memory."""
import statistics
import subprocess
import time

import figures
import scrape
from cgroup import new_group, pss_kib
from server import PROJECT, RUN, Failed

BIN = PROJECT / "build/bin"
SCRAPES = 50
PATIENCE = 60  # seconds, until all listen


class Daemon:
    """A context; all CPUs, and a group of its own."""

    def __init__(self):
        self.configuration, self.control = RUN / "many.conf", RUN / "many"
        self.log = RUN / "many.log"
        self.group = new_group()

    def configure(self, changed=0):
        """The file; every value of `changed` gives one and the same listener other settings."""
        listeners = "\n".join(
            f'l{i} = {{ address = "tcp://127.0.0.1:0"; plugin = "echo"; mixin = "threading"; '
            f"max_connections = {512 + (0 if i else changed)}; }};" for i in range(figures.LISTENERS))
        self.configuration.write_text(
            f'plugin_path = "{PROJECT}/build/plugins";\ncontrol = {{ path = "{self.control}"; }};\n'
            'log = { target = "stderr"; access = false; };\n'
            f"listeners = {{\n{listeners}\n{scrape.METRICS}\n}};\n")

    def __enter__(self):
        """Starts it; started_ms is the time until all listeners listened."""
        self.configure()
        began = time.monotonic()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(BIN / "sockserverd"), "-c", str(self.configuration)], stderr=output,
                stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=self.group.enter)
        self.group.session = self.process.pid
        try:
            while self.log.read_bytes().count(b"listening on") <= figures.LISTENERS:
                if self.process.poll() is not None or time.monotonic() - began > PATIENCE:
                    raise Failed("no start")
                time.sleep(0.005)
        except BaseException:
            self.__exit__()
            raise
        self.started_ms = (time.monotonic() - began) * 1000
        return self

    def __exit__(self, *_):
        self.group.end()
        self.process.wait()
        self.group.remove()

    def workers(self):
        return {pid for pid in self.group.pids() if pid != self.process.pid}

    def ctl(self, command):
        done = subprocess.run([str(BIN / "sockserverctl"), "--socket", str(self.control), command],
                              capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"sockserverctl {command}: {done.stderr.strip()}")

    def reload_one(self, changed):
        """A reload of which it waits for the end: milliseconds, and the workers that are new."""
        before = self.workers()
        self.configure(changed)
        began = time.monotonic()
        self.ctl("reload")
        elapsed = (time.monotonic() - began) * 1000
        after = self.workers()
        if len(after - before) < 1 or len(before & after) < figures.LISTENERS - 1:
            raise Failed(f"of {len(before)} workers {len(before & after)} were left, and "
                         f"{len(after - before)} are new")
        return elapsed, len(after - before)


def many_listeners(options):
    title = f"{figures.LISTENERS} listeners"
    try:
        with Daemon() as daemon:
            time.sleep(0.5)
            workers = daemon.workers()
            idle = statistics.median(pss_kib(pid) for pid in workers) / 1024
            reloads = []
            for i in range(options.rounds):
                reloads.append(daemon.reload_one(1 + i))
                time.sleep(0.3)  # the old worker ends
            daemon.ctl("status")
            own = pss_kib(daemon.process.pid) / 1024
            log = daemon.log.read_text()
            cost, size = scrape.measure(daemon.process.pid, scrape.worker_of(log),
                                        scrape.metrics_port(log), "/metrics", SCRAPES)
    except Failed as error:
        return title, [("start and reload", None, figures.LISTENERS_MS, "ms", str(error))]
    return title, [
        ("until all listen", daemon.started_ms, figures.LISTENERS_MS, "ms", "all CPUs"),
        ("reload, one of them changed", statistics.median(ms for ms, _ in reloads),
         figures.RELOAD_MS, "ms", "sockserverctl reload, until the new one serves"),
        ("new processes after it", max(new for _, new in reloads), figures.RELOAD_PROCESSES, "",
         f"of {len(workers)} workers"),
        ("CPU of a scrape of /metrics", sum(cost), figures.SCRAPE_MS, "ms",
         f"{size / 1024:.0f} KiB; of it {cost[1]:.1f} in the plugin's worker"),
        ("PSS of an idle worker", idle, figures.WORKER_MIB, "MiB", f"{len(workers)} workers"),
        ("PSS of the supervisor, after a status", own, None, "MiB", "")]
