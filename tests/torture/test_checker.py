#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether checker.py finds what it looks for, and lets pass what may be."""
import unittest

from checker import Gap, Kill, judge
from clients import Request


def request(result, served_by=(7,), began=10.0, ended=11.0, connected=10.1, listener="one"):
    return Request(listener, 0, 0, began, connected, ended, served_by, result, "")


KILL = Kill("one", 7, 10.5, 10.6)


class Checker(unittest.TestCase):
    def good(self, *arguments, kills=(), gaps=()):
        self.assertEqual(judge([request(*arguments[:1], **arguments[1])], kills, gaps), [])

    def bad(self, *arguments, kills=(), gaps=()):
        self.assertEqual(len(judge([request(*arguments[:1], **arguments[1])], kills, gaps)), 1)

    def test_an_answer_is_good(self):
        self.good("answered", {})
        self.good("unknown", {})

    def test_nothing_explains_a_wrong_answer(self):
        self.bad("wrong", {}, kills=[KILL], gaps=[Gap(None, 0, 100)])

    def test_a_loss_needs_a_kill(self):
        for result in ("lost", "late", "refused"):
            self.bad(result, {})

    def test_a_loss_is_its_own_workers(self):
        self.good("lost", {}, kills=[KILL])
        self.bad("lost", {"served_by": (8,)}, kills=[KILL])
        self.bad("lost", {"listener": "two"}, kills=[KILL])

    def test_a_loss_is_at_the_time_of_the_kill(self):
        self.bad("lost", {"began": 12.0, "ended": 13.0}, kills=[KILL])
        self.bad("lost", {"began": 1.0, "ended": 10.4}, kills=[KILL])

    def test_a_kill_may_be_the_reason_where_the_worker_is_not_known(self):
        self.good("lost", {"served_by": ()}, kills=[KILL])

    def test_a_kill_refuses_nobody(self):
        self.bad("refused", {"served_by": (), "connected": None}, kills=[KILL])

    def test_a_stop_refuses(self):
        stop = Gap("one", 10.2, 12)
        self.good("refused", {"served_by": (), "connected": None}, gaps=[stop])
        self.bad("refused", {"served_by": (), "connected": None, "listener": "two"}, gaps=[stop])
        self.good("refused", {"served_by": (), "connected": None, "listener": "two"},
                  gaps=[Gap(None, 10, 12)])

    def test_a_stop_answers_who_is_queued(self):
        self.bad("lost", {"served_by": ()}, gaps=[Gap("one", 10.2, 12)])
        self.good("lost", {"served_by": ()}, gaps=[Gap("one", 10.05, 12)])
        self.good("late", {"served_by": (), "connected": None}, gaps=[Gap("one", 10.2, 12)])

    def test_a_stop_finishes_what_runs(self):
        self.bad("lost", {}, gaps=[Gap("one", 10.2, 12)])


if __name__ == "__main__":
    unittest.main()
