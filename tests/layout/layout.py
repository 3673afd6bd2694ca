#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rooms of daemon/: whether every #include keeps to the order in the file `rooms` beside this
script, and whether docs/architecture.md tells of the tree as it is. And that nothing compiled is
kept in the repository.

    layout.py                          checks the tree that this script stands in; says each
                                       violation as FILE:LINE, what was found, what was expected
    layout.py --report [FOLDER...]     counts of this tree's daemon/, or of others (older ones)

Exit status: 0 if all is well, 1 if there are violations, 2 if the question makes no sense.
"""
import argparse
import re
import subprocess
import sys
from collections import defaultdict, deque
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


class Problem:
    """One violation; they are compared and printed as what they say."""

    def __init__(self, file, line, found, expected):
        self.place, self.found, self.expected = (str(file), line), found, expected

    def __str__(self):
        return f"{self.place[0]}:{self.place[1]}: found {self.found}; expected {self.expected}"


# ---- the order --------------------------------------------------------------------------------


class Rooms:
    """What `rooms` says: an order, and what is never allowed."""

    def __init__(self, text, name="rooms"):
        self.name = name
        self.lines = {}  # room -> the first line that names it
        self.left = defaultdict(set)  # room -> the rooms that stand directly left of it
        self.never = []  # (who, whom)
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#")[0].strip()
            if line.startswith("never "):
                who, whom = line.removeprefix("never ").split(" includes ")
                self.never += [(who.strip(), other.strip()) for other in whom.split(",")]
            elif line:
                self._add_line(line, number)
        for room in self.lines:
            if room in self.may_include(room):
                raise ValueError(f"{name}:{self.lines[room]}: {room} stands left of itself")

    def _add_line(self, line, number):
        groups = [[room.strip() for room in group.split(",")] for group in line.split("<")]
        for group in groups:
            for room in group:
                self.lines.setdefault(room, number)
        for before, after in zip(groups, groups[1:]):
            for room in after:
                self.left[room].update(before)

    def __contains__(self, room):
        return room in self.lines

    def may_include(self, room):
        """All rooms that stand left of it, directly or not."""
        found, todo = set(), list(self.left[room])
        while todo:
            other = todo.pop()
            if other not in found:
                found.add(other)
                todo += self.left[other]
        return found

    def forbidden(self, who, whom):
        """The `never` that stands between two files, or None."""
        for one, other in self.never:
            if f"{who}/".startswith(f"{one}/") and f"{whom}/".startswith(f"{other}/"):
                return one, other
        return None


# ---- the tree ---------------------------------------------------------------------------------


def unit_of(path):
    """A file without its suffix, and a private header as a part of what it belongs to."""
    return path.with_name(path.stem.removesuffix("_private")).as_posix()


class Tree:
    """The C files below a folder, and who includes whom. Paths are relative to the folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.files = sorted(path.relative_to(self.folder) for path in self.folder.rglob("*.[ch]"))
        self.includes = []  # (file, line, included file)
        self.unknown = []  # (file, line, text)
        known = set(self.files)
        for file in self.files:
            text = (self.folder / file).read_text(encoding="utf-8")
            for number, line in enumerate(text.splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                target = Path(match[1] or match[2])
                if target in known:
                    self.includes.append((file, number, target))
                elif match[1]:
                    self.unknown.append((file, number, match[1]))

    def folders(self):
        return sorted({file.parent for file in self.files} - {Path(".")})


def edges_of(includes, name):
    """{(one, other): (file, line)} of the first include between two different names."""
    edges = {}
    for file, line, target in includes:
        pair = name(file), name(target)
        if None not in pair and pair[0] != pair[1]:
            edges.setdefault(pair, (file, line))
    return edges


def circles(edges):
    """The sets of more than one name that reach each other, the biggest first."""
    after = defaultdict(set)
    for one, other in edges:
        after[one].add(other)

    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for other in after[todo.pop()] - seen:
                seen.add(other)
                todo.append(other)
        return seen

    reached = {name: reach(name) for name in list(after)}
    found = {frozenset(other for other in seen if name in reached.get(other, ()))
             for name, seen in reached.items() if name in seen}
    return sorted((sorted(circle) for circle in found), key=lambda names: (-len(names), names))


def shortest_circle(edges, names):
    """A way within such a set from its first name back to it."""
    start, before, todo = names[0], {}, deque([names[0]])
    while todo:
        name = todo.popleft()
        for one, other in edges:
            if one != name or other not in names or other in before:
                continue
            before[other] = name
            todo.append(other)
            if other != start:
                continue
            way = [start]
            while len(way) == 1 or way[-1] != start:
                way.append(before[way[-1]])
            return way[::-1]
    raise AssertionError("no circle")


def room_of(rooms, file):
    """The room of a file, or None: its folder, or itself at the root of a folder with rooms."""
    folder = file.parent.as_posix()
    if folder in rooms:
        return folder
    unit = f"[{unit_of(file)}]"
    return unit if unit in rooms else None


# ---- the rules --------------------------------------------------------------------------------


def check_homes(tree, rooms):
    """Every file has a room, and every room a file."""
    inhabited = set()
    for file in tree.files:
        room = room_of(rooms, file)
        inhabited.add(room)
        if room is None:
            yield Problem(tree.folder / file, 1, "a file in no room", f"its folder in {rooms.name}")
    for room, line in rooms.lines.items():
        if room not in inhabited:
            yield Problem(rooms.name, line, f"the room {room}, which has no file", "one")


def check_include(tree, rooms, file, line, target):
    """What is wrong with one include, or None; a `never` is said before the order."""
    place = tree.folder / file
    private = target.stem.endswith("_private")
    if private and room_of(rooms, target) != room_of(rooms, file):
        owner = f"{unit_of(target)}.c" if target.parent.as_posix() not in rooms else target.parent
        return Problem(place, line, f"{target}, a private header", f"it in {owner} only")
    never = rooms.forbidden(file.as_posix(), target.as_posix())
    if never:
        return Problem(place, line, target, f"that {never[0]} never includes {never[1]}")
    one, other = room_of(rooms, file), room_of(rooms, target)
    if one is None or other is None or one == other:
        return None
    allowed = rooms.may_include(one)
    if other in allowed:
        return None
    where = "above" if one in rooms.may_include(other) else "beside"
    return Problem(place, line, f"{target} of {other}, which stands {where} {one}",
                   f"one of {', '.join(sorted(allowed)) or 'no other room'}")


def check_circles(tree, rooms):
    edges = edges_of(tree.includes, lambda file: room_of(rooms, file))
    for names in circles(edges):
        way = shortest_circle(edges, names)
        file, line = edges[way[0], way[1]]
        yield Problem(tree.folder / file, line,
                      f"a circle of {len(names)} rooms: {' -> '.join(way)}", "no circle")


def check_headers(tree):
    """Every header is included, and every include in quotes is the path of a file."""
    included = {target for _, _, target in tree.includes}
    for file in tree.files:
        if file.suffix == ".h" and file not in included:
            yield Problem(tree.folder / file, 1, "a header that no file includes", "one that does")
    for file, line, text in tree.unknown:
        yield Problem(tree.folder / file, line, f'"{text}", which is no file',
                      f"a path that begins in {tree.folder}")


def check_layout(tree, rooms):
    yield from check_homes(tree, rooms)
    for file, line, target in tree.includes:
        problem = check_include(tree, rooms, file, line, target)
        if problem:
            yield problem
    yield from check_circles(tree, rooms)
    yield from check_headers(tree)


# ---- the document -----------------------------------------------------------------------------

WAYS = ("The way of a request", "The way of a setting", "The way of a reload")
PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)+/?|[\w.-]+/|\w+\.[ch])`")
STEP = re.compile(r"(\d+)\. (.*)")
ROW = re.compile(r"\| *`([^`]+)` *\|.*\|(.*)\|\s*$")


class Document:
    """docs/architecture.md: the paths, the table's rows and the steps of each way, with lines."""

    def __init__(self, path):
        self.path = path
        self.paths = []  # (line, path)
        self.rows = {}  # room as the table has it -> (line, what it may include)
        self.ways = {}  # title -> [(line, number, paths of the step)]
        title = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("#"):
                title = line.lstrip("# ")
                self.ways[title] = []
            found = PATH.findall(line)
            self.paths += [(number, name) for name in found]
            row, step = ROW.match(line), STEP.match(line)
            if row:
                self.rows[row[1]] = (number, PATH.findall(row[2]))
            elif step:
                self.ways[title].append((number, int(step[1]), found))
            elif self.ways.get(title) and line.startswith("   "):
                self.ways[title][-1][2].extend(found)

    def files_of(self, title):
        """The files that a way meets, each once."""
        return {name for _, _, names in self.ways.get(title, ()) for name in names
                if not name.endswith("/")}


def row_of(room):
    """How the table spells a room."""
    return f"{room[1:-1]}.c" if room.startswith("[") else f"{room}/"


def check_paths(document, tree, root):
    for line, name in document.paths:
        place = tree.folder / name if (tree.folder / name).exists() else root / name
        if not (place.is_dir() if name.endswith("/") else place.is_file()):
            yield Problem(document.path, line, f"`{name}`", "the path of what exists")


def check_rows(document, tree, rooms):
    """Each room has its row, which names the rooms that stand directly left of it."""
    inhabited = {room_of(rooms, file) for file in tree.files} - {None}
    for room in sorted(inhabited):
        name = row_of(room)
        if name not in document.rows:
            yield Problem(document.path, 1, f"no row for `{name}`", "one in the table of rooms")
            continue
        line, found = document.rows[name]
        expected = {row_of(other) for other in rooms.left[room] if other in inhabited}
        if set(found) != expected:
            yield Problem(document.path, line, f"{name} may include {sorted(found)}",
                          f"what {rooms.name} says: {sorted(expected)}")
    named = {name for _, name in document.paths}
    for folder in tree.folders():
        if f"{folder.as_posix()}/" not in named:
            yield Problem(document.path, 1, f"nothing of {folder}/", "every folder")


def check_ways(document, tree):
    known = {file.as_posix() for file in tree.files}
    for title in WAYS:
        steps = document.ways.get(title, [])
        if len(steps) < 3:
            yield Problem(document.path, 1, f'{len(steps)} steps of "{title}"', "three at least")
        for place, (line, number, names) in enumerate(steps, 1):
            if number != place:
                yield Problem(document.path, line, f"step {number}", f"step {place}")
            files = [name for name in names if not name.endswith("/")]
            if not files:
                yield Problem(document.path, line, "a step without a file", "`room/file.c`")
            for name in files:
                if name not in known:
                    yield Problem(document.path, line, f"`{name}`", f"a file of {tree.folder}")


def check_document(document, tree, rooms, root):
    yield from check_paths(document, tree, root)
    yield from check_rows(document, tree, rooms)
    yield from check_ways(document, tree)


# ---- counts -----------------------------------------------------------------------------------


COMPILED = {b"\x7fELF": "a compiled program", b"!<ar": "a compiled library"}


def check_tracked(root):
    """Of the files that git keeps, those that a build makes; none where this is no repository."""
    try:
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--", "."],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return
    for name in sorted(filter(None, listed.decode().split("\0"))):
        path = root / name
        if not path.is_file():
            continue
        with path.open("rb") as file:
            found = COMPILED.get(file.read(4))
        if found:
            yield Problem(path, 1, found, "sources only: git rm --cached it, and have .gitignore name it")


def is_upwards(rooms, file, target):
    """Whether an include goes to a room that is not left of its own."""
    one, other = room_of(rooms, file), room_of(rooms, target)
    return None not in (one, other) and one != other and other not in rooms.may_include(one)


def describe_circles(what, found):
    sizes = ", ".join(str(len(names)) for names in found)
    yield f"  circles of {what}: {len(found)}" + (f" (of {sizes})" if found else "")
    if found:
        yield f"    the biggest: {', '.join(found[0])}"


def report(tree, rooms, document=None):
    """Lines of counts. A tree from before there were rooms is counted by folder."""
    homeless = [file for file in tree.files if room_of(rooms, file) is None]
    yield f"{tree.folder}:"
    yield f"  folders: {len(tree.folders())}"
    yield f"  files: {len(tree.files)} ({sum(file.suffix == '.c' for file in tree.files)} .c)"
    yield f"  includes: {len(tree.includes)}"
    if homeless:
        yield f"  files in no room of {rooms.name}: {len(homeless)}; counted by folder:"
        yield from describe_circles("folders", circles(
            edges_of(tree.includes, lambda file: file.parent.as_posix())))
    else:
        upwards = [file for file, _, target in tree.includes if is_upwards(rooms, file, target)]
        yield f"  includes upwards or sideways between rooms: {len(upwards)}"
        yield from describe_circles("rooms", circles(
            edges_of(tree.includes, lambda file: room_of(rooms, file))))
    yield from describe_circles("files (a .c and its headers are one)", circles(
        edges_of(tree.includes, unit_of)))
    if document:
        for title in WAYS:
            yield f"  {title}: {len(document.files_of(title))} files"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the project (this script's)")
    parser.add_argument("--rooms", type=Path, default=HERE / "rooms", help="the order of rooms")
    parser.add_argument("--report", nargs="*", type=Path, metavar="FOLDER", help="counts")
    options = parser.parse_args(arguments)
    rooms = Rooms(options.rooms.read_text(encoding="utf-8"), options.rooms.name)
    document = options.root / "docs" / "architecture.md"
    for folder in options.report or [options.root / "daemon"]:
        if not folder.is_dir():
            parser.error(f"{folder} is no folder")
    if options.report is not None:
        for folder in options.report or [options.root / "daemon"]:
            own = document if folder == options.root / "daemon" and document.exists() else None
            print("\n".join(report(Tree(folder), rooms, own and Document(own))))
        return 0
    tree = Tree(options.root / "daemon")
    problems = [*check_layout(tree, rooms)]
    if document.exists():
        problems += check_document(Document(document), tree, rooms, options.root)
    else:
        problems.append(Problem(document, 1, "no such file", "one page on the rooms"))
    problems += check_tracked(options.root)
    for problem in problems:
        print(str(problem).replace(f"{options.root}/", ""))
    print(f"{len(tree.files)} files, {len(tree.includes)} includes, {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
