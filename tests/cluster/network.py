# SPDX-License-Identifier: MIT
"""A network of its own: three nodes and clients, each behind one wire to the balancer.

All of it lies in network namespaces below /run/netns, which is private here (see cluster): nothing
can be reached from outside, and nothing is left when the last process has ended. The addresses are
those of the shipped configuration.
"""
import os
import subprocess

BALANCER = "192.0.2.10"
NODES = {"one": "192.0.2.11", "two": "192.0.2.12", "three": "192.0.2.13"}
EDGE = "203.0.113.1"  # where clients find the balancer
CLIENTS = [f"203.0.113.{i}" for i in range(10, 30)]


class Unable(Exception):
    """This machine cannot do it; the text says what is missing."""


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unable(f"ip {' '.join(words)}: {done.stderr.strip()}")


def inside(namespace, *command):
    """A command line that runs there."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *command]


def tune(namespace, name, value):
    """As a balancer needs it: its ports towards one node are 28,000 by default, for a minute each."""
    path = f"/proc/sys/net/ipv4/{name}"
    subprocess.run(inside(namespace, "sh", "-c", f"echo '{value}' >{path}"), check=False,
                   stderr=subprocess.DEVNULL)


def make_clients():
    ip("-n", "edge", "link", "add", "clients", "type", "veth", "peer", "name", "edge", "netns",
       "clients")
    ip("-n", "edge", "addr", "add", f"{EDGE}/24", "dev", "clients")
    ip("-n", "edge", "link", "set", "clients", "up")
    for address in CLIENTS:
        ip("-n", "clients", "addr", "add", f"{address}/24", "dev", "edge")
    ip("-n", "clients", "link", "set", "edge", "up")


def make_node(name, address):
    """Its default route is the balancer, which takes in what goes to clients: see nginx.conf."""
    ip("-n", "edge", "link", "add", name, "type", "veth", "peer", "name", "edge", "netns", name)
    ip("-n", "edge", "addr", "add", f"{BALANCER}/32", "dev", name)
    ip("-n", "edge", "link", "set", name, "up")
    ip("-n", "edge", "route", "add", f"{address}/32", "dev", name, "src", BALANCER)
    ip("-n", "edge", "rule", "add", "iif", name, "lookup", "100")
    ip("-n", name, "addr", "add", f"{address}/32", "dev", "edge")
    ip("-n", name, "link", "set", "edge", "up")
    ip("-n", name, "route", "add", f"{BALANCER}/32", "dev", "edge")
    ip("-n", name, "route", "add", "default", "via", BALANCER, "dev", "edge")


def make_network():
    os.makedirs("/run/netns", exist_ok=True)
    for name in ("edge", "clients", *NODES):
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
    make_clients()
    for name, address in NODES.items():
        make_node(name, address)
    ip("-n", "edge", "route", "add", "local", "0.0.0.0/0", "dev", "lo", "table", "100")
    tune("edge", "ip_local_port_range", "1024 65000")
    tune("edge", "tcp_tw_reuse", "1")
