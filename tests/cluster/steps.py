# SPDX-License-Identifier: MIT
"""What is done to the cluster while clients ask: one function for each step.

Each is given the Cluster, does the same to one node after the other, and waits for what it has
caused: for the daemon's word, and for the balancer's. None waits for a while and hopes.
"""
import time

from history import Kill, Step
from network import NODES
from waiting import Broken, is_alive, until

KILLED, DRAINED = "two", "three"


class Progress:
    """What a step has done, for the checker."""

    def __init__(self):
        self.kills, self.builds, self.reloads = [], [], []


def nothing(cluster, progress):
    """To compare with."""
    del progress
    time.sleep(cluster.pause)


def upgrade(cluster, progress):
    del progress
    for node in cluster.nodes.values():
        inode = node.install_programs()
        node.ctl("upgrade")
        until(f"{node.name} does not run the new program", lambda: node.program() == inode)
        until(f"{node.name} is not ready after the upgrade", node.is_ready)


def restart(cluster, progress):
    """As systemctl restart: SIGTERM, and after the end a new process. HAProxy's agents hear of it."""
    for node in cluster.nodes.values():
        progress.reloads += cluster.mark_datagrams(node.name, down=True)
        node.stop()
        node.start()
        cluster.haproxy.wait_for(node.name, "UP")
        progress.reloads += cluster.mark_datagrams(node.name, down=False)


def change_plugin(cluster, progress):
    for node in cluster.nodes.values():
        node.install_plugin("b")
        node.ctl("reload")
        progress.builds.append((time.monotonic(), node.name, "b"))


def kill(cluster, progress):
    """The only step that is not planned. The node comes back a moment after HAProxy has noticed."""
    node = cluster.nodes[KILLED]
    progress.kills.append(node.kill())
    cluster.haproxy.wait_for(KILLED, "DOWN")
    node.start()
    cluster.haproxy.wait_for(KILLED, "UP")


def drain(cluster, progress):
    """As an operator does it who will look at the machine for a while, and then resumes."""
    node = cluster.nodes[DRAINED]
    progress.reloads += cluster.mark_datagrams(DRAINED, down=True)
    node.ctl("drain", "--all", "--wait")
    cluster.haproxy.wait_for(DRAINED, "DRAIN")
    time.sleep(cluster.pause)
    node.ctl("resume", "--all")
    cluster.haproxy.wait_for(DRAINED, "UP")
    progress.reloads += cluster.mark_datagrams(DRAINED, down=False)


def reload_balancer(cluster, progress):
    """The old process of HAProxy goes when its last connection has been asked to end for its age.
    HAProxy 2.6 crashes there now and then, and what it had open is lost with it."""
    began, old = time.monotonic(), cluster.haproxy.reload()
    cluster.haproxy.wait_until_up()
    until("HAProxy's old process keeps connections", lambda: not is_alive(old))
    code = until("HAProxy does not tell how its old process ended",
                 lambda: cluster.haproxy.exit_code(old))
    if code != "0":
        print(f"HAProxy's old process crashed (exit code {code}): what is lost with it is its own")
        progress.kills.append(Kill("HAProxy", began, time.monotonic()))


STEPS = {
    "nothing": nothing,
    "rolling upgrade": upgrade,
    "rolling restart": restart,
    "rolling change of the plugin": change_plugin,
    "one node killed, and back": kill,
    "one node drained, and resumed": drain,
    "HAProxy reloaded": reload_balancer,
}


def play(cluster, name, settle):
    """Runs a step; what it has started may come to its end for a moment."""
    progress, began = Progress(), time.monotonic()
    try:
        STEPS[name](cluster, progress)
    except Broken as broken:
        raise Broken(f"{name}: {broken}") from broken
    time.sleep(settle)
    cluster.expect_alive()
    return Step(name, began, time.monotonic(), progress.kills, progress.builds,
                progress.reloads)


