# SPDX-License-Identifier: MIT
"""Waiting for what must happen, and looking at processes."""
import os
import time
from pathlib import Path

PATIENCE = 60  # seconds: longer is a hang, on a busy machine too


class Broken(Exception):
    """Something that must not be; the text says what."""


def until(what, test, patience=PATIENCE):
    """The first true answer of test(); Broken if there is none in time."""
    deadline = time.monotonic() + patience
    while True:
        answer = test()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Broken(f"not within {patience} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def stat_of(pid):
    """(state, parent) of a process; ("", 0) if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rsplit(")", 1)[1].split()
        return fields[0], int(fields[1])
    except OSError:
        return "", 0


def is_alive(pid):
    return stat_of(pid)[0] not in ("", "Z", "X")


def children(pid):
    found = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [child for child in found if stat_of(child)[1] == pid and is_alive(child)]
