#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""layout.py finds each kind of violation in a made-up tree, and nothing in one that is well."""
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import layout

ROOMS = """# the order
common < config < supervisor/socket < [supervisor/roster], [supervisor/log] < [supervisor/supervisor]
common < worker/coroutine < worker/request < [main]
[supervisor/supervisor] < [main]
never worker includes supervisor, config
never supervisor includes worker
never worker/coroutine includes worker/request
"""

GOOD = {
    "daemon/common/log.h": "",
    "daemon/common/log.c": '#include "common/log.h"\n#include <errno.h>\n',
    "daemon/config/config.h": '#include "common/log.h"\n',
    "daemon/supervisor/socket/socket.h": '#include "config/config.h"\n',
    "daemon/supervisor/socket/socket_private.h": '#include "supervisor/socket/socket.h"\n',
    "daemon/supervisor/socket/open.c": '#include "supervisor/socket/socket_private.h"\n',
    "daemon/supervisor/roster.h": '#include "supervisor/socket/socket.h"\n',
    "daemon/supervisor/roster.c": '#include "supervisor/roster.h"\n',
    "daemon/supervisor/log.c": '#include "common/log.h"\n',
    "daemon/supervisor/supervisor.h": '#include "supervisor/roster.h"\n',
    "daemon/supervisor/supervisor_private.h": '#include "supervisor/supervisor.h"\n',
    "daemon/supervisor/supervisor.c": '\n#include "supervisor/supervisor_private.h"\n',
    "daemon/worker/coroutine/loop.h": '#include "common/log.h"\n',
    "daemon/worker/request/request.h": '#include "worker/coroutine/loop.h"\n',
    "daemon/main.c": '#include "supervisor/supervisor.h"\n#include "worker/request/request.h"\n',
    "docs/architecture.md": """# Architecture
`supervisor/` and `worker/` are processes; see `docs/architecture.md`.

| room | what it is for | it may include |
|---|---|---|
| `common/` | all | nothing |
| `config/` | the file | `common/` |
| `supervisor/socket/` | sockets | `config/` |
| `supervisor/roster.c` | who is there | `supervisor/socket/` |
| `supervisor/log.c` | lines | `supervisor/socket/` |
| `supervisor/supervisor.c` | the loop | `supervisor/roster.c`, `supervisor/log.c` |
| `worker/coroutine/` | loops | `common/` |
| `worker/request/` | requests | `worker/coroutine/` |
| `main.c` | roles | `worker/request/`, `supervisor/supervisor.c` |

## The way of a request

1. `main.c` begins,
   and so does `common/log.c`.
2. `worker/request/request.h` goes on.
3. `worker/coroutine/loop.h` ends.

## The way of a setting

1. `config/config.h` reads.
2. `common/log.c` tells.
3. `main.c` takes.

## The way of a reload

1. `config/config.h` reads.
2. `supervisor/roster.c` knows.
3. `supervisor/supervisor.c` turns.
""",
}


class MadeUp(unittest.TestCase):
    """A tree in a folder of its own."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)

    def complaints(self, changes, rooms=ROOMS):
        """What is said of the good tree with these files instead (None: without)."""
        for name, text in {**GOOD, **changes}.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_text(text)
        order = layout.Rooms(rooms)
        tree = layout.Tree(self.root / "daemon")
        problems = [*layout.check_layout(tree, order)]
        document = self.root / "docs/architecture.md"
        problems += layout.check_document(layout.Document(document), tree, order, self.root)
        return [str(problem).replace(f"{self.root}/", "") for problem in problems]

    def assert_only(self, complaints, *parts):
        """There is one complaint, and it has these parts."""
        self.assertEqual(len(complaints), 1, "\n".join(complaints))
        for part in parts:
            self.assertIn(part, complaints[0])

    def document_with(self, before, after):
        text = GOOD["docs/architecture.md"]
        self.assertIn(before, text)
        return {"docs/architecture.md": text.replace(before, after)}


class Includes(MadeUp):
    def test_a_tree_that_keeps_to_the_order_is_well(self):
        self.assertEqual(self.complaints({}), [])

    def test_upwards(self):
        said = self.complaints({"daemon/common/log.c": '#include "common/log.h"\n'
                                                       '#include "config/config.h"\n'})
        self.assertIn("daemon/common/log.c:2: found config/config.h of config, which stands above "
                      "common; expected one of no other room", said)

    def test_sideways(self):
        self.assert_only(
            self.complaints({"daemon/supervisor/log.c": '#include "supervisor/roster.h"\n'}),
            "daemon/supervisor/log.c:1: found supervisor/roster.h of [supervisor/roster], which "
            "stands beside [supervisor/log]; expected one of common, config, supervisor/socket")

    def test_a_circle_is_told_once_with_its_way(self):
        said = self.complaints({"daemon/common/log.h": '#include "supervisor/socket/socket.h"\n'})
        circle = [line for line in said if "circle" in line]
        self.assert_only(circle, "daemon/common/log.h:1: found a circle of 3 rooms: common -> "
                                 "supervisor/socket -> config -> common; expected no circle")

    def test_two_circles_are_two(self):
        edges = {(one, other): ("f", 1) for one, other in ("ab", "ba", "bc", "cd", "dc", "de")}
        self.assertEqual(layout.circles(edges), [["a", "b"], ["c", "d"]])

    def test_a_worker_knows_no_supervisor_nor_configuration_and_the_other_way(self):
        for file, header in (("worker/coroutine/loop.h", "config/config.h"),
                             ("worker/request/request.h", "supervisor/roster.h"),
                             ("supervisor/log.c", "worker/coroutine/loop.h")):
            with self.subTest(file):
                self.setUp()
                self.assert_only(self.complaints({f"daemon/{file}": GOOD.get(f"daemon/{file}") +
                                                  f'#include "{header}"\n'}),
                                 f"daemon/{file}:2: found {header}; expected that ",
                                 "never includes")

    def test_what_is_never_allowed_is_told_even_where_the_order_allows_it(self):
        rooms = ROOMS.replace("worker/coroutine < worker/request", "worker/request < worker/coroutine")
        said = self.complaints({"daemon/worker/coroutine/loop.h":
                                '#include "worker/request/request.h"\n',
                                "daemon/worker/request/request.h": ""}, rooms)
        self.assertIn("daemon/worker/coroutine/loop.h:1: found worker/request/request.h; expected "
                      "that worker/coroutine never includes worker/request", said)

    def test_a_private_header_of_a_file_is_its_own(self):
        for file in ("main.c", "supervisor/roster.c"):
            with self.subTest(file):
                self.setUp()
                text = GOOD[f"daemon/{file}"] + '#include "supervisor/supervisor_private.h"\n'
                said = [line for line in self.complaints({f"daemon/{file}": text})
                        if "circle" not in line]
                self.assert_only(said, ": found supervisor/supervisor_private.h, a private header; "
                                       "expected it in supervisor/supervisor.c only")

    def test_a_private_header_of_a_room_stays_within(self):
        self.assert_only(
            self.complaints({"daemon/supervisor/roster.c": '#include "supervisor/roster.h"\n'
                             '#include "supervisor/socket/socket_private.h"\n'}),
            "daemon/supervisor/roster.c:2: found supervisor/socket/socket_private.h, a private",
            "expected it in supervisor/socket only")

    def test_a_file_in_no_room(self):
        for file in ("attic/old.c", "supervisor/new.c", "worker/request/tls/tls.c", "extra.c"):
            with self.subTest(file):
                self.setUp()
                said = self.complaints({f"daemon/{file}": ""})
                self.assertIn(f"daemon/{file}:1: found a file in no room; expected its folder in "
                              "rooms", said)

    def test_a_room_without_a_file(self):
        self.assert_only(self.complaints({}, ROOMS + "common < ctl\n"),
                         "rooms:8: found the room ctl, which has no file; expected one")

    def test_a_header_that_no_file_includes(self):
        self.assert_only(self.complaints({"daemon/config/left.h": ""}),
                         "daemon/config/left.h:1: found a header that no file includes")

    def test_an_include_of_no_file(self):
        self.assert_only(self.complaints({"daemon/main.c": GOOD["daemon/main.c"] +
                                          '#include "request.h"\n'}),
                         'daemon/main.c:3: found "request.h", which is no file')

    def test_an_order_that_bites_its_tail_is_refused(self):
        with self.assertRaisesRegex(ValueError, "stands left of itself"):
            layout.Rooms("a < b\nb < c\nc < a\n")


class Documents(MadeUp):
    def test_a_path_of_nothing(self):
        self.assert_only(self.complaints(self.document_with("see `docs/", "see `docs/old/")),
                         "docs/architecture.md:2: found `docs/old/architecture.md`")

    def test_a_folder_of_nothing(self):
        self.assert_only(self.complaints(self.document_with("`worker/` are", "`workers/` are")),
                         "docs/architecture.md:2: found `workers/`")

    def test_a_room_without_a_row(self):
        said = self.complaints(self.document_with(
            "| `worker/coroutine/` | loops | `common/` |\n", ""))
        self.assert_only(said, "found no row for `worker/coroutine/`")

    def test_a_row_that_tells_another_order(self):
        self.assert_only(
            self.complaints(self.document_with("loops | `common/`", "loops | `config/`")),
            "docs/architecture.md:12: found worker/coroutine/ may include ['config/']; expected "
            "what rooms says: ['common/']")

    def test_a_folder_that_is_not_told(self):
        said = self.complaints({**self.document_with("`supervisor/` and `worker/` are", "They are")})
        self.assertEqual([line.split("found ")[1] for line in said],
                         ["nothing of supervisor/; expected every folder"])

    def test_a_step_with_a_file_of_elsewhere(self):
        said = self.complaints({**self.document_with("2. `common/log.c` tells", "2. `tests/log.c` tells"),
                                "tests/log.c": ""})
        self.assert_only(said, "found `tests/log.c`; expected a file of ")

    def test_a_step_without_a_file(self):
        self.assert_only(self.complaints(self.document_with("2. `common/log.c` tells", "2. it tells")),
                         "found a step without a file")

    def test_steps_out_of_order(self):
        self.assert_only(self.complaints(self.document_with("3. `worker/cor", "4. `worker/cor")),
                         "found step 4; expected step 3")

    def test_a_way_that_is_missing(self):
        said = self.complaints(self.document_with("## The way of a setting", "## A setting"))
        self.assert_only(said, 'found 0 steps of "The way of a setting"; expected three at least')


@unittest.skipUnless(shutil.which("git"), "there is no git")
class Repository(MadeUp):
    def test_what_was_compiled_is_not_kept(self):
        (self.root / "source.c").write_text("int main(void) { return 0; }\n")
        (self.root / "program").write_bytes(b"\x7fELF\x02\x01\x01")
        (self.root / "ignored").write_bytes(b"\x7fELF\x02\x01\x01")
        for command in (["init", "-q"], ["add", "source.c", "program"]):
            subprocess.run(["git", "-C", self.root, *command], check=True)
        self.assert_only([str(problem) for problem in layout.check_tracked(self.root)],
                         "/program:1: found a compiled program; expected sources only")

    def test_without_a_repository_there_is_nothing_to_say(self):
        self.assertEqual(list(layout.check_tracked(self.root)), [])


class Reports(MadeUp):
    def report(self, changes):
        self.complaints(changes)
        document = layout.Document(self.root / "docs/architecture.md")
        return "\n".join(layout.report(layout.Tree(self.root / "daemon"), layout.Rooms(ROOMS),
                                       document))

    def test_counts_of_a_good_tree(self):
        said = self.report({})
        for line in ("folders: 6", "files: 15 (6 .c)", "includes: 15",
                     "includes upwards or sideways between rooms: 0", "circles of rooms: 0",
                     "The way of a request: 4 files", "The way of a setting: 3 files"):
            self.assertIn(f"  {line}\n", said)

    def test_counts_of_one_with_circles(self):
        said = self.report({"daemon/common/log.h": '#include "config/config.h"\n'})
        self.assertIn("  includes upwards or sideways between rooms: 1\n", said)
        self.assertIn("  circles of rooms: 1 (of 2)\n    the biggest: common, config\n", said)
        self.assertIn("  circles of files (a .c and its headers are one): 1 (of 2)\n"
                      "    the biggest: common/log, config/config\n", said)

    def test_a_tree_without_rooms_is_counted_by_folder(self):
        said = self.report({"daemon/other/a.h": '#include "common/log.h"\n',
                            "daemon/common/log.h": '#include "other/a.h"\n'})
        self.assertIn("files in no room of rooms: 1; counted by folder:\n"
                      "  circles of folders: 1 (of 2)\n    the biggest: common, other\n", said)


if __name__ == "__main__":
    unittest.main()
