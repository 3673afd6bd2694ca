#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The header only grows: what a frozen one (tests/plugins/abiN/plugin.h) says, today's says, too.

    abi.py

Every function has the same declaration, every name of a #define the same value, and every struct
and enum begins with the same members in the same order. And the plugin beside the frozen header of
ABI 2 calls every function that this header has. One line for each mistake; the status is 1 if there
was one.
"""
import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
TODAY = PROJECT / "include/sockserver/plugin.h"
FROZEN = PROJECT / "tests/plugins"

# What today's header may say otherwise: the number itself, and a macro that names what it fills in.
MAY_DIFFER = {"SS_ABI", "SS_PLUGIN", "SOCKSERVER_PLUGIN_H"}


def squeezed(text):
    return re.sub(r"\s+", " ", text).strip()


def plain(path):
    """The header as a C compiler sees it, but for its macros."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    return re.sub(r"#ifdef __cplusplus.*?#(?:else|endif)(?:\n|$)", "\n", text, flags=re.DOTALL)


def functions(text):
    found = re.findall(r"^SS_EXPORT ([^;{}]*?\b([a-z_]+)\([^;{}]*\)[^;{}]*);", text, re.MULTILINE)
    return {name: squeezed(declaration) for declaration, name in found}


def defines(text):
    found = re.findall(r"^#define ([A-Z_]+)(?:\([^)]*\))?[ \t]*(.*)$", text, re.MULTILINE)
    return {name: squeezed(value) for name, value in found if name not in MAY_DIFFER}


def members(text):
    """{"struct ss_option": ["const char *name", ...]}; an enum's are its names with their values."""
    found = {}
    for kind, name, body in re.findall(r"^(struct|enum) (\w+) \{(.*?)^\};", text,
                                       re.MULTILINE | re.DOTALL):
        body = re.sub(r"^#.*$", "", body, flags=re.MULTILINE)
        parts = body.split("," if kind == "enum" else ";")
        found[f"{kind} {name}"] = [squeezed(part) for part in parts if part.strip()]
    return found


def compare(frozen, old, new):
    for what in (functions, defines):
        today = what(new)
        for name, value in what(old).items():
            if today.get(name) != value:
                yield f"{frozen}: {name} is {today.get(name)!r} today; expected {value!r}"
    today = members(new)
    for name, parts in members(old).items():
        there = today.get(name, [])
        if there[:len(parts)] != parts:
            yield f"{frozen}: {name} begins with {there[:len(parts)]} today; expected {parts}"


def check_calls(folder):
    """The plugin beside the header calls each function."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.c")))
    for name in functions(plain(folder / "plugin.h")):
        if not re.search(rf"\b{name}\b", text):
            yield f"{folder.name}: the plugin has nothing of {name}()"


def main():
    complaints, new = [], plain(TODAY)
    headers = sorted(FROZEN.glob("abi*/plugin.h"))
    for header in headers:
        old = plain(header)
        if len(functions(old)) < 30:
            complaints.append(f"{header.parent.name}: found few functions")
        complaints += compare(header.parent.name, old, new)
    complaints += check_calls(FROZEN / "abi2")
    for complaint in complaints:
        print(complaint)
    print(f"{len(headers)} frozen headers, {len(complaints)} violations")
    return 1 if complaints or len(headers) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
