# SPDX-License-Identifier: MIT
"""What Python prints goes to the daemon's log line by line, and exceptions as one record each."""

import io
import sys
import syslog
import threading

import _sockserverd as daemon

RECORD = 1900  # bytes; a line of the log holds some more
OURS = ("<_sockserverd", "/socketserver.py")  # files whose frames say nothing about a handler


class Bytes(io.BufferedIOBase):
    """What a Log has for those who print bytes."""

    def __init__(self, log):
        self.log = log
        self.name = log.name
        self.mode = "wb"

    def writable(self):
        return True

    def write(self, data):
        self.log.write(str(data, "utf-8", "backslashreplace"))
        return memoryview(data).nbytes

    def fileno(self):
        return self.log.fileno()


class Log(io.TextIOBase):
    """A text file whose lines are lines of the log; each thread has its own unfinished one."""

    encoding = "utf-8"
    errors = "backslashreplace"
    name = "<log>"
    mode = "w"

    def __init__(self, level, number):
        self.level = level
        self.number = number
        self.begun = {}
        self.buffer = Bytes(self)

    def fileno(self):
        return self.number  # what is written to it comes to the log, too

    def writable(self):
        return True

    def write(self, text):
        thread = threading.get_ident()
        lines = (self.begun.pop(thread, "") + text).split("\n")
        for line in lines[:-1]:
            log(self.level, line)
        if lines[-1]:
            self.begun[thread] = lines[-1]
        return len(text)

    def flush(self):
        pass  # half a line is not logged: print() writes its pieces one by one

    def end_line(self):
        line = self.begun.pop(threading.get_ident(), None)
        if line:
            log(self.level, line)


class NoInput(io.TextIOBase):
    """Standard input, which nobody types into: whoever reads it waits for the end of the listener."""

    encoding = "utf-8"
    errors = "strict"
    name = "<stdin>"
    mode = "r"

    def __init__(self, stopped):
        self.stopped = stopped

    def readable(self):
        return True

    def read(self, size=-1):
        self.stopped.wait()
        return ""

    def readline(self, size=-1):
        self.stopped.wait()
        return "\n" if size else ""


def log(level, text):
    text = text.replace("\0", "\\0").encode("utf-8", "backslashreplace")
    daemon.log(level, text.decode("utf-8"))


def redirect(stopped):
    sys.stdout = sys.__stdout__ = Log(syslog.LOG_INFO, 1)
    sys.stderr = sys.__stderr__ = Log(syslog.LOG_NOTICE, 2)
    sys.stdin = sys.__stdin__ = NoInput(stopped)


def end_lines():
    """At the end of a request: a line without its newline is a line, too."""
    for file in (sys.__stdout__, sys.__stderr__):
        if file.begun:
            file.end_line()


def places(frame, trace=None):
    """Where it was, outermost first, without the frames that lead to every handler."""
    import traceback  # only now: it brings much that each forked child would have a copy of

    frames = traceback.extract_tb(trace) if trace is not None else (
        traceback.extract_stack(frame) if frame is not None else [])
    shown = [f for f in frames if not (f.filename.startswith(OURS[0]) or f.filename.endswith(OURS[1]))]
    return [f"{f.filename}:{f.lineno} in {f.name}" + (f": {f.line}" if f.line else "") for f in shown]


def describe(error):
    """An exception with its traceback and what caused it, in one line."""
    import traceback

    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    where = places(None, error.__traceback__)
    while len(where) > 1 and len(text) + sum(map(len, where)) > RECORD:
        del where[len(where) // 2]
    parts = [text] + (["at " + " > ".join(where)] if where else [])
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and cause is not error:
        parts.append("after " + "".join(traceback.format_exception_only(type(cause), cause)).strip())
    return "; ".join(parts).replace("\n", " | ")
