#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many members, who all speak at once: crowd.py HOST PORT [MEMBERS [LINES]]

They meet in a room of their own and each says so many lines. Everybody must hear every line once, and
those of one member in their order; else the exit status is 1. Nobody speaks more than a few lines
ahead, so that nobody is slow.
"""
import asyncio
import sys
import time

AHEAD = 4  # lines of a member that it has not heard yet


class Member:
    def __init__(self, number, lines):
        self.name, self.lines = f"m{number}", lines
        self.heard = {}  # name: lines

    async def join(self, host, port):
        self.reader, self.writer = await asyncio.open_connection(host, port)
        await self.ask(f"/nick {self.name}", f"is now {self.name}")
        await self.ask("/join crowd", f"{self.name} has joined crowd")

    async def ask(self, line, answer):
        self.writer.write(f"{line}\n".encode())
        while answer not in (line := await self.line()):
            self.take(line)

    async def line(self):
        line = await self.reader.readline()
        if not line:
            raise SystemExit(f"{self.name}: the connection has ended")
        return line.decode().rstrip("\n")

    def take(self, line):
        name, _, said = line.partition(": ")
        if line.startswith("*"):
            if "missed" in line:
                raise SystemExit(f"{self.name}: {line}")
        elif int(said) != self.heard.get(name, 0):
            raise SystemExit(f"{self.name}: {line}, expected {self.heard.get(name, 0)}")
        else:
            self.heard[name] = int(said) + 1

    async def talk(self, names):
        said = 0
        while any(self.heard.get(name, 0) < self.lines for name in names):
            while said < self.lines and said - self.heard.get(self.name, 0) < AHEAD:
                self.writer.write(f"{said}\n".encode())
                said += 1
            self.take(await self.line())

    async def leave(self):
        self.writer.write(b"/quit\n")
        while await self.reader.readline():
            pass
        self.writer.close()


async def main():
    host, port, members, lines = *sys.argv[1:3], *map(int, (sys.argv[3:] + ["100", "10"][len(sys.argv) - 3:])[:2])
    crowd = [Member(number, lines) for number in range(members)]
    for member in crowd:
        await member.join(host, int(port))
    began = time.monotonic()
    await asyncio.gather(*(member.talk([m.name for m in crowd]) for member in crowd))
    seconds = time.monotonic() - began
    await asyncio.gather(*(member.leave() for member in crowd))
    print(f"{members} members heard {members * lines} lines each")
    print(f"{members * members * lines / seconds:,.0f} a second", file=sys.stderr)


asyncio.run(main())
