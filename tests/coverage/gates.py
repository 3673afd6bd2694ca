#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what the suite has run with what it must run.

Reads gcovr's JSON, leaves out the lines of tests/coverage/excluded, and prints the share of lines
and of branches for each group of files. The exit status is 1 if a group is below its gate, or if a
line that is excluded does not exist.
"""
import fnmatch
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# What a mistake in costs everybody: what reads foreign bytes, and what holds the daemon together.
TRUSTED = ("daemon/supervisor/*", "daemon/config/*", "daemon/worker/privileges.c",
           "daemon/worker/sandbox.c", "daemon/common/address*.c", "daemon/common/brief.c",
           "daemon/common/records.c", "daemon/common/settings*.c", "daemon/common/value.c",
           "daemon/common/varlink.c")

# Name, files, and the least percentage of lines and of branches. These figures only go up.
GROUPS = (("the whole daemon", ("daemon/*",), 95, 87),
          ("supervisor, privileges, parsers", TRUSTED, 97, 90),
          ("of these: privileges", ("daemon/worker/privileges.c", "daemon/worker/sandbox.c"), 99, 94),
          ("of these: adoption and upgrade", ("daemon/supervisor/socket/adopt*.c",
                                              "daemon/supervisor/socket/store.c",
                                              "daemon/supervisor/socket/socket_passed.c",
                                              "daemon/supervisor/change/upgrade*.c",
                                              "daemon/supervisor/listener/listener_upgrade.c"),
           93, 85),
          ("of these: configuration", ("daemon/config/*",), 97, 93),
          ("of these: control socket", ("daemon/supervisor/control/*", "daemon/common/varlink.c"),
           96, 85))


def read_excluded():
    """{file: {text: reason}}"""
    excluded = {}
    for number, line in enumerate((HERE / "excluded").read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        place, separator, reason = line.partition(" # ")
        file, colon, text = place.partition(": ")
        if not separator or not colon or not reason.strip():
            sys.exit(f"tests/coverage/excluded:{number}: expected FILE: TEXT # REASON")
        excluded.setdefault(file, {})[text.strip()] = reason
    return excluded


class Figures:
    def __init__(self):
        self.lines = self.lines_run = self.branches = self.branches_run = 0

    def add(self, line):
        self.lines += 1
        self.lines_run += line["count"] > 0
        for branch in line["branches"]:
            self.branches += 1
            self.branches_run += branch["count"] > 0

    def join(self, other):
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def shares(self):
        return (100 * self.lines_run / max(1, self.lines),
                100 * self.branches_run / max(1, self.branches))


def count_file(entry, excluded, used):
    texts = (ROOT / entry["file"]).read_text().splitlines()
    figures, missed = Figures(), []
    for line in entry["lines"]:
        text = texts[line["line_number"] - 1].strip()
        if line.get("gcovr/noncode"):
            continue
        if text in excluded.get(entry["file"], {}):
            used.add((entry["file"], text))
            continue
        figures.add(line)
        if line["count"] == 0:
            missed.append((line["line_number"], text))
    return figures, missed


def main():
    report = json.loads(Path(sys.argv[1]).read_text())
    verbose = "--missed" in sys.argv[2:]
    excluded, used, files = read_excluded(), set(), {}
    for entry in report["files"]:
        files[entry["file"]] = count_file(entry, excluded, used)

    failed = False
    for name, patterns, least_lines, least_branches in GROUPS:
        group = Figures()
        members = [file for file in sorted(files)
                   if any(fnmatch.fnmatch(file, pattern) for pattern in patterns)]
        for file in members:
            group.join(files[file][0])
        lines, branches = group.shares()
        bad = lines < least_lines or branches < least_branches
        failed |= bad
        print(f"{name}: lines {lines:.1f} % (at least {least_lines}), "
              f"branches {branches:.1f} % (at least {least_branches})"
              f"{'  TOO FEW' if bad else ''}")
        if not bad and not verbose:
            continue
        for file in sorted(members, key=lambda one: files[one][0].lines_run - files[one][0].lines):
            figures, missed = files[file]
            if figures.lines_run == figures.lines and figures.branches_run == figures.branches:
                continue
            print(f"  {file}: {figures.lines - figures.lines_run} lines and "
                  f"{figures.branches - figures.branches_run} branches were not run")
            for number, text in missed if verbose else ():
                print(f"    {number}: {text}")
    for file, texts in excluded.items():
        for text in texts:
            if (file, text) not in used:
                print(f"tests/coverage/excluded: {file} has no line that reads: {text}")
                failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
