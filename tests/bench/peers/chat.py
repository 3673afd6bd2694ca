#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The chat of examples/chat by Python's asyncio. usage: chat.py HOST:PORT [MEMBERS]; prints the port"""
import asyncio
import re
import sys

BEHIND = 65536  # bytes that a member may be behind
LONGEST = 500
NAME = re.compile(r"[A-Za-z0-9_-]{1,31}\Z")
CONTROLS = {code: "?" for code in (*range(32), *range(127, 160))}


class Hall:
    def __init__(self, most):
        self.most, self.guests, self.rooms, self.nicks = most, 0, {"lobby": set()}, set()

    def say(self, room, line):
        line = line.encode()
        for member in self.rooms.get(room, ()):
            member.hear(line)

    def enter(self, member, room):
        member.room = room
        self.rooms.setdefault(room, set()).add(member)

    def leave(self, member):
        members = self.rooms[member.room]
        members.discard(member)
        if not members and member.room != "lobby":
            del self.rooms[member.room]


class Member(asyncio.Protocol):
    def __init__(self, hall):
        self.hall, self.nick, self.room, self.received, self.lost = hall, None, None, b"", False

    def connection_made(self, transport):
        self.transport, hall = transport, self.hall
        transport.set_write_buffer_limits(high=BEHIND)
        if len(hall.nicks) >= hall.most:
            transport.write(b"* there is no seat left; come back later\n")
            transport.close()
            return
        while self.nick is None or self.nick in hall.nicks:
            hall.guests += 1
            self.nick = f"guest{hall.guests}"
        hall.nicks.add(self.nick)
        self.tell(f"* welcome, {self.nick}; / tells what there is\n")
        hall.enter(self, "lobby")
        hall.say("lobby", f"* {self.nick} has joined lobby\n")

    def connection_lost(self, _):
        if self.nick is not None:
            self.hall.leave(self)
            self.hall.nicks.discard(self.nick)
            self.hall.say(self.room, f"* {self.nick} has left\n")

    def hear(self, line):
        if self.transport.get_write_buffer_size() > BEHIND:
            self.lost = True
            return
        if self.lost:
            self.lost = False
            self.transport.write(b"* you are slow, and have missed something\n")
        self.transport.write(line)

    def tell(self, text):
        self.hear(text.encode())

    def data_received(self, data):
        *lines, self.received = (self.received + data).split(b"\n")
        for line in lines:
            self.obey(line.rstrip(b"\r").decode(errors="replace"))
        if len(self.received) > BEHIND:
            self.transport.close()

    def obey(self, line):
        if len(line) > LONGEST:
            self.tell(f"* that was too long: {LONGEST} bytes at once\n")
            return
        word, _, text = line.partition(" ")
        text = text.strip()
        if word == "/nick":
            self.rename(text)
        elif word == "/join":
            self.move(text)
        elif word == "/who":
            self.tell(f"* in {self.room}: {' '.join(m.nick for m in self.hall.rooms[self.room])}\n")
        elif word == "/quit":
            self.tell(f"* goodbye, {self.nick}\n")
            self.transport.close()
        elif word.startswith("/"):
            self.tell("* /nick NAME, /join ROOM, /who, /quit; all else is said\n")
        elif line:
            self.hall.say(self.room, f"{self.nick}: {line.translate(CONTROLS)}\n")

    def rename(self, nick):
        if not NAME.match(nick):
            self.tell('* /nick NAME: letters, digits, "_" and "-", at most 31\n')
        elif nick in self.hall.nicks:
            self.tell(f"* {nick} is taken\n")
        else:
            self.hall.nicks.discard(self.nick)
            self.hall.nicks.add(nick)
            before, self.nick = self.nick, nick
            self.hall.say(self.room, f"* {before} is now {nick}\n")

    def move(self, room):
        if not NAME.match(room):
            self.tell('* /join ROOM: letters, digits, "_" and "-", at most 31\n')
        elif room != self.room:
            before = self.room
            self.hall.leave(self)
            self.hall.say(before, f"* {self.nick} has left for {room}\n")
            self.hall.enter(self, room)
            self.hall.say(room, f"* {self.nick} has joined {room}\n")


async def main():
    host, _, port = sys.argv[1].split(":", 1)[-1].rpartition(":")
    hall = Hall(int((sys.argv[2:] or ["1000"])[0]))
    server = await asyncio.get_running_loop().create_server(
        lambda: Member(hall), host, int(port), backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
