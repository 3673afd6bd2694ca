#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every call that the header offers has a page, and the page declares it as the header does.

    calls.py

One line for each mistake; the status is 1 if there was one. Also: the overview names every call, a
name of the header's (SS_...) stands in some page, each page has the sections that are promised and
an example that the tests compile, the plugin in the header, in the overview, in the README and in
plugins/upper is one, pages that others name exist, and mandoc finds nothing.
"""
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import pages

INCLUDE = pages.PROJECT / "include/sockserver"
FOLDER = INCLUDE / "man"
OVERVIEW = INCLUDE / "sockserver-plugin.3"
HOOKS = FOLDER / "sockserver-hooks.3"
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "CONTEXT", "RETURN VALUES", "EXAMPLES", "SEE ALSO"]
DECLARATION = re.compile(r"^SS_EXPORT ([^;{}]*?)\b([a-z_]+)\(([^;{}]*?)\)\s*(?:__attribute__[^;]*)?;",
                         re.MULTILINE)
NAMES = (re.compile(r"^#define (SS_[A-Z_]+)", re.MULTILINE),
         re.compile(r"^ +(SS_[A-Z]+)(?: = 1)?,? */?", re.MULTILINE))
# What the header needs for itself.
NO_NAMES = {"SS_EXPORT"}
# mandoc knows CONTEXT for kernels only; where other pages lie, it cannot know in a source tree.
NO_FAULTS = ("Sh CONTEXT for 9 only", "referenced manual not found")


def squeezed(text):
    return re.sub(r"\s+", " ", text).strip()


def declared(header):
    """{name: "kind name(arguments)"} of the header's functions, without its comments."""
    plain = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    return {name: squeezed(f"{kind.strip()} {name}({arguments})").replace("* ", "*")
            for kind, name, arguments in DECLARATION.findall(plain)}


def section(text, title):
    match = re.search(rf"^\.Sh {title}\n(.*?)(?=^\.Sh |\Z)", text, re.MULTILINE | re.DOTALL)
    return match.group(1) if match else ""


def synopsis(text):
    """{name: "kind name(arguments)"} of a page's functions."""
    found, kind, name, arguments = {}, "", None, []
    for line in section(text, "SYNOPSIS").splitlines():
        if line.startswith(".Ft "):
            kind = line[4:]
        elif line.startswith((".Fn ", ".Fo ")):
            name, arguments = line.split()[1], re.findall(r'"([^"]*)"', line)
        elif line.startswith(".Fa "):
            arguments.append(line[4:].strip('"'))
        if name and (line.startswith(".Fn ") or line == ".Fc"):
            found[name] = squeezed(f"{kind} {name}({', '.join(arguments)})").replace("* ", "*")
            name = None
    return found


def check_page(name, declaration):
    """What is wrong with the page of a call."""
    path = FOLDER / f"{name}.3"
    if not path.exists():
        yield f"{path.name}: found no page; expected one of {declaration}"
        return
    path = pages.leads_to(path) or path
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if name not in re.findall(r"^\.Nm (\S+)", section(text, "NAME"), re.MULTILINE):
        yield f"{name}: {path.name} does not name it"
    found = synopsis(text).get(name)
    if found != declaration:
        yield f"{path.name}: found {found}; expected {declaration}"
    if name not in named_in(OVERVIEW.read_text(encoding="utf-8")):
        yield f"{OVERVIEW.name}: found nothing of {name}"


def named_in(overview):
    return set(re.findall(r"^\.(?:It )?(?:Xr|.*\bFn|Pq Fn) (ss_[a-z_]+)", overview, re.MULTILINE))


def check_shape(path):
    """What is wrong with the sections of a page of calls."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"^\.Sh (.*)$", text, re.MULTILINE)
    for title in SECTIONS:
        if title not in found:
            yield f"{path.name}: found no section {title}"
    if '\\" compiled by the tests' not in section(text, "EXAMPLES"):
        yield f"{path.name}: found no example that the tests compile"


def check_width(path):
    inside = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        inside = line != ".Ed" and (inside or line.startswith(".Bd -literal"))
        if not inside and len(line) > 80 and not re.match(r"\.(It|Fn|\\\")", line):
            yield f"{path.name}:{number}: found {len(line)} columns; expected at most 80"


def check_names(header):
    known = {name for pattern in NAMES for name in pattern.findall(header)} - NO_NAMES
    texts = "\n".join(path.read_text(encoding="utf-8")
                      for path in [OVERVIEW, *FOLDER.glob("*.[1-8]")])
    for name in sorted(known):
        if not re.search(rf"^\.(?:It )?(?:Dv|Fn|Pq Dv) (?:.* , )?{name}\b", texts, re.MULTILINE):
            yield f"{name}: found in the header, and in no page"
    if len(known) < 12:
        yield f"found only {len(known)} SS_ names in the header"


def examples(header):
    """{where: the plugin upper} as each shows it."""
    shown = re.search(r"^ \* {5}#include <ctype.h>.*?(?=^ \* Build it)", header,
                      re.MULTILINE | re.DOTALL).group(0)
    yield "plugin.h", re.sub(r"^ \*(?: {5})?", "", shown, flags=re.MULTILINE)
    for snippet in pages.manual_snippets(OVERVIEW):
        if '.name = "upper"' in snippet.text:
            yield OVERVIEW.name, snippet.text
    for snippet in pages.document_snippets(pages.PROJECT / "README.md"):
        if '.name = "upper"' in snippet.text:
            yield "README.md", snippet.text
    text = (pages.PROJECT / "plugins/upper/upper.c").read_text(encoding="utf-8")
    text = re.sub(r"^.*clang-format.*\n", "", text.split("\n */\n", 1)[1], flags=re.MULTILINE)
    yield "upper.c", text


def check_examples(header):
    found = {where: squeezed(text) for where, text in examples(header)}
    if len(found) != 4:
        yield f"the plugin upper stands in {', '.join(found)}; expected four places"
    for where, text in found.items():
        if text != found["plugin.h"]:
            yield f"{where}: the plugin differs from that in plugin.h"


def check_references():
    """A page of the project's that another one names exists, and has that name or leads to one."""
    there = {path.name for folder in pages.FOLDERS
             for path in (pages.PROJECT / folder).rglob("*.[1-8]")}
    for path in pages.manuals():
        text = path.read_text(encoding="utf-8")
        for name, number in sorted(set(re.findall(r"\bXr ((?:ss_|sockserver)\S*) (\d)", text))):
            if f"{name}.{number}" not in there:
                yield f"{path.name}: found {name}({number}); expected a page that exists"


def check_lint():
    if not shutil.which("mandoc"):
        return
    run = subprocess.run(["mandoc", "-T", "lint", *map(str, pages.manuals())], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    for line in run.stdout.splitlines():
        if not any(fault in line for fault in NO_FAULTS):
            yield line.replace(f"{pages.PROJECT}/", "")


def check():
    header = (INCLUDE / "plugin.h").read_text(encoding="utf-8")
    functions = declared(header)
    calls = {name: text for name, text in functions.items() if name.startswith("ss_")}
    hooks = {name: text for name, text in functions.items() if not name.startswith("ss_")}
    if len(calls) < 40:
        yield f"found only {len(calls)} calls in the header"
    for name, declaration in calls.items():
        yield from check_page(name, declaration)
    if synopsis(HOOKS.read_text(encoding="utf-8")) != hooks:
        yield f"{HOOKS.name}: found other hooks than in the header: {sorted(hooks)}"
    for path in sorted(FOLDER.glob("ss_*.3")):
        if path.stem not in calls:
            yield f"{path.name}: the header has no such call"
        elif not pages.leads_to(path):
            yield from check_shape(path)
    for path in [OVERVIEW, *sorted(FOLDER.glob("*.[1-8]"))]:
        yield from check_width(path)
    yield from check_names(header)
    yield from check_examples(header)
    yield from check_references()
    yield from check_lint()


def main():
    complaints = list(check())
    for complaint in complaints:
        print(complaint)
    if complaints:
        return 1
    print("mandoc has looked, too" if shutil.which("mandoc") else
          "skipped: mandoc is not installed, the manuals were not looked at by it; all else holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
