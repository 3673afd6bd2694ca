# SPDX-License-Identifier: MIT
"""What the processes of one server use: a cgroup of their own, version 1 or 2.

Where none can be made (no root, or a read-only mount) the processes are found as descendants of
the one that was started, and their CPU time is read from /proc, reaped children included.
"""
import os
import re
import signal
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def pss_kib(pid):
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+)", text, re.M)
    return int(found[1]) if found else 0


class Group:
    """The processes of one server, however they are known."""

    def pss_kib(self):
        return sum(pss_kib(pid) for pid in self.pids())

    def end(self):
        """Ends every process of the group, and waits until they are gone."""
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 20)):
            until = time.monotonic() + patience
            while (pids := self.pids()) and time.monotonic() < until:
                for pid in pids:
                    try:
                        os.kill(pid, number)
                    except ProcessLookupError:
                        pass
                time.sleep(0.02 if len(pids) < 100 else 0.5)


class Cgroup(Group):
    how = "the server's own cgroup"
    gauge = None        # a file with nanoseconds, which the load generator can read by itself
    made = 0

    def __init__(self):
        Cgroup.made += 1
        parent, self.version = self._find()
        self.folder = parent / f"bench-{os.getpid()}-{Cgroup.made}"
        self.folder.mkdir()
        if self.version == 1:
            self.gauge = self.folder / "cpuacct.usage"

    @staticmethod
    def _find():
        """The folder of our own cgroup that counts CPU time, and its version."""
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        for _, where, kind, options, *_ in mounts:
            if kind == "cgroup" and "cpuacct" in options.split(","):
                path = next(path for _, names, path in own if "cpuacct" in names.split(","))
                return Path(where + path), 1
        for _, where, kind, *_ in mounts:
            if kind == "cgroup2":
                path = next(path for number, _, path in own if number == "0")
                return Path(where + path), 2
        raise OSError("no cgroups are mounted")

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def pids(self):
        return [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]

    def cpu_us(self):
        if self.version == 1:
            return int(self.gauge.read_text()) / 1000
        return int(re.search(r"usage_usec (\d+)", (self.folder / "cpu.stat").read_text())[1])

    def remove(self):
        for _ in range(100):
            try:
                self.folder.rmdir()
                return
            except OSError:
                time.sleep(0.05)


class Tree(Group):
    """The same from /proc: coarser (a clock tick is 10 ms), and a child's child may be missed."""
    how = "/proc/PID/stat of its processes (no cgroup could be made: coarser)"
    gauge = None

    def __init__(self):
        self.session = None

    def enter(self):
        pass

    def _stats(self):
        """Fields of /proc/PID/stat of the session's processes, from the state on."""
        for entry in Path("/proc").iterdir():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (OSError, NotADirectoryError):
                continue
            if entry.name.isdigit() and int(fields[3]) == self.session:
                yield int(entry.name), fields

    def pids(self):
        return [pid for pid, fields in self._stats() if fields[0] != "Z"]

    def cpu_us(self):
        """utime, stime, and those of reaped children."""
        return sum(sum(map(int, fields[11:15])) for _, fields in self._stats()) * 1e6 / TICKS

    def remove(self):
        pass


def new_group():
    try:
        return Cgroup()
    except (OSError, StopIteration):
        return Tree()
