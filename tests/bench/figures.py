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
    # ECDSA P-256, X25519, AES-128-GCM: the load generator offers nothing else.
    "tls_connect": ("TLS 1.3 handshake + echo + close, 16 clients", "conn {address} -k 16", 64),
    "tls_resume": ("TLS 1.3 resumption + echo + close, 16 clients", "conn {address} -k 16 -R", 64),
    "tls_echo64": ("TLS 1.3 echo, 64 connections", "echo {address} -k 64", 64),
    # Its CPU time is that of a MiB.
    "tls_write": ("TLS 1.3 downloads of 100 MiB by ss_write, 4 clients, each MiB",
                  "down {address} -k 4 -b 100 -q write", 64),
    "tls_sendfile": ("TLS 1.3 downloads of 100 MiB by ss_sendfile, 4 clients, each MiB",
                     "down {address} -k 4 -b 100 -q sendfile", 64),
    "exec": ("connect + a program that echoes a line, 16 clients", "conn {address} -k 16", 64),
    # What is counted is a line that one member has received.
    "chat": ("chat: 1,000 members hear a line, one in flight", "chat {address} -k 1000", 1000),
    "chat8": ("chat: 1,000 members hear a line, 8 in flight", "chat {address} -k 1000 -d 8", 1000),
    "forward_connect": ("forwarded: connect + echo + close, 16 clients", "conn {address} -k 16", 64),
    "forward_echo": ("forwarded: echo, 64 connections", "echo {address} -k 64", 64),
    "forward_bytes": ("forwarded: downloads of 100 MiB, 4 clients, each MiB",
                      "down {address} -k 4 -b 100", 64),
    "http_1k": ("HTTP, a file of 1 KiB, 16 clients that stay", "get {address} -k 16 -q /1k", 64),
    "http_1m": ("HTTP, a file of 1 MiB, 16 clients that stay", "get {address} -k 16 -q /1m", 64),
    # redis-benchmark is the load generator.
    "redis_get": ("Redis: GET, 50 connections", "redis-benchmark -t get -c 50", 64),
    "redis_set": ("Redis: SET, 50 connections", "redis-benchmark -t set -c 50", 64),
    "dns1": ("DNS: queries, 16 clients, window 1", "dns {address} -k 16 -d 1 -q {questions}", 64),
    "dns32": ("DNS: queries, 16 clients, window 32", "dns {address} -k 16 -d 32 -q {questions}", 64),
}

# What a server serves, and with what it shows that it does so.
QUESTIONS = {"echo": "conn {address} -k 1 -n 1 -c length",
             "datagrams": "dgram {address} -k 1 -n 1 -c length",
             "downloads": "down {address} -k 1 -n 1 -b 1",
             "files": "get {address} -k 1 -n 1 -q /1k"}
# Of examples/dns: addresses, another name, a list of hosts, a wildcard, no such name, no such type.
DNS_QUESTIONS = ("web.example.org/1,web.example.org/28,www.example.org/1,example.org/15,example.org/2,"
                 "x.users.example.org/1,nowhere.example.org/1,mail.example.org/28")
WORKS |= {name: (what, load.replace("{questions}", DNS_QUESTIONS), connections)
          for name, (what, load, connections) in WORKS.items()}
QUESTIONS |= {"dns": "dns {address} -k 1 -n 1 -q example.org/6",
              "chat": "chat {address} -k 2",
              "redis": "redis-benchmark -t ping -c 1"}
FILES = {"1k": 1 << 10, "1m": 1 << 20}  # the files


@dataclass
class Server:
    """How to start a server; {address} is the load generator's notation.

    In commands and settings {certificate} and {key} are PEM files of a run's own certificate,
    {program} is a program that echoes a line, {files} the folder of FILES, and {backend} the address
    of the backend.
    """
    command: str = ""        # of tests/bench or the build folder
    mixin: str = ""          # sockserverd itself, under this mixin
    settings: str = ""       # more listener keys; {networks} is a file of NETWORKS of them
    plugin: str = "echo"
    needs: str = ""          # the program without which it is skipped
    load: str = ""           # more arguments of the load generator
    address: str = ""        # where it serves, if it cannot be told
    build: str = ""          # of sockserverd: the build folder, if it is another than this tree's
    tls: bool = False        # its clients speak TLS
    backend: str = ""        # a proxy: the server behind it, whose CPU time is not counted
    serves: str = "echo"     # a key of QUESTIONS


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
# Limits by source that nobody reaches, and some that nearly everybody exceeds.
LIMITED = DENY + ' max_per_source = 100000; rate_per_source = "1000000/s";'
AT_ITS_LIMIT = 'rate_per_source = "1/h"; burst_per_source = 2;'
for _mixin in ACCESS_MIXINS:
    SERVERS[f"sockserverd {_mixin}, limited"] = Server(mixin=_mixin, settings=LIMITED)
    SERVERS[f"sockserverd {_mixin}, at its limit"] = Server(mixin=_mixin, settings=AT_ITS_LIMIT)

TLS = 'tls = { certificate = "{certificate}"; key = "{key}"; };'
TLS_FILES = " {certificate} {key} {address}"
SERVERS |= {
    "limit: epoll, TLS": Server(LIMIT + "tls_epoll" + TLS_FILES, tls=True),
    "limit: epoll, TLS, idle": Server(LIMIT + "tls_epoll -r" + TLS_FILES, tls=True),
    "limit: epoll, TLS file downloads": Server(LIMIT + "tls_epoll -f" + TLS_FILES, tls=True,
                                               serves="downloads"),
    "limit: epoll, TLS downloads": Server(LIMIT + "tls_epoll -d" + TLS_FILES, tls=True,
                                          serves="downloads"),
    "limit: threads, TLS": Server(LIMIT + "tls_thread" + TLS_FILES, tls=True),
    "sockserverd threading, TLS": Server(mixin="threading", settings=TLS, tls=True),
    "sockserverd coroutine, TLS": Server(mixin="coroutine", settings=TLS, tls=True),
    "sockserverd coroutine, TLS downloads": Server(mixin="coroutine", settings=TLS, tls=True,
                                                   plugin="download", serves="downloads"),
    "Go, TLS": Server(PEER + "go {address} {certificate} {key}", needs="{build}/peer-go", tls=True),
}
PROXIES = {"HAProxy": "haproxy", "nginx stream": "nginx", "hitch": "hitch", "stunnel": "stunnel4"}
SERVERS |= {name: Server(f"peers/{program.removesuffix('4')} {{address}}", needs=program, tls=True,
                         backend="limit: epoll") for name, program in PROXIES.items()}


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
# And what all that has to be looked up together, for who is far from a limit.
FIGURES += [Figure("connect", "tcp", f"sockserverd {mixin}, limited", (f"sockserverd {mixin}",), 0.97)
            for mixin in ACCESS_MIXINS]

# Python's own server, run by Python and by the plugin that takes its loop's place: the same program.
# Its server stands under the name of a limit server, since it is what shall be exceeded.
PYTHON_SCRIPT = ('options = { script = "{here}/peers/socketserver"; arguments = [ "tcp:127.0.0.1:1", '
                 '"ThreadingTCPServer" ]; };')
for _mixin in ("threading", "forking"):
    SERVERS[f"sockserverd {_mixin}, Python"] = Server(
        mixin=_mixin, plugin="python", settings=PYTHON_SCRIPT, needs="{build}/../plugins/python.so")
SERVERS["sockserverd forking, Python, kept"] = Server(
    mixin="forking", plugin="python", settings=PYTHON_SCRIPT + " recycle_after = 1000;",
    needs="{build}/../plugins/python.so")
SERVERS["sockserverd threading, Python datagrams"] = Server(
    mixin="threading", plugin="python", needs="{build}/../plugins/python.so",
    settings=PYTHON_SCRIPT.replace("tcp:", "udp:").replace("ThreadingTCP", "ThreadingUDP"))
FIGURES += [
    Figure("connect", "tcp", "sockserverd threading, Python", ("Python ThreadingTCPServer",), 1.5),
    Figure("echo64", "tcp", "sockserverd threading, Python", ("Python ThreadingTCPServer",), 1.1),
    # Missed so far: a fork copies the page tables of an interpreter, whoever calls it.
    Figure("connect", "tcp", "sockserverd forking, Python", ("Python ForkingTCPServer",), 2),
    Figure("connect", "tcp", "sockserverd forking, Python, kept", ("Python ForkingTCPServer",), 2),
    Figure("window1", "udp", "sockserverd threading, Python datagrams",
           ("Python ThreadingUDPServer",), 5),
]

# What a PROXY header costs: beside the same listener that wants none.
PROXY_MIXINS = ("threading", "coroutine")
for _mixin in PROXY_MIXINS:
    SERVERS[f"sockserverd {_mixin}, PROXY"] = Server(
        mixin=_mixin, settings='proxy = { trusted = "local"; };', load="-H")
FIGURES += [Figure("connect", "tcp", f"sockserverd {mixin}, PROXY", (f"sockserverd {mixin}",), 0.95)
            for mixin in PROXY_MIXINS]

# Encrypted. Of a peer that is a proxy only its own CPU time counts, as if its backend cost nothing.
TLS_THREADING, TLS_COROUTINE = "sockserverd threading, TLS", "sockserverd coroutine, TLS"
TLS_THREADS, TLS_EPOLL = ("limit: threads, TLS",), ("limit: epoll, TLS",)
_peers = {"HAProxy": 1, "nginx stream": 1, "Go, TLS": 1, "stunnel": 1}
for _work in ("tls_connect", "tls_resume"):
    FIGURES += [Figure(_work, "tcp", TLS_THREADING, TLS_THREADS, 0.97, dict(_peers)),
                Figure(_work, "tcp", TLS_COROUTINE, TLS_EPOLL, 0.97, _peers | {"hitch": None})]
FIGURES += [Figure("tls_echo64", "tcp", TLS_COROUTINE, TLS_EPOLL, 0.95,
                   dict.fromkeys((*_peers, "hitch"), 1.1))]
FIGURES += [Figure(work, "tcp", "sockserverd coroutine, TLS downloads", (f"limit: epoll, TLS {limit}",), 0.97)
            for work, limit in (("tls_write", "downloads"), ("tls_sendfile", "file downloads"))]

# A program for each connection. Peers run it as root, which we do not: that is in their favour.
EXEC = 'options = { command = "{program}"; stderr = "client"; };'
FORKING_EXEC, THREADING_EXEC, NONE_EXEC = (f"sockserverd {mixin}, exec"
                                           for mixin in ("forking", "threading", "none"))
for _name in (FORKING_EXEC, THREADING_EXEC, NONE_EXEC):
    SERVERS[_name] = Server(mixin=_name.split()[1].rstrip(","), plugin="exec", settings=EXEC)
SERVERS |= {
    "limit: vfork + exec": Server(LIMIT + "exec {program} {address}"),
    "limit: fork + exec": Server(LIMIT + "exec -m fork {program} {address}"),
    "xinetd, a program": Server("peers/xinetd {address} {program}", needs="xinetd", load="-S 0"),
    "openbsd-inetd, a program": Server("peers/openbsd-inetd {address} {program}",
                                       needs="{build}/openbsd-inetd/usr/sbin/inetd"),
    "tcpserver": Server("peers/tcpserver {address} {program}", needs="tcpserver"),
    "socat EXEC": Server("peers/socat {address} EXEC:{program},nofork", needs="socat"),
    "systemd-socket-activate": Server("peers/systemd {address} {program}",
                                      needs="systemd-socket-activate"),
}
EXECS = ("limit: vfork + exec", "limit: fork + exec")
_peers = dict.fromkeys(("xinetd, a program", "openbsd-inetd, a program", "tcpserver", "socat EXEC",
                        "systemd-socket-activate"), 1)
FIGURES += [Figure("exec", "tcp", FORKING_EXEC, EXECS, 0.95, dict(_peers)),
            Figure("exec", "tcp", THREADING_EXEC, EXECS, 0.95, dict(_peers)),
            Figure("exec", "tcp", NONE_EXEC, EXECS, 0.95)]

# The examples, beside what everybody uses for the same: it stands where a limit server stands. And the
# same program in Go.
ZONE = "{here}/../../examples/dns/example.org.zone"
SERVERS |= {
    "redis-server": Server("peers/redis {address}", needs="redis-server", serves="redis"),
    "Go, redis": Server(PEER + "go-redis {address}", needs="{build}/peer-go-redis", serves="redis"),
    "NSD": Server("peers/nsd {address} " + ZONE, needs="nsd", serves="dns"),
    "Go, dns": Server(PEER + "go-dns {address} " + ZONE, needs="{build}/peer-go-dns", serves="dns"),
}
SERVERS["sockserverd coroutine, redis"] = Server(mixin="coroutine", plugin="redis", serves="redis",
                                                 needs="redis-benchmark")
for _mixin in ("none", "coroutine"):
    SERVERS[f"sockserverd {_mixin}, dns"] = Server(
        mixin=_mixin, plugin="dns", serves="dns", settings=f'options = {{ zone = "{ZONE}"; }};')
FIGURES += [Figure(work, "tcp", "sockserverd coroutine, redis", ("redis-server",), 0.9, {"Go, redis": None})
            for work in ("redis_get", "redis_set")]
FIGURES += [Figure(work, "udp", f"sockserverd {mixin}, dns", ("NSD",), 1, {"Go, dns": None})
            for work in ("dns1", "dns32") for mixin in ("none", "coroutine")]

# Forwarding: HAProxy stands for the limit server, with and without splicing. Only the proxy's own CPU
# time counts.
FORWARD = 'options = { to = "tcp://{backend}"; };'
COROUTINE_FORWARD, THREADING_FORWARD = "sockserverd coroutine, forward", "sockserverd threading, forward"
_proxies = {
    COROUTINE_FORWARD: Server(mixin="coroutine", plugin="forward", settings=FORWARD),
    THREADING_FORWARD: Server(mixin="threading", plugin="forward", settings=FORWARD),
    "HAProxy TCP": Server("peers/haproxy {address}", needs="haproxy"),
    "HAProxy TCP, splicing": Server("peers/haproxy {address} splice", needs="haproxy"),
    "nginx stream, TCP": Server("peers/nginx {address}", needs="nginx"),
    "socat, forking": Server("peers/socat {address} TCP4:{backend}", needs="socat"),
    "xinetd redirect": Server("peers/xinetd {address} redirect", needs="xinetd", load="-S 0"),
}
for _name, _server in _proxies.items():
    SERVERS[_name] = replace(_server, backend="limit: epoll")
    SERVERS[f"{_name}, downloads"] = replace(_server, backend="limit: threads, downloads",
                                             serves="downloads")
SERVERS["limit: threads, downloads"] = Server(LIMIT + "thread -d {address}", serves="downloads")
FORWARD_RATIO = 0.91  # at most 1.1 of HAProxy's CPU time


def _forward(work, server, suffix=""):
    """A row of forwarding, beside all other proxies."""
    haproxy, others = tuple(_proxies)[2:4], tuple(_proxies)[4:]
    return Figure(work, "tcp", server + suffix, tuple(name + suffix for name in haproxy),
                  FORWARD_RATIO, {name + suffix: 1 for name in others})


for _server in (COROUTINE_FORWARD, THREADING_FORWARD):
    FIGURES += [_forward("forward_connect", _server), _forward("forward_echo", _server),
                _forward("forward_bytes", _server, ", downloads")]

# Files by HTTP. What the kernel does for a MiB is the same for all; of a KiB Python's own server shall
# be exceeded.
HTTP = 'options = { root = "{files}"; max_requests = 1000000; };'
COROUTINE_HTTP, THREADING_HTTP = "sockserverd coroutine, http", "sockserverd threading, http"
SERVERS |= {
    COROUTINE_HTTP: Server(mixin="coroutine", plugin="http", settings=HTTP, serves="files",
                           needs="{build}/../plugins/http.so"),
    THREADING_HTTP: Server(mixin="threading", plugin="http", settings=HTTP, serves="files",
                           needs="{build}/../plugins/http.so"),
    "nginx": Server("peers/nginx-files {address} {files}", needs="nginx", serves="files"),
    "Python http.server": Server("peers/http.server {address} {files}", serves="files"),
}
for _server in (COROUTINE_HTTP, THREADING_HTTP):
    FIGURES += [Figure("http_1k", "tcp", _server, ("Python http.server",), 10, {"nginx": 0.8}),
                Figure("http_1m", "tcp", _server, ("nginx",), 0.95, {"Python http.server": None})]

for _name, _plugin, _mixin in (("coroutine, chat", "chat", "coroutine"),
                               ("threading, chat", "chat", "threading"),
                               ("coroutine, chat in C++", "chat_cpp", "coroutine")):
    SERVERS[f"sockserverd {_name}"] = Server(
        mixin=_mixin, plugin=_plugin, serves="chat", settings="options = { members = 1100; };",
        needs=f"{{build}}/../examples/{_plugin}.so")
SERVERS |= {
    "Go, chat": Server(PEER + "go-chat {address} 1100", needs="{build}/peer-go-chat", serves="chat"),
    "Python, chat": Server("peers/chat.py {address} 1100", serves="chat"),
}
# With one line in flight each delivery is a send(2), whoever serves, which is two thirds of what it
# costs: so nobody is twice as fast as Python's asyncio, which does nothing else. With threads each
# delivery is a switch to another thread besides.
FIGURES += [Figure(work, "tcp", f"sockserverd {server}", ("Go, chat",), 0.9, {"Python, chat": 2})
            for work in ("chat", "chat8")
            for server in ("coroutine, chat", "coroutine, chat in C++", "threading, chat")]
COROUTINE_PROXY = "sockserverd coroutine, example proxy"
_proxies = {COROUTINE_PROXY: Server(mixin="coroutine", plugin="proxy", settings=FORWARD),
            "Go, proxy": Server(PEER + "go-proxy {address} tcp:{backend} quiet",
                                needs="{build}/peer-go-proxy")}
for _name, _server in _proxies.items():
    SERVERS[_name] = replace(_server, backend="limit: epoll")
    SERVERS[f"{_name}, downloads"] = replace(_server, backend="limit: threads, downloads",
                                             serves="downloads")
FIGURES += [Figure(work, "tcp", COROUTINE_PROXY + suffix,
                   ("HAProxy TCP" + suffix, "HAProxy TCP, splicing" + suffix), FORWARD_RATIO,
                   {"Go, proxy" + suffix: None})
            for work, suffix in (("forward_connect", ""), ("forward_echo", ""),
                                 ("forward_bytes", ", downloads"))]

# CPU of a connection that is turned away, at most so much of one that is served.
REFUSAL_RATIO = 0.5
REFUSALS = "allow one", "at its limit"

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

# Waking another request, or a request by a thread, there and back: at most so many times what it takes
# with an eventfd, in time and in CPU time. In a slice of a second, about so many times.
SERVERS |= {
    "limit: eventfd, epoll": Server(LIMIT + "wake {address}"),
    "limit: eventfd, threads": Server(LIMIT + "wake -t {address}"),
    "sockserverd coroutine, wake": Server(mixin="coroutine", plugin="wake"),
    "sockserverd threading, wake": Server(mixin="threading", plugin="wake"),
}
WAKES = [(f"sockserverd {mixin}, wake", f"limit: eventfd, {limit}", how)
         for mixin, limit in (("coroutine", "epoll"), ("threading", "threads"))
         for how in ("requests", "a thread")]
WAKE_RATIO, WAKE_SLICES, WAKES_A_SECOND = 1.3, 6, 10000

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
    TLS_COROUTINE: Idle(5000, limit="limit: epoll, TLS, idle", more=4, peers={
        "HAProxy": 1, "nginx stream": 1, "Go, TLS": 1}),
    "sockserverd threading, Python": Idle(10000, limit="Python ThreadingTCPServer"),
}

# Connections that are passed on, and idle after an echo: so many, and at most so much memory for each,
# in KiB of PSS. All of them shall answer once more.
PAIRS, PAIR_KIB = 10000, 12
PAIR_PEERS = "HAProxy TCP", "nginx stream, TCP"
# Descriptors of one process that these take, and some to spare.
DESCRIPTORS = 2 * PAIRS + 4000

# CPU per message with 10,000 connections of which a hundredth is active, over that with 64.
CROWD, CROWD_ACTIVE, CROWD_RATIO = 10000, 100, 1.3

# Milliseconds from exec to the first answer.
START_MS = 8
START_SERVERS = ("sockserverd none", THREADING, "sockserverd forking", COROUTINE, "xinetd",
                 "openbsd-inetd", "tcpserver with cat", "Apache prefork",
                 "Python ThreadingTCPServer")

# Many listeners: milliseconds until all listen, and of a reload of which one has changed; the
# processes that are new after it; PSS of one idle worker in MiB; milliseconds of processor time that a
# scrape of all takes.
LISTENERS, LISTENERS_MS, RELOAD_MS, RELOAD_PROCESSES, WORKER_MIB = 200, 2000, 100, 1, 1.5
SCRAPE_MS = 5
