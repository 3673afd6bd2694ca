#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a scrape of /metrics costs, with many listeners.

    scrape.py [--build BUILD] [--listeners N] [--times N] [--path /metrics]

The processor time of the supervisor and of the metrics listener's worker, for each scrape; what the
kernel does for their sockets is in it, what the scraper does is not. Workers tell their memory
while somebody asks: their processor time is shown beside it, for each second.
"""
import argparse
import http.client
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
METRICS = ('metrics = { address = "tcp://127.0.0.1:0"; plugin = "metrics"; mixin = "coroutine"; '
           'control_access = "read"; };')
PATIENCE = 60  # seconds, until all listen


def cpu_ms(pid):
    """Milliseconds that all threads of a process have run."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for task in Path(f"/proc/{pid}/task").iterdir()) / 1e6


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def listeners_text(count):
    """The listeners' part of a configuration: so many to count, and one to be scraped."""
    others = "\n".join(f'l{i} = {{ address = "tcp://127.0.0.1:0"; plugin = "echo"; mixin = '
                       '"threading"; };' for i in range(count))
    return f"listeners = {{\n{others}\n{METRICS}\n}};\n"


def metrics_port(log):
    """Of the listener "metrics", which the log says."""
    for line in log.splitlines():
        if "[metrics]: listening on tcp://127.0.0.1:" in line:
            return int(line.split("tcp://127.0.0.1:")[1].split()[0])
    return None


def worker_of(log):
    for line in log.splitlines():
        if "[metrics]: worker " in line:
            return int(line.split("[metrics]: worker ")[1].split()[0])
    return None


def measure(supervisor, worker, port, path, times):
    """Milliseconds of both for each scrape, and the bytes of one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def scrape():
        connection.request("GET", path, headers={"Accept": "application/openmetrics-text"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:200]}")
        return len(body)

    size = scrape()
    before = cpu_ms(supervisor), cpu_ms(worker)
    for _ in range(times):
        size = scrape()
    after = cpu_ms(supervisor), cpu_ms(worker)
    connection.close()
    return [(b - a) / times for a, b in zip(before, after)], size


def wait_for(log, count, process):
    began = time.monotonic()
    while log.read_text().count("listening on") < count:
        if process.poll() is not None or time.monotonic() - began > PATIENCE:
            raise SystemExit(f"no start: {log.read_text()}")
        time.sleep(0.01)


def run(arguments, folder):
    configuration, log = folder / "scrape.conf", folder / "log"
    configuration.write_text(f'plugin_path = "{arguments.build}/plugins";\n'
                             'log = { target = "stderr"; };\n' +
                             listeners_text(arguments.listeners))
    with log.open("wb") as output:
        daemon = subprocess.Popen([arguments.build / "bin/sockserverd", "-c", configuration],
                                  stderr=output, stdin=subprocess.DEVNULL)
    try:
        wait_for(log, arguments.listeners + 1, daemon)
        text = log.read_text()
        worker = worker_of(text)
        cost, size = measure(daemon.pid, worker, metrics_port(text), arguments.path,
                             arguments.times)
        others = [pid for pid in children(daemon.pid) if pid != worker]
        before, began = sum(map(cpu_ms, others)), time.monotonic()
        time.sleep(3)
        idle = (sum(map(cpu_ms, others)) - before) / (time.monotonic() - began)
    finally:
        daemon.terminate()
        daemon.wait()
    print(f"{arguments.listeners} listeners, {arguments.path}: {cost[0]:.2f} ms in the supervisor, "
          f"{cost[1]:.2f} ms in the worker, {sum(cost):.2f} ms in all for each scrape; "
          f"{size / 1024:.0f} KiB")
    print(f"all other workers meanwhile: {idle:.2f} ms of processor time for each second")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=PROJECT / "build")
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--path", default="/metrics")
    with tempfile.TemporaryDirectory() as folder:
        run(parser.parse_args(), Path(folder))


if __name__ == "__main__":
    sys.exit(main())
