#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No call of the supervisor can wait: each that it makes in a long run is in a table that says why.

    syscalls.py BUILD

strace(1) watches the supervisor (and none of its children) while it starts, serves, reloads good
and bad files, is asked, loses a worker, is upgraded, and stops. A system call that is not in the
table fails the test, as does one that would wait on what it was called on.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEADLINE = 60

# ---- why each call cannot wait ---------------------------------------------------------------

MEMORY = "works on this process's memory"
DESCRIPTOR = "works on a descriptor, whatever is behind it"
PROCESS = "asks or changes something of this process"
NAME = "works on names of files, which the kernel has in memory or reads from a local disk"
SOCKET = "changes or asks a socket"
NEW = "makes something new"
SIGNAL = "works on signals"

QUICK = {
    MEMORY: "brk mmap mprotect munmap mremap madvise",
    DESCRIPTOR: "close close_range dup dup2 dup3 fcntl lseek ftruncate epoll_ctl timerfd_settime "
                "ioctl fstat",
    PROCESS: "arch_prctl execve exit_group getegid geteuid getgid getpgid getpid getppid "
             "clock_gettime getrandom gettid setitimer getuid prctl prlimit64 getrlimit setrlimit rseq "
             "set_robust_list set_tid_address setpgid sysinfo umask uname sched_getaffinity "
             "capget capset setsid getgroups",
    NAME: "access faccessat2 chmod fchmod fchown chown fchownat lchown getcwd link linkat mkdir "
          "newfstatat stat lstat readlink readlinkat rename unlink unlinkat statx fchmodat "
          "getdents64 statfs fstatfs",
    SOCKET: "bind getpeername getsockname getsockopt listen setsockopt shutdown",
    NEW: "epoll_create1 eventfd2 memfd_create pidfd_open pipe2 signalfd4 socket socketpair "
         "timerfd_create clone clone3 fork",
    SIGNAL: "kill pidfd_send_signal tgkill rt_sigaction rt_sigprocmask rt_sigreturn",
}

# Calls that can wait. The pattern must be in the line; None: the descriptor must be one that
# does not let anybody wait.
WAITING = {
    "epoll_wait": (r"", "is the event loop: here, and nowhere else, the supervisor waits"),
    "epoll_pwait": (r"", "the same"),
    "epoll_pwait2": (r"", "the same"),
    "wait4": (r"WNOHANG", "looks whether a child has ended"),
    "waitid": (r"WNOHANG", "looks whether a child has ended"),
    "flock": (r"LOCK_NB|LOCK_UN", "tries the lock"),
    "futex": (r"FUTEX_WAKE", "wakes: there is no other thread"),
    "openat": (r"O_NONBLOCK|O_PATH|O_DIRECTORY|\"/(proc|sys|dev/null|dev/urandom)|\"(/usr|/lib|/etc|/[^\"]*\.so)",
               "does not wait for the other end of a pipe; or is the program's own start"),
    "open": (r"O_NONBLOCK|O_PATH|O_DIRECTORY|\"/(proc|sys|dev/null)", "the same"),
    "ppoll": (r"tv_sec=", "has a deadline; only before there is an event loop (load_now())"),
    "poll": (r", 0\)", "looks only"),
    "accept4": (None, "takes what is there"),
    "connect": (None, "does not wait for the other side"),
    "read": (None, "takes what is there"),
    "pread64": (None, "takes what is there"),
    "readv": (None, "takes what is there"),
    "write": (None, "writes what fits"),
    "writev": (None, "writes what fits"),
    "recvfrom": (None, "takes what is there"),
    "recvmsg": (None, "takes what is there"),
    "sendmsg": (None, "sends what fits"),
    "sendto": (None, "sends what fits"),
}

LINE = re.compile(r"(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)(.*)$")
FD = re.compile(r"(\d+)<([^>]*)")
MADE = "socket accept4 signalfd4 timerfd_create eventfd2 openat epoll_create1 memfd_create pidfd_open"
PAIRS = "pipe2 socketpair"


class Run:
    """What is known of the supervisor's descriptors, and what was wrong."""

    def __init__(self):
        self.lasting = {}  # descriptor: whether nobody waits on it
        self.wrong = []
        self.seen = set()

    def look(self, line):
        match = LINE.match(line)
        if match is None:
            return
        name, arguments, result, rest = match.groups()
        self.seen.add(name)
        if name in WAITING:
            self.judge(name, arguments, line)
        elif not any(name in names.split() for names in QUICK.values()):
            self.wrong.append(f"nothing says why {name}() cannot wait: {line[:160]}")
        self.note(name, arguments, result, rest)

    def judge(self, name, arguments, line):
        pattern = WAITING[name][0]
        if pattern is None:
            good = "MSG_DONTWAIT" in arguments or self.never_waits(arguments)
        else:
            good = re.search(pattern, arguments + ")") is not None
        if not good:
            self.wrong.append(f"this call can wait: {line[:200]}")

    def never_waits(self, arguments):
        """Whether the first argument is a file, or was made so that nobody waits on it."""
        match = FD.match(arguments)
        if match is None:
            return False
        number, what = int(match[1]), match[2]
        return what.startswith("/") or self.lasting.get(number, False)

    def note(self, name, arguments, result, rest):
        """What the call means for later ones."""
        if not result.isdigit():
            return
        if name in MADE.split():
            self.lasting[int(result)] = "NONBLOCK" in arguments
        elif name in PAIRS.split():
            for number, _ in FD.findall(arguments):
                self.lasting[int(number)] = "NONBLOCK" in arguments
        elif name in ("dup", "dup2", "dup3") or (name == "fcntl" and "F_DUPFD" in arguments):
            self.lasting[int(result)] = self.lasting.get(int(FD.match(arguments)[1]), False)
        elif name == "fcntl" and "F_SETFL" in arguments:
            self.lasting[int(FD.match(arguments)[1])] = "O_NONBLOCK" in arguments
        elif name == "recvmsg":
            for number, _ in FD.findall(arguments.partition("SCM_RIGHTS")[2]):
                self.lasting[int(number)] = False
        del rest


# ---- the run ----------------------------------------------------------------------------------

CONFIGURATION = """
plugin_path = "{build}/plugins";
control = {{ path = "{folder}/control"; }};
log = {{ target = "{folder}/log"; level = "{level}"; }};
listeners = {{
    tcp = {{ address = "tcp://127.0.0.1:0"; plugin = "echo"; mixin = "{mixin}"; }};
    local = {{ address = "unix://{folder}/local"; plugin = "echo"; mixin = "forking"; }};
    udp = {{ address = "udp://localhost:0"; plugin = "echo"; }};
    keeps = {{ address = "unix://{folder}/keeps"; plugin = "{build}/tests/plugins/good_counter.so";
              mixin = "{mixin}"; options = {{ first = "text"; }}; }};
    {more}
}};
"""


def until(what, test):
    """Waits for what test() says, and returns it."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        result = test()
        if result:
            return result
        time.sleep(0.02)
    raise SystemExit(f"waited in vain: {what}")


class Daemon:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(f"{folder}/notify")
        self.manager.setblocking(False)
        self.write()
        environment = dict(os.environ, NOTIFY_SOCKET=f"{folder}/notify", WATCHDOG_USEC="300000")
        self.process = subprocess.Popen(
            ["strace", "-D", "-y", "-s", "16", "-o", f"{folder}/trace", f"{build}/bin/sockserverd",
             "-c", f"{folder}/conf"], env=environment, stderr=subprocess.DEVNULL)
        until("it serves", self.answers)

    def write(self, mixin="threading", level="info", more=""):
        text = CONFIGURATION.format(build=self.build, folder=self.folder, mixin=mixin, level=level,
                                    more=more)
        Path(f"{self.folder}/conf").write_text(text, encoding="ascii")

    def hear(self):
        """The manager reads what has come."""
        try:
            while True:
                self.manager.recv(65536)
        except BlockingIOError:
            pass

    def answers(self):
        self.hear()
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(DEADLINE)
                client.connect(f"{self.folder}/local")
                client.sendall(b"hello\n")
                return client.recv(16) == b"hello\n"
        except OSError:
            return False

    def ask(self, *words):
        self.hear()
        command = [f"{self.build}/bin/sockserverctl", "--socket", f"{self.folder}/control", *words]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=DEADLINE, check=False).returncode

    def do(self, *words):
        until(" ".join(words), lambda: self.ask(*words) == 0)

    def call(self, method):
        """What sockserverctl has no command for."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(DEADLINE)
            client.connect(f"{self.folder}/control")
            client.sendall(f'{{"method":"org.sockserver.Control.{method}"}}'.encode() + b"\0")
            reply = client.recv(65536)
        if not reply.startswith(b'{"parameters"'):
            raise SystemExit(f"{method}: {reply[:200]!r}")

    def kill_a_worker(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(
            encoding="ascii").split()
        os.kill(int(children[0]), signal.SIGKILL)
        until("it serves again", self.answers)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None and time.monotonic() < end:
            self.hear()
            time.sleep(0.02)
        if self.process.returncode != 0:
            raise SystemExit(f"it ended with {self.process.returncode}")


def live(daemon):
    """A long life in a few seconds."""
    daemon.do("status")
    daemon.write(mixin="none", level="debug", more='new = { address = "tcp://localhost:0"; '
                                                   'plugin = "echo"; mixin = "coroutine"; };')
    daemon.do("reload")
    daemon.write(more="bad = { plugin = 1; };")
    if daemon.ask("reload") == 0:
        raise SystemExit("a bad file was accepted")
    daemon.write()
    daemon.process.send_signal(signal.SIGHUP)
    daemon.process.send_signal(signal.SIGUSR1)
    for words in (["status", "--json"], ["restart", "tcp"], ["drain", "tcp"], ["resume", "tcp"],
                  ["stop", "tcp"], ["start", "tcp"]):
        daemon.do(*words)
    daemon.call("GetMetrics")
    daemon.kill_a_worker()
    daemon.do("upgrade")
    until("it serves after the upgrade", daemon.answers)
    daemon.do("status")
    daemon.stop()


def may_trace():
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-D", "-o", "/dev/null", "true"], capture_output=True,
                           check=False)
    return None if tried.returncode == 0 else "strace may not trace here"


def main(build):
    reason = may_trace()
    if reason is not None:
        print(f"skipped: {reason}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(build, folder)
        try:
            live(daemon)
        finally:
            if daemon.process.poll() is None:
                daemon.process.kill()
        trace = Path(f"{folder}/trace")
        until("the whole trace", lambda: "+++ exited" in trace.read_text(errors="replace"))
        run = Run()
        for line in trace.read_text(errors="replace").splitlines():
            run.look(line)
    for wrong in run.wrong:
        print(wrong)
    if len(run.seen) < 30 or "epoll_wait" not in run.seen:
        print(f"the trace is not a supervisor's: {sorted(run.seen)}")
        return 1
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
