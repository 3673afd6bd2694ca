# SPDX-License-Identifier: MIT
"""What a daemon does while a call fails, and what must hold then: one function for each phase.

Each gets a Daemon whose shared file is aimed already, and raises Broken. The call fails only
between arm() and disarm(); afterwards everything must be as if nothing had been.
"""
import os
import signal
import time

from daemon import Broken, Clients, until

# While one of these fails, no client may notice: the workers go on.
BEHIND_THE_SCENES = ("supervisor", "spawn", "check", "trial")
ANSWERED = ("threading", "coroutine", "forking", "none")


def serving(daemon):
    daemon.spawn()
    daemon.settle()
    return daemon.settled_descriptors()


def ends_well(daemon, before, fewer=False):
    daemon.settle()
    daemon.expect_descriptors(before, fewer)
    daemon.expect_no_zombies()
    daemon.stop()


def expect_served(daemon, clients, point):
    if clients.lost and (point is None or point.role in BEHIND_THE_SCENES):
        raise Broken(f"clients of {', '.join(sorted(set(clients.lost)))} got no answer meanwhile")


def wait_a_little(daemon, test):
    """For what comes if nothing fails. Asking the daemon would be among the calls that count."""
    deadline = time.monotonic() + 0.5
    while not test() and daemon.status() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)


def start(daemon, point):
    """It serves in the end, or says why it does not start."""
    del point
    daemon.control.arm()
    daemon.spawn()

    def outcome():
        if daemon.status() is not None:
            return "ended"
        return all(daemon.ask(name) for name in ANSWERED) and "serves"
    how = until("it neither serves nor ends", outcome)
    daemon.control.disarm()
    if how == "serves":
        daemon.settle()
        if daemon.setup.descriptors is None:
            daemon.setup.descriptors = daemon.settled_descriptors()
        ends_well(daemon, daemon.setup.descriptors, fewer=True)
        return
    if daemon.status() <= 0:
        raise Broken(daemon.describe_end())
    if not any(line.startswith("sockserverd") or str(daemon.file) in line
               for line in daemon.log().split("\n")):
        raise Broken(f"it ended with status {daemon.status()} and without a message")


def request(daemon, point):
    """The request may fail; the next one does not."""
    before = serving(daemon)
    daemon.control.arm()
    for name in ANSWERED:
        daemon.ask(name)
    daemon.call("GetStatus")
    daemon.call("GetRequests")
    daemon.control.disarm()
    ends_well(daemon, before)


def reload_good(daemon, point):
    before = serving(daemon)
    daemon.configure("B")
    with Clients(daemon, ANSWERED) as clients:
        daemon.control.arm()
        daemon.call("Reload")
        time.sleep(0.05)  # the old generations end
        daemon.control.disarm()
        daemon.expect_alive()
        daemon.settle()
    expect_served(daemon, clients, point)
    daemon.call_well("Reload")
    daemon.configure("A")
    daemon.call_well("Reload")
    ends_well(daemon, before)


def reload_bad(daemon, point):
    before = serving(daemon)
    daemon.configure("bad")
    with Clients(daemon, ANSWERED) as clients:
        daemon.control.arm()
        reply = daemon.call("Reload")
        daemon.control.disarm()
        daemon.expect_alive()
        daemon.settle()
    if reply is not None and "error" not in reply:
        raise Broken("a bad configuration was taken")
    expect_served(daemon, clients, point)
    daemon.expect_descriptors(before)
    daemon.configure("A")
    daemon.call_well("Reload")
    ends_well(daemon, before)


def instance(daemon):
    reply = daemon.call("GetStatus")
    return reply and reply.get("parameters", {}).get("daemon", {}).get("instance")


def upgraded(daemon):
    """Another instance, or the same one; never none."""
    daemon.control.arm()
    reply = daemon.call("Upgrade")
    if reply is None or "error" not in reply:  # it hangs up when it executes the next program
        wait_a_little(daemon, lambda: "reloaded: " in daemon.log())
    daemon.control.disarm()
    daemon.expect_alive()
    daemon.settle()
    old = instance(daemon)

    def succeeds():
        daemon.expect_alive()
        answer = daemon.call("Upgrade")
        return answer is None or "error" not in answer
    until("a second upgrade does not succeed", succeeds)
    until("there is no new instance", lambda: instance(daemon) not in (None, old))


def upgrade(daemon, point):
    before = serving(daemon)
    with Clients(daemon, ANSWERED) as clients:
        upgraded(daemon)
    expect_served(daemon, clients, point)
    ends_well(daemon, before)


def upgrade_removed(daemon, point):
    """A listener that is in the configuration no more serves its last client meanwhile."""
    before = serving(daemon)
    daemon.configure("B")
    daemon.call_well("Reload")
    with daemon.connect("extra"):
        daemon.configure("A")
        daemon.call_well("Reload")
        upgraded(daemon)
    ends_well(daemon, before)


def operate(daemon, point):
    """drain and resume, restart, stop and start, with the answers awaited."""
    before = serving(daemon)
    with Clients(daemon, [name for name in ANSWERED if name != "threading"]) as clients:
        daemon.control.arm()
        for method in ("Drain", "Resume", "Restart", "Stop", "Start"):
            more = {"wait": True} if method == "Drain" else {}
            daemon.call(method, listener="threading", **more)
        daemon.control.disarm()
        daemon.expect_alive()
    expect_served(daemon, clients, point)
    for method in ("Stop", "Start"):
        daemon.call_well(method, listener="threading")
    ends_well(daemon, before)


def crash(daemon, point):
    """A worker is killed; another one takes its place."""
    before = serving(daemon)
    workers = daemon.settle()
    began = daemon.began("worker")
    daemon.control.arm()
    for name in ("threading", "forking"):
        os.kill(workers[name][0], signal.SIGKILL)
    wait_a_little(daemon, lambda: daemon.began("worker") >= began + 2)
    daemon.control.disarm()
    ends_well(daemon, before)


def stop(daemon, point):
    serving(daemon)
    daemon.control.arm()
    daemon.stop()


PHASES = {phase.__name__: phase for phase in
          (start, request, reload_good, reload_bad, upgrade, upgrade_removed, operate, crash, stop)}


# ---- calls that go on failing --------------------------------------------------------------------


def steady(daemon, point):
    """One call fails for two seconds, whatever is asked for; the supervisor lives through it.

    Clients whose worker runs are served, the watchdog is told, and when the call works again
    everything is as before.
    """
    before = serving(daemon)
    until("the watchdog is never told", lambda: daemon.manager.watchdog)
    victim = daemon.settle()["forking"][0]
    daemon.control.arm()
    began = time.monotonic()
    with Clients(daemon, ["threading", "coroutine"]) as clients:
        os.kill(victim, signal.SIGKILL)
        daemon.configure("B")
        for _ in range(2):
            daemon.process.send_signal(signal.SIGHUP)
            daemon.try_call("GetStatus")
            time.sleep(0.9)
    ended = time.monotonic()
    daemon.control.disarm()
    daemon.expect_alive()
    expect_served(daemon, clients, point)
    told = [when for when in daemon.manager.watchdog if began <= when <= ended]
    gaps = [b - a for a, b in zip([began] + told, told + [ended])]
    if max(gaps) > 1.1 and point.call != "sendmsg":  # which is how it is told
        raise Broken(f"the watchdog was not told for {max(gaps):.1f} s")
    daemon.configure("A")
    daemon.call_well("Reload")
    ends_well(daemon, before)
