# SPDX-License-Identifier: MIT
"""What is not requests per CPU second: latency, pipelining, memory, start times.

Each function takes the options of the command line and returns a title and rows of (name, value,
wanted, unit, note). The wanted is the most, but for the unit "x", where it is the least; None: only
for comparison.
"""
import contextlib
import functools
import json
import resource
import statistics
import subprocess

import figures
from many import many_listeners
from server import Failed, Server, missing
from wakes import wakes

SPARE_DESCRIPTORS = 500  # of a process that has pairs of connections
TAIL_ROUNDS = 4  # for each of the others': one slice tells little of the slowest in a thousand


def _measured(name, scheme, connections, measure):
    """measure(server) of a fresh server: its value, or None and why not."""
    if missing(name):
        return None, f"{missing(name)} is not here"
    server = None
    try:
        server = Server(name, scheme, connections)
        return measure(server), ""
    except Failed as error:
        return None, str(error)
    finally:
        if server:
            server.stop()


def _tails(names, options):
    """The 99.9th percentiles, in us, at half of what the last one can do, and that rate.

    The servers take turns in many short slices, and of each the lower quartile counts: a machine
    that stands still for a millisecond adds to a tail, never takes away.
    """
    echo = f"echo {{address}} -k {figures.LATENCY_CONNECTIONS}"
    with contextlib.ExitStack() as stack:
        servers = []
        for name in names:
            servers.append(Server(name, "tcp", figures.LATENCY_CONNECTIONS))
            stack.callback(servers[-1].stop)
        rate = [server.load(echo, 1)["rate"] for server in servers][-1] / 2
        rounds = [[server.load(f"{echo} -r {rate:.0f}", options.seconds)["p999"]
                   for server in servers] for _ in range(TAIL_ROUNDS * options.rounds)]
    return [statistics.quantiles(tails, n=4)[0] for tails in zip(*rounds)], rate


def latency(options):
    rows = []
    for name, limit in figures.LATENCIES.items():
        ratio = None
        try:
            (own, least), rate = _tails((name, limit), options)
            ratio, note = own / least, f"{own:.0f} and {least:.0f} us at {rate:,.0f}/s"
        except Failed as error:
            note = str(error)
        rows.append((f"{name}: times {limit}", ratio, figures.LATENCY_RATIO, "", note))
    return f"p99.9 latency, {figures.LATENCY_CONNECTIONS} connections at half load", rows


def pipelining(options):
    def per_cpu_second(work):
        return lambda server: 1e6 / statistics.median(
            server.slice(work, options.seconds)["cpu_us"] for _ in range(options.rounds))

    rows = []
    for name in figures.PIPELINED:
        one, why = _measured(name, "tcp", 64, per_cpu_second("lines"))
        many, _ = _measured(name, "tcp", 64, per_cpu_second("pipelined"))
        rows.append((name, many / one if one and many else None, figures.PIPELINED_RATIO, "x",
                     why or f"{many:,.0f} and {one:,.0f} lines per CPU second"))
    return "lines per CPU second, 16 to a segment, over one at a time", rows


def _for_comparison(measured):
    value, why = measured
    return value, None, "KiB", why


def memory(options):
    @functools.cache
    def kib(name, connections):
        return _measured(name, "tcp", connections, lambda server: server.idle_kib(connections))

    rows = []
    for name, idle in figures.IDLE.items():
        connections = idle.connections if options.full else min(idle.connections, 2000)
        own, why = kib(name, connections)
        most = idle.most
        if idle.limit and own is not None:
            least, why = kib(idle.limit, connections)
            most = least + idle.more if least is not None else None
            why = why or f"{idle.limit}: {least:.1f}"
        rows.append((f"{name}, {connections:,} connections", own, most, "KiB", why))
        if own is None:
            rows += [(other, *_for_comparison(kib(other, connections)))
                     for other in filter(None, [idle.limit, *idle.peers])]
        for peer, wanted in idle.peers.items() if options.full and own else ():
            theirs, why = kib(peer, connections)
            rows.append((f"times less than {peer}", theirs / own if theirs else None, wanted, "x",
                         why or f"{theirs:.1f} KiB"))
    return "PSS of an idle TCP connection after one echo", rows


def pairs(options):
    """Memory of connections that are passed on; idle_kib() has all of them answer at the end."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = (descriptors - SPARE_DESCRIPTORS) // 2
    connections = min(figures.PAIRS, most)

    def kib(name):
        return _measured(name, "tcp", connections, lambda server: server.idle_kib(connections))

    own, why = kib(figures.COROUTINE_FORWARD)
    note = "all of them answered afterwards"
    if connections < figures.PAIRS:
        note += f"; the limit of {descriptors:,} descriptors allows no more"
    rows = [(f"{figures.COROUTINE_FORWARD}, {connections:,} pairs", own, figures.PAIR_KIB, "KiB",
             why or note)]
    rows += [(name, *_for_comparison(kib(name))) for name in figures.PAIR_PEERS]
    return "PSS of an idle TCP connection that is forwarded, after one echo", rows


def crowd(options):
    """CPU per message with a crowd of idle connections around a few active ones."""
    name = "sockserverd coroutine"

    def cpu_us(server, active):
        return statistics.median(
            result["gauge"] / 1000 / result["done"] for result in
            (server.load(f"echo {{address}} -k {active}", options.seconds)
             for _ in range(options.rounds)))

    def measure(server):
        if not server.group.gauge:
            raise Failed("needs a cgroup of version 1")
        alone = cpu_us(server, 64)
        client = subprocess.Popen(
            server.load_command(
                f"idle {{address}} -e -N {figures.CROWD - figures.CROWD_ACTIVE} -t 300"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        json.loads(client.stdout.readline())
        try:
            return cpu_us(server, figures.CROWD_ACTIVE) / alone
        finally:
            client.stdin.close()
            client.wait(timeout=60)

    value, why = _measured(name, "tcp", figures.CROWD, measure)
    return (f"CPU per message, {figures.CROWD_ACTIVE} active of {figures.CROWD:,} connections, "
            "over that of 64", [(name, value, figures.CROWD_RATIO, "", why)])


def start(options):
    rows = []
    for name in figures.START_SERVERS:
        if missing(name):
            continue
        times = []
        for _ in range(options.rounds):
            server = Server(name, "tcp", start=False)
            try:
                times.append(server.cold_ms())
            except Failed:
                pass
            finally:
                server.stop()
        own = name.startswith("sockserverd")
        rows.append((name, statistics.median(times) if times else None,
                     figures.START_MS if own else None, "ms", ""))
    return "from exec to the first answer", rows


def refusals(options):
    """CPU of a connection that is turned away, over that of one that is served."""
    def cpu_us(server):
        results = [server.slice("connect", options.seconds, 0.3) for _ in range(options.rounds)]
        return statistics.median(result["server_cpu"] * result["secs"] * 1e6 /
                                 (result["done"] + result["errors"]) for result in results)

    rows = []
    for mixin in figures.ACCESS_MIXINS:
        served, why_not = _measured(f"sockserverd {mixin}, deny", "tcp", 64, cpu_us)
        for how in figures.REFUSALS:
            refused, why = _measured(f"sockserverd {mixin}, {how}", "tcp", 64, cpu_us)
            rows.append((f"sockserverd {mixin}, {how}",
                         refused / served if served and refused else None, figures.REFUSAL_RATIO, "",
                         why_not or why or f"{refused:.1f} and {served:.1f} us"))
    return "CPU of a connection that is turned away, over one that is served", rows


# name: (the function, slices of load that it takes in a round, seconds besides)
OTHERS = {"latency": (latency, 2 * TAIL_ROUNDS * len(figures.LATENCIES), 8),
          "pipelining": (pipelining, 2 * len(figures.PIPELINED), 3),
          "refusals": (refusals, 3 * len(figures.ACCESS_MIXINS), 9),
          "memory": (memory, 0, 70), "pairs": (pairs, 0, 30), "crowd": (crowd, 2, 8),
          "wakes": (wakes, 2 * figures.WAKE_SLICES * len(figures.WAKES), 4),
          "start": (start, 0, 12), "listeners": (many_listeners, 0, 8)}
