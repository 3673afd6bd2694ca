# SPDX-License-Identifier: MIT
"""What of Python's own business at a fork is needed where a process without threads forks.

Python makes all locks anew in a child, and has the module threading forget the other threads. Where
there are none, that is nothing but memory that the child must copy: half of what a request costs.
"""

import gc
import os
import socket
import threading

# Modules whose functions see to locks and threads and no more, and what serve.py notes of a script.
LOCKS_ONLY = "threading", "logging", "_sockserverd_serve"
hooks = None                           # Python's own three lists of functions; None: not found


def learn():
    """Finds the lists that os.register_at_fork() appends to, by a function that is in each."""
    global hooks
    marks = [lambda: None, lambda: None, lambda: None]
    os.register_at_fork(before=marks[0], after_in_parent=marks[1], after_in_child=marks[2])
    found = [[one for one in gc.get_referrers(mark) if type(one) is list and one is not marks]
             for mark in marks]
    if all(len(lists) == 1 for lists in found):
        hooks = [lists[0] for lists in found]
        for functions, mark in zip(hooks, marks):
            functions.remove(mark)


def is_needed(function):
    return not (isinstance(getattr(function, "__self__", None), type(threading.Lock()))
                or getattr(function, "__module__", None) in LOCKS_ONLY)


def needed():
    """The functions to be called before a fork, then in the parent, and in the child. None: all of
    Python's business is."""
    if hooks is None:
        return None
    before, parent, child = (tuple(filter(is_needed, functions)) for functions in hooks)
    return before[::-1], parent, child


def before(first, server):
    """What the daemon's forks must call, and the number of a server's socket that no child needs."""
    if first:
        gc.collect()
        learn()
        gc.freeze()  # no child looks whether what is there now is garbage
    stream = server.socket_type == socket.SOCK_STREAM
    return needed(), socket.socket.fileno(server.socket) if stream else -1
