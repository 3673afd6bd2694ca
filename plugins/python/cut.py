# SPDX-License-Identifier: MIT
"""Ending what a handler computes, in the Python code where it is."""

import sys
import syslog
import threading
import time

import _sockserverd as daemon
import _sockserverd_output as output


class Cut(BaseException):
    """Raised in a handler whose request the daemon ends."""


cut_at = {}       # by thread: when its request was told to end
PATIENCE = 0.3    # seconds, for a handler to clean up, before it is told once more


def is_ending(frame):
    """Whether the request is at its end already, where this module logs what has happened."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(output.OURS[0]) and code.co_name in ("report", "end", "log"):
            return True
        frame = frame.f_back
    return False


def must_cut(thread, frame):
    """Says once where that thread is. Whether its request shall be told to end, or once more."""
    if is_ending(frame):
        return False
    now, before = time.monotonic(), cut_at.get(thread)
    if before is not None and now - before < PATIENCE:
        return False
    cut_at[thread] = now
    if before is None and frame is not None:
        where = output.places(frame)
        output.log(syslog.LOG_WARNING, "the request is cut at " + "".join(where[-1:]))
    return True


def cut(thread):
    """In the guard's thread: ends what another thread runs."""
    if must_cut(thread, sys._current_frames().get(thread)):
        daemon.raise_in(thread, Cut)


def on_cut(number, frame):
    if daemon.is_cut() and must_cut(threading.get_ident(), frame):
        raise Cut
