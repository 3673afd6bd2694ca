#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""clients.py - clients of a TLS listener that runs good_command, good ones and bad ones

clients.py SCENARIO HOST PORT CERTIFICATE [ARGUMENT...]

Each scenario is a function below. It ends with status 0, or says what was wrong.
"""
import os
import random
import socket
import ssl
import struct
import sys
import time

SECONDS = 60.0


def connect(address):
    connection = socket.create_connection(address, timeout=SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def context(certificate, version=None):
    made = ssl.create_default_context(cafile=certificate)
    made.check_hostname = False
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made


def client(address, certificate, version=None):
    """A connection with TLS."""
    return context(certificate, version).wrap_socket(
        connect(address), server_hostname="localhost", suppress_ragged_eofs=False)


class Memory:
    """A TLS client whose bytes are not sent by itself."""

    def __init__(self, certificate, version=None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context(certificate, version).wrap_bio(
            self.incoming, self.outgoing, server_hostname="localhost")

    def hello(self):
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def finish(self, connection):
        while True:
            try:
                self.tls.do_handshake()
                connection.sendall(self.outgoing.read())
                return
            except ssl.SSLWantReadError:
                connection.sendall(self.outgoing.read())
                self.incoming.write(receive(connection))

    def ask(self, connection, text):
        self.tls.write(text.encode())
        connection.sendall(self.outgoing.read())
        return self.read_lines(connection, 1)

    def read_lines(self, connection, count):
        answer = b""
        while answer.count(b"\n") < count:
            try:
                answer += self.tls.read(4096)
            except ssl.SSLWantReadError:
                self.incoming.write(receive(connection))
        return answer.decode()


def receive(connection):
    data = connection.recv(65536)
    if not data:
        raise SystemExit("the server has closed the connection")
    return data


def expect(found, expected):
    if found != expected:
        raise SystemExit(f"found {found!r}; expected {expected!r}")


def read_to_end(connection):
    """All that still comes, be it ended by a reset."""
    got = b""
    try:
        while data := connection.recv(65536):
            got += data
    except ConnectionError:
        pass
    return got


def read_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        data = connection.recv(1)
        if not data:
            break
        line += data
    return line.decode()


VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def expect_served(address, certificate):
    """A good client is served as if nothing had been."""
    good = client(address, certificate)
    good.sendall(b"echo fine\n")
    expect(read_line(good), "fine\n")
    good.close()


def cut_hello(address, certificate):
    """A ClientHello in two pieces, cut at every byte, makes no difference."""
    for version in VERSIONS:
        size = len(Memory(certificate, version).hello())
        for at in range(1, size, 1 if version == VERSIONS[1] else 17):
            memory, connection = Memory(certificate, version), connect(address)
            hello = memory.hello()
            connection.sendall(hello[:at])
            connection.sendall(hello[at:])
            memory.finish(connection)
            expect(memory.ask(connection, f"echo {at}\n"), f"{at}\n")
            connection.close()


def dribbled_hello(address, certificate):
    memory, connection = Memory(certificate), connect(address)
    for byte in memory.hello():
        connection.sendall(bytes([byte]))
    memory.finish(connection)
    expect(memory.ask(connection, "echo slowly\n"), "slowly\n")


def garbage(address, certificate):
    """What is no TLS is refused; afterwards a good client is served as before."""
    chance = random.Random(9)
    pieces = [
        b"\x16\x03\x01\xff\xff" + b"\x01\xff\xff\xff" + b"x" * 70000,  # a record of 64 KiB
        b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + b"x" * 16380,  # a ClientHello of 16 MiB
        b"\x16\x03\x01\x00\x04" + b"\x01\xff\xff\xff",
        b"\x16\x03\x01\x00\x00" * 100,  # empty records
        b"\x17\x03\x03\x00\x05hello",  # data before a handshake
        b"\x14\x03\x03\x00\x01\x01",  # ChangeCipherSpec before a handshake
        b"\x80\x2e\x01\x00\x02" + b"\0" * 64,  # SSL 2
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0" * 1000,
    ] + [chance.randbytes(chance.randrange(1, 3000)) for _ in range(40)]
    for piece in pieces:
        connection = connect(address)
        try:
            connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        read_to_end(connection)
        connection.close()
    expect_served(address, certificate)


def alerts(address, certificate):
    """An alert instead of the next bytes of a handshake ends it, at each of its steps."""
    for version in VERSIONS:
        for alert in (b"\x02\x30", b"\x02\x2a", b"\x01\x5a", b"\x02\xff", b"\x01\x00"):
            record = b"\x15\x03\x03\x00\x02" + alert
            for steps in (0, 1):
                memory, connection = Memory(certificate, version), connect(address)
                if steps > 0:
                    connection.sendall(memory.hello())
                    receive(connection)
                connection.sendall(record)
                connection.shutdown(socket.SHUT_WR)
                read_to_end(connection)
                connection.close()
    expect_served(address, certificate)


def half_close(address, certificate):
    """After the client's close_notify the handler may still write; its end is one, too."""
    for version in VERSIONS:
        memory, connection = Memory(certificate, version), connect(address)
        connection.sendall(memory.hello())
        memory.finish(connection)
        memory.tls.write(b"end\nsomething")
        try:
            memory.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        connection.sendall(memory.outgoing.read())
        connection.shutdown(socket.SHUT_WR)
        memory.incoming.write(read_to_end(connection))
        memory.incoming.write_eof()
        # OpenSSL shows what came behind its own close_notify only in this way.
        try:
            found = memory.tls.read(100)
        except ssl.SSLError:
            found = None
        expect(found in (b"end 9 false\n", None), True)
        memory.tls.unwrap()  # fails without the server's close_notify


def truncated(address, certificate):
    """A stream that just ends is flagged, and the handler may still write."""
    for version in VERSIONS:
        secure = client(address, certificate, version)
        secure.sendall(b"end\n1234567")
        socket.socket.shutdown(socket.socket(fileno=os.dup(secure.fileno())), socket.SHUT_WR)
        expect(read_line(secure), "end 7 true\n")
        expect(secure.recv(1), b"")  # a close_notify, or this would fail
        secure.close()
        secure = client(address, certificate, version)
        secure.sendall(b"truncated\n")
        expect(read_line(secure), "truncated false\n")
        secure.close()


def pipelined(address, certificate):
    secure = client(address, certificate)
    secure.sendall(b"".join(b"echo %d\n" % i for i in range(20000)))
    expected = b"".join(b"%d\n" % i for i in range(20000))
    found = b""
    while len(found) < len(expected):
        data = secure.recv(65536)
        if not data:
            break
        found += data
    expect(found == expected, True)


def wait_client(address, certificate):
    """Bytes that OpenSSL holds count as readable; half a record, and none at all, do not."""
    for version in VERSIONS:
        secure = client(address, certificate, version)
        secure.sendall(b"wait-client 0.2\n")
        expect(read_line(secure), "wait 0\n")
        secure.sendall(b"wait-client 60\necho more\n")
        expect(read_line(secure) + read_line(secure), "wait 1\nmore\n")
        secure.close()
        memory, connection = Memory(certificate, version), connect(address)
        connection.sendall(memory.hello())
        memory.finish(connection)
        memory.tls.write(b"read 4\n")  # leaves nothing of its record
        memory.tls.write(b"1234")
        memory.tls.write(b"wait-client 0.3\n")
        memory.tls.write(b"echo behind\n")
        data = memory.outgoing.read()
        connection.sendall(data[:-5])  # the last record's end is missing
        expect(memory.read_lines(connection, 2), "read 4 1234\nwait 0\n")
        connection.sendall(data[-5:])
        expect(memory.read_lines(connection, 1), "behind\n")
        connection.close()


def bad_record(address, certificate):
    """A record that was changed ends that connection alone."""
    for version in VERSIONS:
        memory, connection = Memory(certificate, version), connect(address)
        connection.sendall(memory.hello())
        memory.finish(connection)
        memory.tls.write(b"echo hello\n")
        data = bytearray(memory.outgoing.read())
        data[-1] ^= 1
        connection.sendall(bytes(data))
        expect(b"hello" in read_to_end(connection), False)


def trickled_record(address, certificate):
    """A record that comes byte by byte is cut off: it must end within message_timeout."""
    for version in VERSIONS:
        memory, connection = Memory(certificate, version), connect(address)
        connection.sendall(memory.hello())
        memory.finish(connection)
        expect(memory.ask(connection, "echo at once\n"), "at once\n")
        memory.tls.write(b"echo " + 5000 * b"x" + b"\n")
        for byte in memory.outgoing.read():
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break  # as it should be
            time.sleep(0.02)
        else:
            raise SystemExit("all of the record was waited for")
        connection.close()


def behind_proxy(address, certificate):
    """A PROXY header and a ClientHello in one segment, and in any two."""
    header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(
        "!H4s4sHH", 12, socket.inet_aton("192.0.2.7"), socket.inet_aton("192.0.2.8"), 4711, 443)
    whole = len(header) + len(Memory(certificate).hello())
    for at in [whole] + list(range(1, whole, 23)):
        memory, connection = Memory(certificate), connect(address)
        data = header + memory.hello()
        connection.sendall(data[:at])
        if at < whole:
            time.sleep(0.001)
            connection.sendall(data[at:])
        memory.finish(connection)
        expect(memory.ask(connection, "client\n"), "client 192.0.2.7:4711\n")
        connection.close()


def stalled(address, certificate, count):
    """So many stalled handshakes hold up nobody, and end when their time is up."""
    hello = Memory(certificate).hello()
    idle = []
    for i in range(int(count)):
        connection = connect(address)
        connection.sendall(hello[: i % len(hello)])
        idle.append(connection)
    before = time.monotonic()
    for _ in range(3):
        good = client(address, certificate)
        good.sendall(b"echo through\n")
        expect(read_line(good), "through\n")
        good.close()
    print(f"served after {time.monotonic() - before:.3f} s")
    for connection in idle:
        read_to_end(connection)


def main():
    scenario, host, port, certificate, *arguments = sys.argv[1:]
    globals()[scenario]((host, int(port)), certificate, *arguments)


main()
