#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""promises.py finds each kind of gap between a made-up table and made-up tests."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import promises

TABLE = """# Reliability

| not | this | `integration.nothing` | table |

<!-- promises -->
| promise | figure | shown by | others |
|---|---|---|---|
| serves | 5 | `integration.serve` `serves_all` | – |
| reads | 6 | `fuzz.lines`, `torture.short` | – |
| ends | 7 | `integration.serve` `ends_soon`, `layout.rooms` | – |
<!-- end of promises -->
"""

TESTS = """static void
serves_all(void **state)
{
    ends_late(state);
}

static void
ends_soon(void **state)
{
}
"""

CTESTS = """python_test(layout.rooms layout/layout.py)
  add_test(NAME torture.short COMMAND torture)
"""


class MadeUp(unittest.TestCase):
    def complaints(self, table=TABLE, tests=TESTS):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            for path, content in (("docs/reliability.md", table), ("tests/CMakeLists.txt", CTESTS),
                                  ("tests/integration/test_serve.c", tests),
                                  ("tests/fuzz/fuzz_lines.c", "")):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(content)
            return [line.replace(f"{root}/", "") for line in promises.check(root)[0]]

    def test_all_is_well(self):
        self.assertEqual(self.complaints(), [])

    def test_a_test_that_is_gone(self):
        self.assertEqual(self.complaints(tests=TESTS.replace("ends_soon", "ends")),
                         ["docs/reliability.md:10: found ends_soon; expected a test in "
                          "tests/integration/test_serve.c"])

    def test_a_call_is_no_test(self):
        self.assertEqual(len(self.complaints(TABLE.replace("serves_all", "ends_late"))), 1)

    def test_a_ctest_that_is_gone(self):
        for name in ("fuzz.lines", "torture.short", "layout.rooms"):
            self.assertEqual(len(self.complaints(TABLE.replace(name, name + "r"))), 1, name)

    def test_a_promise_without_a_test(self):
        self.assertEqual(self.complaints(TABLE.replace("`fuzz.lines`, `torture.short`", "nothing")),
                         ["docs/reliability.md:9: found \"reads\" without a test; expected at "
                          "least one"])

    def test_a_test_without_its_ctest(self):
        self.assertEqual(len(self.complaints(TABLE.replace("`integration.serve` `serves",
                                                           "`serves"))), 1)

    def test_a_row_of_another_shape(self):
        self.assertEqual(len(self.complaints(TABLE.replace("| 5 |", "|"))), 1)

    def test_no_table(self):
        self.assertEqual(len(self.complaints(TABLE.replace("<!-- promises -->", ""))), 1)


if __name__ == "__main__":
    unittest.main()
