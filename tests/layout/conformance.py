#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares tests/CONFORMANCE.md with the names of the tests: each id of the list has a test or a
reason, and each id in a test's name is in the list.

    conformance.py [--report]     --report prints how many tests each id has

Exit status: 0 if all is well, 1 if there are violations.
"""
import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ROW = re.compile(r"\| ([CS]\d\d)(?:-([CS]\d\d))? \|.*\|([^|]*)\|$")
# A test is a function that cmocka calls. Its name begins with ids: c20_c22_, c01_to_c12_and_c73_.
TEST = re.compile(r"^((?:[cs]\d\d_(?:to_|and_)?)+)\w+\(void \*\*", re.MULTILINE)
IDS = re.compile(r"([cs]\d\d)(?:_to_([cs]\d\d))?")
CTEST = re.compile(r"`(\w+)\.([\w-]+)`")
# Where the file of a ctest lies that the list names.
PLACES = {"unit": "unit/test_{}.c", "integration": "integration/test_{}.c",
          "install": "install/{}.sh", "manuals": "manuals/{}.py"}


def span(first, last):
    """Every id from the one to the other: C01 and C03 give C01, C02, C03."""
    first, last = first.upper(), (last or first).upper()
    return [f"{first[0]}{number:02}" for number in range(int(first[1:]), int(last[1:]) + 1)]


def read_list(text):
    """{id: (line, what stands instead of a test)}, and complaints about the list itself."""
    rows, problems = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        row = ROW.match(line)
        if not row:
            continue
        for name in span(row[1], row[2]):
            if name in rows:
                problems.append((number, f"{name} a second time", "one row for each id"))
            rows[name] = number, row[3].strip()
    return rows, problems


def find_tests(folder):
    """{id: [(file, line, function)]} of all tests whose names begin with ids."""
    found = {}
    for path in sorted(folder.glob("*/test_*.c")):
        text = path.read_text(encoding="utf-8")
        for match in TEST.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            for ids in IDS.finditer(match[1]):
                for name in span(ids[1], ids[2]):
                    place = path.relative_to(folder), line, match[0].split("(")[0]
                    found.setdefault(name, []).append(place)
    return found


def check(folder):
    """Complaints, as text."""
    document = folder / "CONFORMANCE.md"
    rows, problems = read_list(document.read_text(encoding="utf-8"))
    tests = find_tests(folder)
    if not rows:
        problems.append((1, "no row", "a table of ids"))
    for name, (line, instead) in rows.items():
        if not instead and name not in tests:
            problems.append((line, f"{name} without a test", "a test of that name, or a reason"))
        if instead and name in tests:
            problems.append((line, f"{name} with a test and with \"{instead}\"", "one of the two"))
        for kind, test in CTEST.findall(instead):
            if kind not in PLACES or not (folder / PLACES[kind].format(test)).is_file():
                problems.append((line, f"{kind}.{test}", "a test that exists"))
    complaints = [f"{document}:{line}: found {found}; expected {expected}"
                  for line, found, expected in problems]
    for name in sorted(set(tests) - set(rows)):
        for file, line, function in tests[name]:
            complaints.append(f"{folder / file}:{line}: found {function}; expected {name} in "
                              f"{document.name}")
    return complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the project (this script's)")
    parser.add_argument("--report", action="store_true", help="how many tests each id has")
    options = parser.parse_args()
    folder = options.root / "tests"
    rows, _ = read_list((folder / "CONFORMANCE.md").read_text(encoding="utf-8"))
    tests = find_tests(folder)
    if options.report:
        for name, (_, instead) in rows.items():
            print(f"{name}: {len(tests.get(name, ()))}{f' ({instead})' if instead else ''}")
        return 0
    complaints = check(folder)
    for complaint in complaints:
        print(complaint.replace(f"{options.root}/", ""))
    print(f"{len(rows)} ids, {sum(name in tests for name in rows)} with tests, "
          f"{len(complaints)} violations")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
