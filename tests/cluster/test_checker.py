#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether history.py finds what it looks for, and lets pass what may be; and whether the load, asking
servers that misbehave, writes down what they did."""
import contextlib
import io
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

from history import (Incomplete, Kill, Request, Step, judge, read_history, rows, wait_of,
                     write_request)

LOAD = Path(__file__).resolve().parent / "load.py"
NODES, BUILDS = {"one", "two"}, {"a", "b"}


def request(number=1, kind="tcp", due=10.0, ended=10.1, service=0.0, client="203.0.113.10:4000",
            result="answered", tries=1, answer=None):
    if answer is None:
        answer = f"{number} {client} one a" if result == "answered" else ""
    return Request(number, kind, due, ended, service, client, result, tries, answer)


def steps(kills=(), builds=(), reloads=()):
    return [Step("first", 0.0, 10.05, [], [], []),
            Step("second", 10.05, 20.0, list(kills), list(builds), list(reloads))]


class Checker(unittest.TestCase):
    def findings(self, *requests, given=None, **what):
        given = len(requests) if given is None else given
        return [text for _, _, text in judge(requests, given, steps(**what), NODES, BUILDS)]

    def good(self, *requests, **what):
        self.assertEqual(self.findings(*requests, **what), [])

    def bad(self, text, *requests, **what):
        found = self.findings(*requests, **what)
        self.assertEqual(len(found), 1, found)
        self.assertIn(text, found[0])

    def test_an_answer_is_good(self):
        self.good(request())
        self.good(request(1), request(2))
        self.good(request(kind="udp", client="203.0.113.10", answer="1 203.0.113.10:53 two b"))

    def test_a_request_without_an_outcome_is_found(self):
        self.bad("request 2 is in the history 0 times", request(1), given=2)

    def test_a_request_with_two_outcomes_is_found(self):
        self.bad("request 1 is in the history 2 times", request(1), request(1), given=1)

    def test_a_number_that_nobody_gave_is_found(self):
        self.bad("request 7 was never given out", request(1), request(7), given=1)

    def test_a_loss_is_found(self):
        for result in ("refused", "reset", "ended", "late", "unreachable", "cut", "surplus"):
            self.bad(result, request(result=result))

    def test_a_doubled_answer_is_found(self):
        self.bad("wrong", request(answer="1 203.0.113.10:4000 one a\\n1 203.0.113.10:4000 one a"))

    def test_an_answer_to_somebody_else_is_found(self):
        self.bad("the answer of request 2", request(answer="2 203.0.113.10:4000 one a"))

    def test_another_address_is_found(self):
        self.bad("the handler saw 192.0.2.10:4000", request(answer="1 192.0.2.10:4000 one a"))
        self.bad("the handler saw 203.0.113.10:1", request(answer="1 203.0.113.10:1 one a"))
        self.bad("the handler saw 192.0.2.10",
                 request(kind="udp", client="203.0.113.10", answer="1 192.0.2.10:53 one a"))

    def test_an_unknown_node_or_build_is_found(self):
        self.bad("answered by ten", request(answer="1 203.0.113.10:4000 ten a"))
        self.bad("build z", request(answer="1 203.0.113.10:4000 one z"))

    def test_the_old_plugin_after_its_change_is_found(self):
        self.bad("build a after the change to b", request(due=12.0), builds=[(11.0, "one", "b")])
        self.good(request(due=10.9), builds=[(11.0, "one", "b")])
        self.good(request(due=12.0), builds=[(11.0, "two", "b")])
        self.good(request(due=12.0, kind="kept"), builds=[(11.0, "one", "b")])

    def test_a_datagram_that_was_not_answered_is_found(self):
        udp = {"kind": "udp", "client": "203.0.113.10", "answer": "1 203.0.113.10:53 one a"}
        self.bad("it was sent 2 times", request(tries=2, **udp))
        self.good(request(tries=2, **udp), kills=[Kill("two", 10.05, 10.1)])
        self.good(request(tries=2, due=12.0, ended=13.5, **udp), kills=[Kill("two", 10.05, 10.1)])
        self.bad("it was sent 2 times", request(tries=2, due=9.0, ended=10.0, **udp),
                 kills=[Kill("two", 10.05, 10.1)])
        self.good(request(tries=2, **udp), reloads=[(10.05, 10.5)])
        self.bad("it was sent 2 times", request(tries=2, due=10.6, ended=12.0, **udp),
                 reloads=[(10.05, 10.5)])
        self.bad("late", request(kind="udp", result="late"), reloads=[(10.05, 10.5)])
        self.good(request(kind="kept", tries=2))  # it was told "bye"

    def test_a_kill_explains_what_ran(self):
        kill = Kill("two", 10.05, 10.1)
        self.good(request(result="reset"), kills=[kill])
        self.bad("reset", request(result="reset", due=10.2, ended=10.3), kills=[kill])
        self.bad("reset", request(result="reset", due=9.0, ended=10.0), kills=[kill])

    def test_a_kill_explains_neither_lateness_nor_a_wrong_answer(self):
        kill = Kill("two", 10.05, 10.1)
        self.bad("late", request(result="late"), kills=[kill])
        self.bad("wrong", request(answer="2 203.0.113.10:4000 one a"), kills=[kill])

    def test_a_connection_that_stays_may_notice_the_kill_later(self):
        kill = Kill("two", 10.05, 10.1)
        self.good(request(kind="kept", result="cut", due=15.0, ended=15.0), kills=[kill])
        self.bad("cut", request(kind="kept", result="cut", due=9.0, ended=9.0), kills=[kill])

    def test_waits_are_told_step_by_step(self):
        requests = [request(1, ended=10.02), request(2, due=11.0, ended=11.75, service=0.25),
                    request(3, due=12.0, ended=13.0, result="reset")]
        found = judge(requests, 3, steps(), NODES, BUILDS)
        first, second = rows(requests, found, steps())
        self.assertEqual(first[:5], ("first", 1, 0, 0, 0))
        self.assertEqual(second[:5], ("second", 2, 1, 0, 0))
        self.assertAlmostEqual(second[6], 0.5)
        self.assertEqual(second[7], "tcp")
        self.assertAlmostEqual(wait_of(requests[1]), 0.5)


class History(unittest.TestCase):
    def test_what_is_written_is_read(self):
        file = io.StringIO()
        write_request(request(), file)
        file.write("given\t1\n")
        self.assertEqual(read_history(file.getvalue().splitlines()), ([request()], 1))

    def test_an_unfinished_history_is_no_history(self):
        file = io.StringIO()
        write_request(request(), file)
        self.assertRaises(Incomplete, read_history, file.getvalue().splitlines())


class Server:
    """Answers each line on 127.0.0.1 by what a function makes of it, and closes if that is None."""

    def __init__(self, answer):
        self.answer, self.socket = answer, socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, address = self.socket.accept()
                threading.Thread(target=self._serve, args=(client, address), daemon=True).start()

    def _serve(self, client, address):
        with client, contextlib.suppress(OSError), client.makefile("rb") as lines:
            for line in lines:
                word, number, _ = line.decode().split()
                answer = self.answer(number, "%s:%d" % address)
                if answer is None:
                    return
                client.sendall(answer.encode())
                if word == "last":
                    return

    def place(self):
        return "%s:%d" % self.socket.getsockname()


class Load(unittest.TestCase):
    def play(self, answer, count=60):
        """What judge() finds in the history of a load on such a server."""
        server = Server(answer)
        with tempfile.NamedTemporaryFile(mode="r") as file:
            load = subprocess.Popen(
                [sys.executable, LOAD, "--history", file.name, "--rate", "300", "--tcp",
                 server.place(), "--from", "127.0.0.1"], stdout=subprocess.PIPE, text=True)
            self.addCleanup(load.stdout.close)
            self.assertEqual(load.stdout.readline(), "asking\n")
            while self.answered < count:
                threading.Event().wait(0.01)
            load.terminate()
            self.assertEqual(load.wait(60), 0)
            requests, given = read_history(file)
        self.assertGreaterEqual(given, count)
        step = Step("all", 0.0, float("inf"), [], [], [])
        return [text for _, _, text in judge(requests, given, [step], NODES, BUILDS)]

    def setUp(self):
        self.answered = 0

    def well(self, number, client):
        self.answered += 1
        return f"{number} {client} one a\n"

    def test_a_good_server_is_found_good(self):
        self.assertEqual(self.play(self.well), [])

    def test_a_server_that_hangs_up_is_found(self):
        found = self.play(lambda number, client: self.well(number, client)
                          if number != "20" else None)
        self.assertEqual(len(found), 1, found)
        self.assertIn("ended", found[0])

    def test_a_server_that_says_bye_is_asked_again(self):
        refused = set()

        def answer(number, client):
            if int(number) % 10 == 0 and number not in refused:
                refused.add(number)
                return "bye\n"
            return self.well(number, client)
        self.assertEqual(self.play(answer), [])
        self.assertGreater(len(refused), 1)

    def test_a_doubled_answer_is_found(self):
        found = self.play(lambda number, client: self.well(number, client) *
                          (2 if int(number) % 10 == 0 else 1))
        self.assertGreaterEqual(len(found), 1, found)

    def test_a_wrong_address_is_found(self):
        found = self.play(lambda number, client: self.well(
            number, client if number != "20" else "127.0.0.2:1"))
        self.assertEqual(len(found), 1, found)
        self.assertIn("the handler saw 127.0.0.2:1", found[0])


if __name__ == "__main__":
    unittest.main()
