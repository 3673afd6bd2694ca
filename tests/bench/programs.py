# SPDX-License-Identifier: MIT
"""The programs that ./dev bench measures with, for the tests of them: built, started, asked."""
import json
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENCE = 30
FOLDER = HERE.parents[1] / "build/bench"  # of the programs


def build(folder, names):
    """Builds what is missing in that folder, which the functions below then take programs from."""
    global FOLDER
    FOLDER = Path(folder)
    subprocess.run(["make", "-s", "-C", HERE, f"OUT={FOLDER}", *(f"{FOLDER}/{name}" for name in names)],
                   check=True, env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")})


def run(program, *arguments):
    return subprocess.run([FOLDER / program, *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE + 30)


def load(mode, address, *arguments, program="load"):
    """What the load generator tells; of several lines the last."""
    done = run(program, mode, address, *arguments)
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


class Limit:
    """A context: a limit server on a Unix socket in a folder of its own."""

    def __init__(self, name, *arguments):
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.address = f"unix:{self.folder.name}/socket"
        self.command = [FOLDER / name, *arguments, self.address]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            with socket.socket(socket.AF_UNIX) as sock:
                if sock.connect_ex(self.address.partition(":")[2]) == 0:
                    return self
            time.sleep(0.01)
        raise AssertionError("no limit server")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()
