#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rows of figures.py fit together, and what report.py says of a made-up run. Measures nothing."""
import copy
import importlib.util
import os
import sys
import unittest
from importlib.machinery import SourceFileLoader
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import figures
import report

HERE = Path(__file__).resolve().parent
_loader = SourceFileLoader("bench", str(HERE / "bench"))
bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", _loader))
_loader.exec_module(bench)


def result(figure, cpu, ratio, peers):
    return {"figure": vars(figure) | {"title": f"{figures.WORKS[figure.work][0]}, {figure.scheme}: "
                                               f"{figure.server}"},
            "cpu_us": cpu, "absent": {}, "limit": figure.limits[0], "ratio": ratio, "peers": peers,
            "rate": dict.fromkeys(cpu, 1000), "notes": [], "slices": {}}


def run_of(results, others=()):
    return {"machine": {"cpu": "Abacus", "cpus": 2, "kernel": "6.1", "date": "2026-01-02"},
            "rounds": 9, "seconds": 0.8, "how": "a cgroup", "minutes": 15.6,
            "figures": list(results), "others": list(others)}


def everything():
    """A run in which every figure is what was wanted, and no peer is as fast."""
    for figure in figures.FIGURES:
        names = (*figure.limits, figure.server, *figure.peers)
        yield result(figure, dict.fromkeys(names, 10.0), figure.ratio,
                     {peer: wanted or 1.5 for peer, wanted in figure.peers.items()})


class Figures(unittest.TestCase):
    def test_every_name_is_a_server_and_every_work_is_known(self):
        for figure in figures.FIGURES:
            self.assertIn(figure.work, figures.WORKS)
            for name in (*figure.limits, figure.server, *figure.peers):
                self.assertIn(name, figures.SERVERS)
        for name, idle in figures.IDLE.items():
            self.assertTrue(idle.most or idle.limit, name)
            for server in (name, *idle.peers, *filter(None, [idle.limit])):
                self.assertIn(server, figures.SERVERS)
        for name in (*figures.LATENCIES, *figures.LATENCIES.values(), *figures.PIPELINED,
                     *figures.START_SERVERS, *figures.PAIR_PEERS, figures.COROUTINE_FORWARD,
                     *(name for row in figures.WAKES for name in row[:2])):
            self.assertIn(name, figures.SERVERS)

    def test_whoever_speaks_tls_meets_its_equals(self):
        for figure in figures.FIGURES:
            servers = [figures.SERVERS[name] for name in (*figure.limits, figure.server, *figure.peers)]
            encrypted = figure.work.startswith("tls_")
            self.assertEqual({server.tls for server in servers}, {encrypted}, figure.server)
        for name, idle in figures.IDLE.items():
            others = {figures.SERVERS[other].tls for other in (*idle.peers, idle.limit or name)}
            self.assertEqual(others, {figures.SERVERS[name].tls}, name)

    def test_who_is_asked_for_something_serves_it(self):
        modes = {"down": "downloads", "get": "files", "dns": "dns", "redis-benchmark": "redis",
                 "chat": "chat"}
        for figure in figures.FIGURES:
            wanted = modes.get(figures.WORKS[figure.work][1].split()[0], "echo")
            for name in (*figure.limits, figure.server, *figure.peers):
                self.assertEqual(figures.SERVERS[name].serves, wanted, name)
        self.assertLessEqual({server.serves for server in figures.SERVERS.values()}, set(figures.QUESTIONS))

    def test_a_backend_is_a_plain_limit_server_that_serves_the_same(self):
        proxies = [server for server in figures.SERVERS.values() if server.backend]
        self.assertTrue(proxies)
        for server in proxies:
            self.assertTrue(server.backend.startswith("limit: "))
            self.assertFalse(figures.SERVERS[server.backend].tls)
            self.assertEqual(figures.SERVERS[server.backend].serves, server.serves)

    def test_a_row_of_forwarding_has_proxies_only(self):
        for figure in figures.FIGURES:
            names = (*figure.limits, figure.server, *figure.peers)
            if figure.work.startswith("forward_"):
                self.assertNotIn("", {figures.SERVERS[name].backend for name in names})

    def test_refusals_are_measured_of_servers_that_exist(self):
        for mixin in figures.ACCESS_MIXINS:
            for how in ("deny", *figures.REFUSALS):
                self.assertIn(f"sockserverd {mixin}, {how}", figures.SERVERS)

    def test_another_build_is_the_only_peer_of_every_figure(self):
        kept, servers = copy.deepcopy(figures.FIGURES), dict(figures.SERVERS)
        try:
            figures.compare_with(Path("/elsewhere/build"))
            for figure in figures.FIGURES:
                (other,) = figure.peers
                self.assertEqual(figures.SERVERS[other].build, "/elsewhere/build")
                self.assertEqual(figures.SERVERS[other].mixin, figures.SERVERS[figure.server].mixin)
                self.assertEqual(figures.SERVERS[figure.server].build, "")
        finally:
            figures.FIGURES[:] = kept
            figures.SERVERS.clear()
            figures.SERVERS.update(servers)

    def test_every_starter_is_there(self):
        for name, server in figures.SERVERS.items():
            program = server.command.split(" ")[0]
            if program.startswith("peers/"):
                self.assertTrue(os.access(HERE / program, os.X_OK), f"{name}: {program}")
            else:
                self.assertTrue(program.startswith("{build}/") or program == "env" or server.mixin, name)


def slices(cpu_us, **more):
    return [{"cpu_us": cpu_us, "client_cpu": 0.5, "errors": 0, "lost": 0, "last_error": "",
             "done": 100, "rate": 10.0, "other_cpus": 0} | more] * 3


class Judgement(unittest.TestCase):
    def setUp(self):
        self.figure = next(f for f in figures.FIGURES if f.work == "tls_resume" and
                           f.server == figures.TLS_COROUTINE)

    def judge(self, made, absent=()):
        return bench.judge(self.figure, made, dict(absent))

    def test_ratios_are_to_the_limit_server_and_to_each_peer(self):
        made = self.judge({"limit: epoll, TLS": slices(9.0, resumed=100), self.figure.server:
                           slices(10.0, resumed=100), "HAProxy": slices(15.0, resumed=100)})
        self.assertEqual((made["ratio"], made["peers"]), (0.9, {"HAProxy": 1.5}))
        self.assertEqual(made["notes"], ["HAProxy: a proxy's own CPU time, without that of the server "
                                         "behind it"])

    def test_who_does_not_start_is_skipped_by_name_and_the_others_are_compared(self):
        made = self.judge({"limit: epoll, TLS": slices(10.0), "HAProxy": slices(20.0)},
                          {self.figure.server: 'unknown key "tls"'})
        self.assertEqual((made["skipped"], made["limit"]), ('unknown key "tls"', "limit: epoll, TLS"))
        self.assertEqual(made["peers"], {"HAProxy": 2.0})

    def test_without_a_limit_server_there_is_nothing_to_tell(self):
        made = self.judge({}, {self.figure.server: "libssl-dev is not here"})
        self.assertEqual(made["skipped"], "libssl-dev is not here")
        self.assertEqual(len(report.figure_lines(made)), 3)

    def test_sessions_that_were_not_resumed_are_told(self):
        made = self.judge({"limit: epoll, TLS": slices(9.0, resumed=97), self.figure.server:
                           slices(10.0, resumed=98)})
        self.assertEqual(made["notes"],
                         ["limit: epoll, TLS: only 291 of 300 connections were resumed"])


class Report(unittest.TestCase):
    def test_each_figure_goes_into_the_summary(self):
        text = report.summary(run_of(everything()))
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        ratios = sum(len(row.split("|")[3].split("/")) for row in rows[1:])
        self.assertEqual(ratios, len(figures.FIGURES))
        self.assertLessEqual(len(rows), 48)
        self.assertNotIn("_", text)

    def test_summary_names_the_machine_and_how_long_it_took(self):
        first = report.summary(run_of([])).splitlines()[0]
        for words in ("2 CPUs of Abacus", "Linux 6.1", "2026-01-02", "9 slices of 0.8 s", "16 minutes"):
            self.assertIn(words, first)

    def test_summary_takes_the_best_peer_and_marks_what_is_less_than_wanted(self):
        figure = next(f for f in figures.FIGURES if f.server == "sockserverd forking")
        made = result(figure, {figure.server: 2.0, figure.limits[0]: 1.0, "socat": 8.0,
                               "xinetd": 6.0}, 0.5, {"socat": 4.0, "xinetd": 3.0})
        self.assertIn("| TCP: connect, echo, close | forking | _0.50_ | 3.00 × xinetd |",
                      report.summary(run_of([made])))

    def test_a_line_of_the_summary_names_what_was_measured(self):
        both = report.summary(run_of(everything()))
        self.assertIn("| TCP, echo on connections: 64 / 1,000 | threading | 0.95 / 0.95 |", both)
        self.assertIn("| UDP, datagrams in flight: 32 | threading | 0.60 |", both)

    def test_summary_leaves_out_what_was_skipped_and_what_was_not_measured(self):
        skipped = {"figure": vars(figures.FIGURES[0]) | {"title": "t"}, "cpu_us": {}, "absent": {},
                   "skipped": "not installed"}
        text = report.summary(run_of([skipped], [
            ("memory", [("sockserverd forking", 42.66, 40, "KiB", ""), ("a", None, 8, "ms", "why"),
                        ("times less than socat", 1.5, 1, "x", ""), ("Go", 2.0, None, "ms", "")])]))
        self.assertTrue(text.endswith("|---|---|---|---|\n\n- memory: forking 42.7 KiB\n"), text)

    def test_missed_figures_are_counted_and_peers_for_comparison_are_not(self):
        figure = figures.Figure("connect", "tcp", "s", ("limit",), 0.95, {"a": None, "b": 2})
        made = result(figure, {"s": 2.0, "limit": 1.0, "a": 1.0, "b": 3.0}, 0.5, {"a": 0.5, "b": 1.5})
        run = run_of([made], [("t", [("x", 5, 4, "ms", ""), ("y", 5, None, "ms", "")])])
        self.assertTrue(report.table(run).endswith("\n3 figures missed\n"))
        self.assertIn("a 0.50, b **1.50** missed |", report.markdown(run))

    def test_without_sockserverd_the_others_are_told_all_the_same(self):
        figure = next(f for f in figures.FIGURES if f.work == "tls_echo64")
        made = result(figure, {figure.limits[0]: 2.0, "HAProxy": 5.0}, None, {"HAProxy": 2.5})
        made |= {"skipped": 'unknown key "tls"', "absent": {"stunnel": "stunnel4 is not here"}}
        text = report.table(run_of([made]))
        self.assertIn('skipped: unknown key "tls"', text)
        self.assertRegex(text, r"limit: epoll, TLS times HAProxy \(5.0 us\) +2.50  for comparison")
        self.assertRegex(text, r"times stunnel +-  stunnel4 is not here")
        self.assertTrue(text.endswith("no figure was missed\n"))
        self.assertEqual(report.chart(run_of([made])).count("<rect"), 1)
        self.assertEqual(report.markdown(run_of([made])).count("\n"), 2)

    def test_a_whole_run_can_be_drawn(self):
        self.assertEqual(report.chart(run_of(everything())).count("<rect"), 1 + sum(
            len(f.limits) + 1 + len(f.peers) for f in figures.FIGURES))


unittest.main()
