#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the table of promises in docs/reliability.md with the tests: each row names at least one,
and each that is named exists.

    promises.py

In the column of tests, `KIND.NAME` is a ctest; the names behind it are tests in its file. Exit
status: 0 if all is well, 1 if there are violations.
"""
import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BEGIN, END = "<!-- promises -->", "<!-- end of promises -->"
COLUMNS = 4  # promise, figure, tests, others
SHOWN_BY = 2
CODE = re.compile(r"`([^`]+)`")
CTEST = re.compile(r"[a-z]+\.[a-z_]+")
# Where the file of a ctest lies. A name without a file is looked for in the list of ctests.
PLACES = {"unit": "unit/test_{}.c", "integration": "integration/test_{}.c",
          "fuzz": "fuzz/fuzz_{}.c", "install": "install/{}.sh", "manuals": "manuals/{}.sh",
          "systemd": "systemd/{}.sh"}
FUNCTION = "^{}\\(void \\*\\*"


def read_rows(text):
    """[(line, cells)] of the tables between the two marks; the heads of the tables are left out."""
    rows, inside = [], False
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if line in (BEGIN, END):
            inside = line == BEGIN
            continue
        below = lines[number] if number < len(lines) else ""
        is_head = below.startswith("|---")
        if inside and line.startswith("|") and not line.startswith("|---") and not is_head:
            rows.append((number, [cell.strip() for cell in line.strip("|").split("|")]))
    return rows


def ctest_file(folder, name, ctests):
    """The file of a ctest; None if there is no such ctest, "" if it has no file of its own."""
    kind, _, rest = name.partition(".")
    if kind in PLACES:
        path = folder / PLACES[kind].format(rest)
        return path if path.is_file() else None
    return "" if f"NAME {name} " in ctests or f"python_test({name} " in ctests else None


def check_row(folder, ctests, cells):
    """What is wrong with a row: pairs of what was found and what was expected."""
    if len(cells) != COLUMNS:
        yield f"{len(cells)} columns", f"{COLUMNS}"
        return
    names = CODE.findall(cells[SHOWN_BY])
    if not names:
        yield f"\"{cells[0]}\" without a test", "at least one"
    path = None
    for name in names:
        if CTEST.fullmatch(name):
            path = ctest_file(folder, name, ctests)
            if path is None:
                yield name, "a ctest that exists"
        elif not path:
            yield name, "a ctest with a file before it"
        elif not re.search(FUNCTION.format(re.escape(name)), path.read_text(encoding="utf-8"),
                           re.MULTILINE):
            yield name, f"a test in tests/{path.relative_to(folder)}"


def check(root):
    """Complaints, as text; and the rows."""
    document, folder = root / "docs" / "reliability.md", root / "tests"
    rows = read_rows(document.read_text(encoding="utf-8"))
    ctests = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    complaints = [] if rows else [f"{document}:1: found no row; expected a table of promises "
                                  f"between {BEGIN} and {END}"]
    for line, cells in rows:
        complaints += [f"{document}:{line}: found {found}; expected {expected}"
                       for found, expected in check_row(folder, ctests, cells)]
    return complaints, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the project (this script's)")
    options = parser.parse_args()
    complaints, rows = check(options.root)
    for complaint in complaints:
        print(complaint.replace(f"{options.root}/", ""))
    tests = {name for _, cells in rows for name in CODE.findall(cells[min(SHOWN_BY, len(cells) - 1)])}
    print(f"{len(rows)} promises, {len(tests)} tests, {len(complaints)} violations")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
