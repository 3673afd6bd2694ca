# SPDX-License-Identifier: MIT
"""The manual pages and documents of the project, as their tests read them.

A literal block of a manual is a snippet. Comments right before it say what the tests do with it:

    .\\" compiled by the tests                a whole plugin in C, which is loaded and asked
    .\\" compiled by the tests as NAME.EXT    in another language; files of one folder belong together
    .\\" compiled by the tests as a test of FILE  a program that tests this plugin, and is run
    .\\" compiled by the tests at file level  a part of a plugin, to which the rest is added
    .\\" asked: TEXT                          what the plugin is sent, with the escapes of C
    .\\" answer: TEXT, or /REGEX/             what it must answer
    .\\" options: NAME=VALUE, ...             what its listener sets
    .\\" mixins: NAME ...                     those under which it runs, if not all that its record states
    .\\" checked by the tests [WHERE]         a part of a configuration: see snippets.py
    .\\" parsed by the tests [as LANGUAGE]    commands of a shell, or what the language is
    .\\" not for the tests: WHY

Without one, a block with a group `listeners` is a configuration, and one with lines that begin with
a prompt shows commands and what they print.
"""
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("daemon", "include", "plugins", "examples")
MARK = re.compile(r'\.\\" ?(.*)')
ESCAPES = (("\\(dq", '"'), ("\\-", "-"), ("\\&", ""), ("\\e", "\\"))


class Snippet:
    def __init__(self, path, line, marks, text):
        self.path, self.line, self.text = path, line, text
        self.marks = {}
        for mark in marks:
            key, _, value = mark.partition(":")
            self.marks.setdefault(key, value.strip())

    def __str__(self):
        return f"{self.path.relative_to(PROJECT)}:{self.line}"

    def begins(self, prefix):
        """What stands behind the prefix in the mark that begins with it; None: there is none."""
        for mark in self.marks:
            if mark == prefix or mark.startswith(prefix + " "):
                return mark[len(prefix):].strip()
        return None


def manuals():
    """Every page but those that only lead to another one."""
    found = [path for folder in FOLDERS for path in sorted((PROJECT / folder).rglob("*.[1-8]"))]
    return [path for path in found if not leads_to(path)]


def leads_to(path):
    """The page that a page of one line stands for, or None."""
    match = re.match(r"\.so man\d/(\S+)\n", path.read_text(encoding="utf-8"))
    return path.with_name(match.group(1)) if match else None


def unescaped(line):
    for escape, text in ESCAPES:
        line = line.replace(escape, text)
    return line


def manual_snippets(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    marks, inside, begin = [], None, 0
    for number, line in enumerate(lines, 1):
        if inside is not None:
            if line == ".Ed":
                yield Snippet(path, begin, marks, "\n".join(inside) + "\n")
                marks, inside = [], None
            else:
                inside.append(unescaped(line))
        elif line.startswith(".Bd -literal"):
            inside, begin = [], number
        elif MARK.match(line):
            marks.append(MARK.match(line).group(1))
        else:
            marks = []


def document_snippets(path):
    """The blocks of a Markdown file: fenced ones with their language as a mark, and indented ones,
    which show commands."""
    inside, begin, language, before = None, 0, None, ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() + [""], 1):
        fence = re.match(r" *```(.*)", line)
        if fence and inside is None:
            inside, begin, language = [], number, fence.group(1).strip() or "nothing"
        elif fence:
            yield Snippet(path, begin, [f"language {language}"], "\n".join(inside) + "\n")
            inside, language = None, None
        elif language is not None:
            inside.append(line)
        elif line.startswith("    ") and (inside is not None or not before.strip()):
            if inside is None:
                inside, begin = [], number
            inside.append(line[4:])
        elif inside is not None and line.strip():
            yield Snippet(path, begin, ["language shown"], "\n".join(inside).rstrip() + "\n")
            inside = None
        before = line
    if inside is not None:
        yield Snippet(path, begin, ["language shown"], "\n".join(inside).rstrip() + "\n")


def documents():
    folders = [PROJECT / "docs", PROJECT / "plugins", PROJECT / "packaging", PROJECT / "examples"]
    found = [path for folder in folders for path in sorted(folder.rglob("*.md"))]
    return [PROJECT / "README.md", *found]


def snippets():
    for path in manuals():
        yield from manual_snippets(path)
    for path in documents():
        yield from document_snippets(path)


def inline_commands():
    """(where, text) of the commands of the daemon's programs that stand within a sentence."""
    for path in manuals():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = re.match(r"\.Ql ((?:sockserverd|sockserverctl) .*)", line)
            if match:
                yield f"{path.relative_to(PROJECT)}:{number}", unescaped(match.group(1))
    for path in documents():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for text in re.findall(r"`((?:sockserverd|sockserverctl) [^`]*)`", line):
                yield f"{path.relative_to(PROJECT)}:{number}", text
