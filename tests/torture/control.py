# SPDX-License-Identifier: MIT
"""The file that the driver shares with the processes under torture (fail_nth.h), and what it says."""
import ctypes
import errno
import mmap
import os
import subprocess
from functools import lru_cache

ROLES = ["supervisor", "spawn", "worker", "request", "check", "trial"]
CALLS, PROCESSES, WHERE, PLACES = 96, 512, 2048, 1024


class Process(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint32), ("role", ctypes.c_uint32)]


class Shared(ctypes.Structure):
    _fields_ = [
        ("armed", ctypes.c_uint32),
        ("role", ctypes.c_uint32), ("call", ctypes.c_uint32), ("nth", ctypes.c_uint32),
        ("sticky", ctypes.c_uint32), ("error", ctypes.c_int32), ("note_places", ctypes.c_uint32),
        ("fired", ctypes.c_uint32), ("fired_pid", ctypes.c_uint32),
        ("crash_signal", ctypes.c_uint32), ("crash_pid", ctypes.c_uint32),
        ("crash_role", ctypes.c_uint32), ("process_count", ctypes.c_uint32),
        ("processes", Process * PROCESSES),
        ("counts", (ctypes.c_uint32 * CALLS) * len(ROLES)),
        ("fired_where", ctypes.c_char * WHERE), ("crash_where", ctypes.c_char * WHERE),
        ("places", ((ctypes.c_uint32 * PLACES) * CALLS) * len(ROLES)),
    ]


def call_names(library):
    """The kinds of calls that the library knows, in the order of their numbers."""
    loaded = ctypes.CDLL(str(library))
    size = ctypes.c_size_t.in_dll(loaded, "torture_size").value
    if size != ctypes.sizeof(Shared):
        raise SystemExit(f"torture: control.py and {library} do not agree on the shared file")
    pointers = (ctypes.c_char_p * CALLS).in_dll(loaded, "torture_calls")
    names = []
    while pointers[len(names)] is not None:
        names.append(pointers[len(names)].decode())
    return names


# What each call fails with; the first one in the short form, all of them in the long form. Only
# what the kernel, a resource limit or a security module really answers there.
ERRORS = {
    "malloc": ["ENOMEM"],
    "accept4": ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPERM", "EINTR"],
    "bind": ["EACCES", "ENOMEM", "EADDRINUSE"],
    "close_range": ["EPERM", "ENOSYS"],
    "connect": ["ECONNREFUSED", "EAGAIN"],
    "dup2": ["EMFILE"], "dup3": ["EMFILE"],
    "epoll_create1": ["EMFILE", "ENOMEM"],
    "epoll_ctl": ["ENOSPC", "ENOMEM"],
    "eventfd": ["EMFILE", "ENFILE", "ENOMEM"],
    "execv": ["ENOMEM", "ENOENT", "EACCES"],
    "execveat": ["ENOMEM", "ENOENT", "EACCES"],
    "fcntl": ["EMFILE"],
    "flock": ["ENOLCK", "EWOULDBLOCK"],
    "fopen": ["EMFILE", "ENFILE", "ENOENT"],
    "fork": ["EAGAIN", "ENOMEM"],
    "fstat": ["ENOMEM"], "stat": ["ENOMEM"],
    "ftruncate": ["ENOMEM", "EFBIG"],
    "getaddrinfo": ["ENOMEM"],  # EAI_MEMORY, whatever stands here
    "getrlimit": ["EPERM"], "setrlimit": ["EPERM"],
    "getsockname": ["ENOBUFS"], "setsockopt": ["ENOBUFS", "EPERM"],
    "kill": ["EPERM"],
    "listen": ["EACCES", "EADDRINUSE"],
    "memfd_create": ["EMFILE", "ENFILE", "ENOMEM"],
    "mkdir": ["ENOSPC", "EROFS"],
    "mmap": ["ENOMEM"], "mprotect": ["ENOMEM"],
    "open": ["EMFILE", "ENFILE", "ENOMEM", "EACCES"],
    "opendir": ["EMFILE", "ENOMEM"],
    "pipe2": ["EMFILE", "ENFILE"],
    "poll": ["EINTR", "ENOMEM"],
    "prctl": ["EPERM"],
    "pthread_create": ["EAGAIN"],
    "read": ["EINTR", "EIO", "ENOMEM"],
    "readlink": ["EACCES", "ENOMEM"],
    "recv": ["ENOMEM", "EINTR"], "recvmmsg": ["ENOMEM", "EINTR"], "recvmsg": ["ENOMEM", "EINTR"],
    "rename": ["ENOSPC", "EROFS"],
    "send": ["ENOBUFS", "ENOMEM", "EINTR"], "sendmmsg": ["ENOBUFS", "ENOMEM"],
    "sendmsg": ["ENOBUFS", "ENOMEM", "EAGAIN", "EINTR"],
    "setgroups": ["EPERM", "ENOMEM"], "setresgid": ["EPERM"], "setresuid": ["EAGAIN", "EPERM"],
    "setsid": ["EPERM"],
    "shutdown": ["ENOTCONN"],
    "signalfd": ["EMFILE", "ENOMEM"],
    "socket": ["EMFILE", "ENFILE", "ENOBUFS"],
    "socketpair": ["EMFILE", "ENFILE", "ENOMEM"],
    "timer_create": ["EAGAIN", "ENOMEM"],
    "timerfd_create": ["EMFILE", "ENOMEM"],
    "unlink": ["EROFS", "EACCES"],
    "waitid": ["EINTR"],
    "write": ["ENOSPC", "EINTR", "EPIPE", "EIO"],
    "chmod": ["EROFS"], "chown": ["EPERM"],
}


class Control:
    """One daemon's shared file."""

    def __init__(self, path, names):
        self.path, self.names = path, names
        with open(path, "w+b") as file:
            file.truncate(ctypes.sizeof(Shared))
            os.chmod(path, 0o666)  # a worker may be somebody else
            self.memory = mmap.mmap(file.fileno(), ctypes.sizeof(Shared))
        self.shared = Shared.from_buffer(self.memory)

    def aim(self, point):
        shared = self.shared
        shared.role, shared.call = ROLES.index(point.role), self.names.index(point.call)
        shared.nth, shared.sticky = point.n, int(point.sticky)
        shared.error = getattr(errno, point.error)

    def arm(self):
        self.shared.armed = 1

    def disarm(self):
        self.shared.armed = 0

    @property
    def fired(self):
        return self.shared.fired != 0

    def counts(self):
        """How often each call was made while armed, by role and name; zeros are left out."""
        return {(role, name): self.shared.counts[i][j]
                for i, role in enumerate(ROLES) for j, name in enumerate(self.names)
                if self.shared.counts[i][j] > 0}

    def note_places(self):
        self.shared.note_places = 1

    def places(self):
        """{(role, name): [for the n-th call, a number for the way that led there]}."""
        return {(role, name): self.shared.places[ROLES.index(role)][self.names.index(name)][:count]
                for (role, name), count in self.counts().items()}

    def processes(self):
        count = min(self.shared.process_count, PROCESSES)
        return [(self.shared.processes[i].pid, ROLES[self.shared.processes[i].role])
                for i in range(count)]

    def crash(self):
        """(signal, role, where) of the first crash, or None."""
        shared = self.shared
        if shared.crash_signal == 0:
            return None
        return shared.crash_signal, ROLES[shared.crash_role], shared.crash_where.decode()

    def where(self):
        return self.shared.fired_where.decode()


# ---- from offsets to names -------------------------------------------------------------------------


@lru_cache(maxsize=None)
def name_of(binary, offset):
    """The function and line at the offset, as far as the debugging symbols know."""
    answer = subprocess.run(["addr2line", "-s", "-f", "-e", binary, hex(offset - 1)],
                            capture_output=True, text=True, check=False).stdout.split("\n")
    return answer[0] if len(answer) < 2 or "?" in answer[1] else f"{answer[0]} {answer[1]}"


def readable(where, build):
    """The daemon's own frames with their names; other modules by theirs."""
    programs = {"sockserverd": f"{build}/bin/sockserverd",
                "worker": f"{build}/lib/sockserverd/worker"}
    frames = []
    for frame in where.split():
        module, _, offset = frame.partition("+")
        if module in programs:
            frames.append(name_of(programs[module], int(offset, 16)))
        elif not frames or frames[-1] != module:
            frames.append(module)
    while frames and (frames[-1].startswith(("libc.so", "_start", "libfail"))):
        frames.pop()
    return " < ".join(frames)
