# SPDX-License-Identifier: MIT
"""Judges the recorded history of every request by what was done to the daemon meanwhile.

An answer is the request's own, once. A request fails only if the worker that ran it was killed, or
if its listener was stopped; whatever else happens, it is answered.
"""
from collections import namedtuple

# A worker of the listener, or a child of one, was killed: between the two moments.
Kill = namedtuple("Kill", "listener pid began ended")
# A listener (None: all of them) was stopped: it did not serve between the two moments.
Gap = namedtuple("Gap", "listener began ended")

SLACK = 0.5  # seconds: a killed process needs a moment to go


def overlaps(request, began, ended):
    return request.began <= ended + SLACK and request.ended >= began


def killed_its_worker(request, kills):
    """Whether a kill explains that the request was lost. Where it is known which process served
    it, that one must have been killed."""
    return any(kill.listener == request.listener and
               (not request.served_by or kill.pid in request.served_by) and
               overlaps(request, kill.began, kill.ended) for kill in kills)


def was_stopped(request, gaps):
    """Whether a stop explains it. What a worker runs, and who was in the queue before, is served;
    of datagrams it is not known."""
    def came_too_late(gap):
        return request.connected is None or request.connected >= gap.began
    return any(gap.listener in (None, request.listener) and overlaps(request, gap.began, gap.ended)
               and not request.served_by and came_too_late(gap) for gap in gaps)


def explain(request, kills, gaps):
    """None if the request may have ended so, or what is wrong."""
    if request.result in ("answered", "unknown"):
        return None
    if request.result == "wrong":
        return f"a wrong answer: {request.detail}"
    if request.result == "refused":
        return None if was_stopped(request, gaps) else f"refused: {request.detail}"
    if killed_its_worker(request, kills) or was_stopped(request, gaps):
        return None
    return f"{request.result}: {request.detail}" if request.detail else request.result


def judge(history, kills, gaps):
    """[(request, what is wrong)]."""
    findings = []
    for request in history:
        what = explain(request, kills, gaps)
        if what is not None:
            findings.append((request, what))
    return findings
