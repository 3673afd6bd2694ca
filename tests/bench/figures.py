# SPDX-License-Identifier: MIT
"""What is measured, and which figures shall be reached: all of it data.

A work is a kind of load; a class is a way of serving, with one limit server (the least that any
server of that class must do) and its peers. A figure says what ratio to the limit server, and to
which peers, sockserverd shall reach in requests per CPU second (or in what the work counts).
"""
from dataclasses import dataclass, field, replace

# name: (what it is, arguments of the load generator, connections at a time)
WORKS = {
    "connect": ("connect + echo + close, 16 clients", "conn {address} -k 16", 64),
    "echo64": ("echo, 64 connections", "echo {address} -k 64", 64),
    "echo1000": ("echo, 1,000 connections", "echo {address} -k 1000", 1000),
    "window1": ("datagrams, 16 clients, window 1", "dgram {address} -k 16 -d 1", 64),
    "window32": ("datagrams, 16 clients, window 32", "dgram {address} -k 16 -d 32", 64),
    "lines": ("lines, 64 connections", "echo {address} -k 64 -c upper", 64),
    "pipelined": ("lines, 16 to a segment, 64 connections", "echo {address} -k 64 -d 16 -c upper", 64),
}


@dataclass
class Server:
    """How to start a server; {address} is the load generator's notation."""
    command: str = ""        # of tests/bench or the build folder
    mixin: str = ""          # sockserverd itself, under this mixin
    settings: str = ""       # more listener keys; {networks} is a file of NETWORKS of them
    plugin: str = "echo"
    needs: str = ""          # the program without which it is skipped
    load: str = ""           # more arguments of the load generator
    address: str = ""        # where it serves, if it cannot be told
    build: str = ""          # of sockserverd: the build folder, if it is another than this tree's


NETWORKS = 10000
# They name nobody here; and whom the load generator comes from first, when it looks for an answer.
DENY, ALLOW_ONE = 'deny = "@{networks}";', 'deny = "@{networks}"; allow = "127.0.1.1";'

LIMIT, PEER = "{build}/limit-", "{build}/peer-"
SERVERS = {
    "limit: coroutines": Server(LIMIT + "coroutine {address}"),
    "limit: epoll": Server(LIMIT + "epoll {address}"),
    "limit: threads": Server(LIMIT + "thread {address}"),
    "limit: fork on accept": Server(LIMIT + "fork -m fork {address}"),
    "limit: spare children": Server(LIMIT + "fork {address}"),
    "limit: kept children": Server(LIMIT + "fork -m keep -i {room} {address}"),
    "limit: recvmmsg": Server(LIMIT + "datagram {address}"),
    "limit: recvfrom": Server(LIMIT + "datagram -b 1 {address}"),
    "sockserverd none": Server(mixin="none"),
    "sockserverd threading": Server(mixin="threading"),
    "sockserverd forking": Server(mixin="forking"),
    "sockserverd forking, kept": Server(mixin="forking", settings="recycle_after = 1000;"),
    "sockserverd coroutine": Server(mixin="coroutine"),
    "sockserverd threading, upper": Server(mixin="threading", plugin="upper"),
    "sockserverd coroutine, upper": Server(mixin="coroutine", plugin="upper"),
    "libevent": Server(PEER + "libevent {address}", needs="{build}/peer-libevent"),
    "libuv": Server(PEER + "libuv {address}", needs="{build}/peer-libuv"),
    "Go": Server(PEER + "go {address}", needs="{build}/peer-go"),
    "Node": Server("peers/node {address}", needs="node"),
    "Apache event": Server("peers/apache {address} event", needs="apache2"),
    "Apache worker": Server("peers/apache {address} worker", needs="apache2"),
    "Apache prefork": Server("peers/apache {address} prefork", needs="apache2"),
    # It looks each client's name up: only 127.0.0.1 is in /etc/hosts.
    "xinetd": Server("peers/xinetd {address}", needs="xinetd", load="-S 0"),
    "socat": Server("peers/socat {address}", needs="socat"),
    # Its own echo is at the echo port and nowhere else.
    "openbsd-inetd": Server("peers/openbsd-inetd {address}", address="tcp:127.0.0.9:7",
                            needs="{build}/openbsd-inetd/usr/sbin/inetd"),
    "tcpserver with cat": Server("peers/tcpserver {address}", needs="tcpserver"),
}
SERVERS |= {f"Python {name}": Server("peers/socketserver {address} " + name) for name in (
    "ThreadingTCPServer", "ForkingTCPServer", "ThreadingUnixStreamServer", "UDPServer",
    "ThreadingUDPServer", "UnixDatagramServer")}


ACCESS_MIXINS = ("threading", "forking", "coroutine")
for _mixin in ACCESS_MIXINS:
    SERVERS[f"sockserverd {_mixin}, deny"] = Server(mixin=_mixin, settings=DENY)
    SERVERS[f"sockserverd {_mixin}, allow one"] = Server(mixin=_mixin, settings=ALLOW_ONE)


@dataclass
class Figure:
    """One row: sockserverd under one work, beside its limit servers and peers."""
    work: str
    scheme: str
    server: str
    limits: tuple            # the better of them counts
    ratio: float             # of the limit server
    # name: at least so many times as good; None: only for comparison
    peers: dict = field(default_factory=dict)


COROUTINES = ("limit: coroutines",)
THREADS = ("limit: threads",)
DATAGRAMS = ("limit: recvmmsg", "limit: recvfrom")
COROUTINE, THREADING = "sockserverd coroutine", "sockserverd threading"


def _apache(ratio):
    return {"Apache event": ratio, "Apache worker": ratio}


FIGURES = [
    Figure("connect", "tcp", THREADING, THREADS, 0.95,
           _apache(1.2) | {"Python ThreadingTCPServer": 3}),
    Figure("connect", "tcp", "sockserverd forking",
           ("limit: fork on accept", "limit: spare children"), 0.95,
           {"xinetd": 2.3, "socat": 2.3, "Python ForkingTCPServer": 6, "openbsd-inetd": None,
            "tcpserver with cat": None}),
    Figure("connect", "tcp", "sockserverd forking, kept", ("limit: kept children",), 0.95,
           {"Apache prefork": 1.25}),
    Figure("connect", "tcp", COROUTINE, COROUTINES, 0.95,
           {"libevent": 1.1, "libuv": 1.1, "Go": 1.2, "Node": 2.3}),
    Figure("echo64", "tcp", COROUTINE, COROUTINES, 0.95,
           {"libevent": 1.35, "libuv": 1.45, "Go": 1.15, "Node": 1.7}),
    Figure("echo1000", "tcp", COROUTINE, COROUTINES, 0.95,
           {"libevent": 1.5, "libuv": 1.6, "Go": 1.25, "Node": 1.7}),
    Figure("echo64", "tcp", THREADING, THREADS, 0.95,
           _apache(1.1) | {"Python ThreadingTCPServer": 1.1}),
    Figure("echo1000", "tcp", THREADING, THREADS, 0.95,
           _apache(1.3) | {"Python ThreadingTCPServer": 1.3}),
    Figure("connect", "unix", COROUTINE, COROUTINES, 0.95, {"libevent": 1.3, "libuv": 1.2, "Go": 1.3}),
    Figure("echo64", "unix", COROUTINE, COROUTINES, 0.95, {"libevent": 1.3, "libuv": 1.8, "Go": 1.3}),
    Figure("connect", "unix", THREADING, THREADS, 0.95, {"Python ThreadingUnixStreamServer": 4}),
    Figure("echo64", "unix", THREADING, THREADS, 0.95, {"Python ThreadingUnixStreamServer": 1.2}),
    Figure("window1", "udp", "sockserverd none", DATAGRAMS, 0.95,
           {"libuv": 1.2, "Go": 1.15, "Python UDPServer": 2}),
    Figure("window32", "udp", "sockserverd none", DATAGRAMS, 0.95,
           {"libuv": 1.6, "Go": 1.5, "Python UDPServer": 2.3}),
    Figure("window1", "udp", COROUTINE, DATAGRAMS, 0.95,
           {"libuv": 1.2, "Go": 1.15, "Python UDPServer": 2}),
    Figure("window32", "udp", COROUTINE, DATAGRAMS, 0.95,
           {"libuv": 1.6, "Go": 1.5, "Python UDPServer": 2.3}),
    Figure("window1", "unixgram", "sockserverd none", DATAGRAMS, 0.95,
           {"Go": 1.35, "Python UnixDatagramServer": 2.2}),
    Figure("window32", "unixgram", "sockserverd none", DATAGRAMS, 0.95,
           {"Go": 1.7, "Python UnixDatagramServer": 3}),
    Figure("window32", "udp", THREADING, DATAGRAMS, 0.6, {"Python ThreadingUDPServer": 8}),
]
# What a list of networks costs those who may come in: beside the same listener without one.
FIGURES += [Figure("connect", "tcp", f"sockserverd {mixin}, deny", (f"sockserverd {mixin}",), 0.97)
            for mixin in ACCESS_MIXINS]

# What a PROXY header costs: beside the same listener that wants none.
PROXY_MIXINS = ("threading", "coroutine")
for _mixin in PROXY_MIXINS:
    SERVERS[f"sockserverd {_mixin}, PROXY"] = Server(
        mixin=_mixin, settings='proxy = { trusted = "local"; };', load="-H")
FIGURES += [Figure("connect", "tcp", f"sockserverd {mixin}, PROXY", (f"sockserverd {mixin}",), 0.95)
            for mixin in PROXY_MIXINS]

# CPU of a connection that is turned away, at most so much of one that is served.
REFUSAL_RATIO = 0.5

# Beside another build of sockserverd, the only peer: what a change may cost.
SAME = 0.98


def compare_with(build):
    """Leaves in every figure one peer: the same server as that build folder has it."""
    for figure in FIGURES:
        other = f"{figure.server}, other build"
        SERVERS[other] = replace(SERVERS[figure.server], build=str(build))
        figure.peers = {other: SAME}


# Latency at half of what the limit server can do: p99.9 at most so many times the limit server's.
LATENCY_CONNECTIONS, LATENCY_RATIO = 64, 1.2
LATENCIES = {THREADING: THREADS[0], "sockserverd forking": "limit: spare children",
             COROUTINE: COROUTINES[0]}

# Lines answered per CPU second, pipelined over one at a time.
PIPELINED_RATIO = 5
PIPELINED = ("sockserverd threading, upper", "sockserverd coroutine, upper")


@dataclass
class Idle:
    """Memory of connections that idle after one echo, in KiB of PSS each."""
    connections: int
    most: float = None       # at most so much, or
    limit: str = ""          # as this limit server
    more: float = 0          # and so much more
    # name: it takes at least so many times as much; None: only for comparison
    peers: dict = field(default_factory=dict)


IDLE = {
    COROUTINE: Idle(10000, most=8, peers={
        "Go": None, "Node": 1, "limit: threads": 1, "Python ThreadingTCPServer": 1}),
    THREADING: Idle(10000, limit=THREADS[0], more=1, peers={"Python ThreadingTCPServer": 1}),
    "sockserverd forking": Idle(2000, limit="limit: fork on accept", more=6, peers={
        "xinetd": 1, "socat": 1, "Python ForkingTCPServer": 1, "openbsd-inetd": None}),
}

# CPU per message with 10,000 connections of which a hundredth is active, over that with 64.
CROWD, CROWD_ACTIVE, CROWD_RATIO = 10000, 100, 1.3

# Milliseconds from exec to the first answer.
START_MS = 8
START_SERVERS = ("sockserverd none", THREADING, "sockserverd forking", COROUTINE, "xinetd",
                 "openbsd-inetd", "tcpserver with cat", "Apache prefork",
                 "Python ThreadingTCPServer")

# Many listeners: milliseconds until all listen, and of a reload of which one has changed; the
# processes that are new after it; PSS of one idle worker in MiB.
LISTENERS, LISTENERS_MS, RELOAD_MS, RELOAD_PROCESSES, WORKER_MIB = 200, 2000, 100, 1, 1.5
