#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""conformance.py finds each kind of gap between a made-up list and made-up tests."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import conformance

LIST = """# Conformance
| id | behaviour | | instead |
|---|---|---|---|
| C01-C03 | serves | = | |
| C04 | fails | = | |
| C05 | names | = | tested by `install.exports` |
| C06 | both | ≠ | not applicable: it cannot be |
| S01 | talks | talks | |
"""

TESTS = """static void
c01_to_c02_and_c04_serves(void **state)
{
    c09_is_called_here(state);
}

static void
c03_s01_talks(void **state)
{
}
"""


class MadeUp(unittest.TestCase):
    def complaints(self, text=LIST, tests=TESTS):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for path, content in (("CONFORMANCE.md", text), ("unit/test_all.c", tests),
                                  ("install/exports.sh", "")):
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_text(content)
            return [line.replace(f"{folder}/", "") for line in conformance.check(folder)]

    def test_all_is_well(self):
        self.assertEqual(self.complaints(), [])

    def test_an_id_without_a_test(self):
        self.assertEqual(self.complaints(tests=TESTS.replace("c03_s01", "s01")),
                         ["CONFORMANCE.md:4: found C03 without a test; expected a test of that "
                          "name, or a reason"])

    def test_a_span_ends_where_it_says(self):
        said = self.complaints(tests=TESTS.replace("c01_to_c02", "c01"))
        self.assertEqual([line.split(";")[0] for line in said],
                         ["CONFORMANCE.md:4: found C02 without a test"])

    def test_an_id_that_is_not_in_the_list(self):
        self.assertEqual(self.complaints(tests=TESTS.replace("and_c04", "and_c04_c09")),
                         ["unit/test_all.c:2: found c01_to_c02_and_c04_c09_serves; expected C09 in "
                          "CONFORMANCE.md"])

    def test_a_named_test_that_does_not_exist(self):
        for before, after in (("install.exports", "install.export"), ("install.", "instal.")):
            said = self.complaints(LIST.replace(before, after))
            self.assertEqual(len(said), 1, said)
            self.assertIn("CONFORMANCE.md:6: found ", said[0])

    def test_a_reason_beside_a_test(self):
        said = self.complaints(tests=TESTS.replace("c03_", "c03_c06_"))
        self.assertEqual(said, ['CONFORMANCE.md:7: found C06 with a test and with "not applicable: '
                                'it cannot be"; expected one of the two'])

    def test_an_id_twice(self):
        said = self.complaints(LIST + "| C02 | again | = | |\n")
        self.assertEqual(said, ["CONFORMANCE.md:9: found C02 a second time; expected one row for "
                                "each id"])

    def test_an_empty_list(self):
        self.assertIn("CONFORMANCE.md:1: found no row; expected a table of ids",
                      self.complaints("nothing\n"))


if __name__ == "__main__":
    unittest.main()
