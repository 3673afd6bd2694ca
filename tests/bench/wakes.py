# SPDX-License-Identifier: MIT
"""How long it takes to wake another request: ss_wake() beside an eventfd in a hand-written server."""
import contextlib
import socket
import statistics

import figures
from server import Failed, Server, missing

PATIENCE = 30  # seconds, for an answer
PARTS = ("time", "CPU time")


def _connect(server):
    scheme, _, rest = server.address.partition(":")
    if scheme == "unix":
        client = socket.socket(socket.AF_UNIX)
        client.connect(rest)
    else:
        host, _, port = rest.rpartition(":")
        client = socket.create_connection((host, int(port)))
    client.settimeout(PATIENCE)
    return client


def _ask(client, line):
    client.sendall(line.encode())
    with client.makefile("r") as answers:
        return answers.readline()


def _nanoseconds(server, how, rounds):
    """Of one way there and back: by the clock, and of CPU time."""
    with _connect(server) as first, _connect(server) as second:
        if how == "requests" and _ask(second, f"second {rounds}\n") != "here\n":
            raise Failed("no answer")
        answer = _ask(first, f"{'first' if how == 'requests' else 'thread'} {rounds}\n").split()
    if len(answer) != 3 or int(answer[0]) != rounds:
        raise Failed("no answer")
    return int(answer[1]) / rounds, int(answer[2]) / rounds


def _ratios(name, limit, how, options):
    """The medians of both servers' figures and of their ratios, for time and CPU time."""
    with contextlib.ExitStack() as stack:
        servers = []
        for each in (name, limit):
            if missing(each):
                raise Failed(f"{missing(each)} is not here")
            servers.append(Server(each, "unix"))
            stack.callback(servers[-1].stop)
        rounds = max(200, int(options.seconds * figures.WAKES_A_SECOND))
        slices = [[_nanoseconds(server, how, rounds) for server in servers]
                  for _ in range(figures.WAKE_SLICES * options.rounds)]
    for part in range(len(PARTS)):
        yield (statistics.median(own[part] for own, _ in slices),
               statistics.median(least[part] for _, least in slices),
               statistics.median(own[part] / least[part] for own, least in slices))


def wakes(options):
    rows = []
    for name, limit, how in figures.WAKES:
        try:
            for part, (own, least, ratio) in zip(PARTS, _ratios(name, limit, how, options)):
                rows.append((f"{name}: {how}, {part}", ratio, figures.WAKE_RATIO, "",
                             f"{own / 1000:.2f} and {least / 1000:.2f} us there and back"))
        except (Failed, OSError) as error:
            rows.append((f"{name}: {how}", None, figures.WAKE_RATIO, "", str(error)))
    return "ss_wake() there and back, over an eventfd in a hand-written epoll server", rows
