#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every snippet of the manuals, the README and docs/ is what it is shown as.

    snippets.py BUILD          all but those below
    snippets.py BUILD rust     the plugins in Rust, with rustc
    snippets.py BUILD go       the plugins in Go, with go

A plugin is compiled with -Wall -Wextra -Werror, served under every mixin and transport that it
states, and asked once. A configuration passes `sockserverd --check`, with files of the test's in
place of those that it names. Commands are parsed by bash, and the options of the daemon's programs
that they give exist. pages.py says by which marks a snippet tells what it is.

One line for each mistake; the status is 1 if there was one.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import pages
from serving import Daemon, listeners_of

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-O1"]
INCLUDE = f"-I{pages.PROJECT}/include"
SHARED = ["-shared", "-fPIC"]
ASKED = b"hello\n"

# What is put around a part of a plugin.
AT_FILE_LEVEL = """#include <sockserver/plugin.h>
{snippet}
SS_PLUGIN(.name = "frame", .summary = "frames a snippet", .transports = SS_STREAM{more})
int handle(struct ss_request *request)
{{
    return ss_printf(request, "framed");
}}
"""
# What is put around a part of a configuration, by where it stands.
PARTS = {
    "": "{snippet}",
    "among listeners": "listeners = {{ {snippet} }};",
    "in a listener": 'listeners = {{ x = {{ address = "tcp://127.0.0.1:0"; plugin = "echo"; '
                     'mixin = "threading"; {snippet} }}; }};',
    "in tls": 'listeners = {{ x = {{ address = "tcp://127.0.0.1:0"; plugin = "echo"; '
              'tls = {{ certificate = "/a.pem"; key = "/a.key"; {snippet} }}; }}; }};',
}
PROGRAMS = ("sockserverd", "sockserverctl")
LANGUAGES = {".rs": "rust", ".go": "go", ".c": "c", ".cc": "c"}


def unescape(text):
    return text.encode().decode("unicode_escape").encode("latin-1")


class Mistakes:
    def __init__(self):
        self.found = []

    def add(self, where, what):
        self.found.append(f"{where}: {what.strip()}")


def run(command, **others):
    """The exit status and the output of a command."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, check=False, **others)
    return done.returncode, done.stdout


# ---- plugins ------------------------------------------------------------------------------------


class Plugin:
    """A snippet, or several files of one folder, that become one shared object."""

    def __init__(self, folder, snippet, name, text):
        self.folder, self.snippet, self.files = folder, snippet, {name: text}
        self.object = folder / "plugin.so"

    def language(self):
        return next((LANGUAGES[suffix] for suffix in (".go", ".rs")
                     if any(name.endswith(suffix) for name in self.files)), "c")

    def commands(self, compiler):
        source = next(iter(self.files))
        if self.language() == "go":
            return [["go", "mod", "init", "upper"],
                    ["go", "build", "-buildmode=c-shared", "-o", str(self.object), "."]]
        if self.language() == "rust":
            return [["rustc", "--crate-type", "cdylib", "-C", "panic=abort", "-D", "warnings", "-O",
                     "-o", str(self.object), source]]
        name = compiler["c++"] + ["-std=c++20"] if source.endswith(".cc") else compiler["c"]
        return [[*name, *WARNINGS, *SHARED, INCLUDE, "-o", str(self.object), source]]

    def compile(self, compiler):
        """What the compiler says, or nothing."""
        self.folder.mkdir()
        for name, text in self.files.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        environment = dict(os.environ, CGO_CFLAGS=INCLUDE, CGO_LDFLAGS_ALLOW=".*",
                           CGO_LDFLAGS="-Wl,--unresolved-symbols=ignore-all")
        environment.setdefault("GOCACHE", str(self.folder.parent / "go-cache"))
        for command in self.commands(compiler):
            status, output = run(command, cwd=self.folder, env=environment)
            if status != 0:
                return f"{' '.join(command[:1])} ends with status {status}: {output}"
        self.object.chmod(0o755)
        return ""


def instrumentation(build):
    """What a program must be linked with for the library's own code."""
    cache = (build / "CMakeCache.txt").read_text(encoding="utf-8")
    needs = {"SANITIZE:STRING=address": "-fsanitize=address,undefined",
             "SANITIZE:STRING=thread": "-fsanitize=thread", "COVERAGE:BOOL=ON": "--coverage"}
    return [flag for setting, flag in needs.items() if f"\n{setting}\n" in cache]


def check_tests(build, folder, found, mistakes):
    """Programs that test a plugin by <sockserver/test.h>."""
    looked = 0
    archive = build / "lib/libsockserver-test.a"
    for snippet in found:
        where = snippet.begins("compiled by the tests as a test of")
        if where is None:
            continue
        looked += 1
        (folder / "test.c").write_text(snippet.text, encoding="utf-8")
        command = [*os.environ.get("CC", "cc").split(), *WARNINGS, INCLUDE, "-o", folder / "test",
                   folder / "test.c", "-w", pages.PROJECT / where, archive, *instrumentation(build),
                   f"-Wl,--dynamic-list={pages.PROJECT}/daemon/testing/exports.list", "-pthread", "-lm"]
        status, output = run(command)
        if status == 0:
            status, output = run([folder / "test"], timeout=120)
        if status != 0:
            mistakes.add(snippet, f"status {status}: {output}")
    return f"{looked} tests"


def plugins_of(found, folder):
    """The plugins among the snippets, those of one folder put together."""
    by_name = {}
    for number, snippet in enumerate(found):
        where = snippet.begins("compiled by the tests")
        if snippet.marks.keys() & {"language c"}:
            where = ""
        if where is None or where.startswith("as a test of"):
            continue
        name, text = f"p{number}/plugin.c", snippet.text
        if where.startswith("as "):
            name = where[3:] if "/" in where else f"p{number}/{where[3:]}"
        elif where == "at file level":
            more = ", .options = options" if "options[]" in text else ""
            text = AT_FILE_LEVEL.format(snippet=text, more=more)
        room, _, file = name.partition("/")
        if room in by_name:
            by_name[room].files[file] = text
            by_name[room].snippet = snippet
        else:
            by_name[room] = Plugin(folder / room, snippet, file, text)
    return list(by_name.values())


def options_of(snippet, described):
    """{name: value as in a configuration} of a snippet's mark."""
    types = {option["name"]: option["type"] for option in described}
    options = {}
    for entry in filter(None, re.split(r", *", snippet.marks.get("options", ""))):
        name, _, value = entry.partition("=")
        text = value if types.get(name) in ("integer", "boolean", "number") else json.dumps(value)
        if types.get(name) == "list":
            text = f"{options[name][:-1]}, {text}]" if name in options else f"[{text}]"
        options[name] = text
    return options


def described(build, plugin):
    status, output = run([build / "bin/sockserverd", "--describe", "--json", plugin])
    if status != 0:
        raise ValueError(output)
    return json.loads(output)["options"]


def wanted_answer(snippet):
    text = snippet.marks.get("answer")
    if text is None:
        return None
    if len(text) > 1 and text[0] == text[-1] == "/":
        return lambda answer: re.search(text[1:-1], answer.decode(errors="replace")) is not None
    return lambda answer: answer.strip() == unescape(text).strip()


def ask(daemon, folder, listener, snippet, mistakes):
    asked = unescape(snippet.marks["asked"]) if "asked" in snippet.marks else ASKED
    where = f"{snippet} ({listener.mixin}, {listener.transport})"
    try:
        answer = listener.ask(folder, asked)
    except OSError as error:
        mistakes.add(where, f"it does not answer: {error}")
        return
    fits = wanted_answer(snippet)
    if fits is not None and not fits(answer):
        mistakes.add(where, f"answers {answer!r}; expected {snippet.marks['answer']!r}")
    for line in daemon.bad_news(listener):
        mistakes.add(where, line)


def serve_plugins(build, folder, plugins, mistakes):
    served = []
    for number, plugin in enumerate(plugins):
        mixins = plugin.snippet.marks.get("mixins")
        try:
            options = options_of(plugin.snippet, described(build, plugin.object))
            for listener in listeners_of(build, f"s{number}", plugin.object, options,
                                         mixins and mixins.split()):
                served.append((listener, plugin.snippet))
        except ValueError as error:
            mistakes.add(plugin.snippet, str(error))
    with Daemon(build, folder, [listener for listener, _ in served]) as daemon, \
            ThreadPoolExecutor(8) as pool:
        for listener, snippet in served:
            pool.submit(ask, daemon, folder, listener, snippet, mistakes)
    return len(served)


def check_plugins(build, folder, found, language, mistakes):
    compiler = {"c": os.environ.get("CC", "cc").split(), "c++": os.environ.get("CXX", "c++").split()}
    plugins = [plugin for plugin in plugins_of(found, folder) if plugin.language() == language]
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda plugin: plugin.compile(compiler), plugins))
    for plugin, text in zip(plugins, said):
        if text:
            mistakes.add(plugin.snippet, text)
    whole = [plugin for plugin, text in zip(plugins, said) if not text]
    served = serve_plugins(build, folder, whole, mistakes) if whole else 0
    return f"{len(plugins)} plugins, served in {served} ways"


# ---- configurations -----------------------------------------------------------------------------


def make_files(folder):
    """{pattern: what takes its place} of what configurations name, and the tests do not have."""
    (folder / "script.py").write_text("import socketserver\n", encoding="utf-8")
    (folder / "www").mkdir()
    files = [(r'(script *= *)"[^"]*"', rf'\1"{folder}/script.py"'),
             (r'(root *= *)"[^"]*"', rf'\1"{folder}/www"'),
             (r'(command *= *)"[^"]*"', r'\1"/bin/cat"'),
             (r'(plugin *= *)"\./upper\.so"', r'\1"upper"'),
             (r'(user *= *)"[^"]*"', r'\1"nobody"' if os.getuid() == 0 else r'umask = "0022"'),
             (r'(target *= *)"/[^"]*"', rf'\1"{folder}/some.log"')]
    if shutil.which("openssl"):
        for name in ("cert", "key"):
            files.append((rf'({name}[a-z]* *= *)"[^"]*"', rf'\1"{folder}/{name}.pem"'))
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "30", "-subj", "/CN=test", "-keyout", folder / "key.pem", "-out",
             folder / "cert.pem"])
    return files


def configuration_of(snippet):
    where = snippet.begins("checked by the tests")
    if where is not None:
        return where
    if "language conf" in snippet.marks:
        return ""
    is_shown = not snippet.marks or set(snippet.marks) == {"language shown"}
    return "" if is_shown and re.match(r"(#.*\n)*(log .*\n|defaults .*\n|\n)*listeners = \{\n",
                                       snippet.text) else None


def lacks(build, text):
    """The plugins that this build lacks, or the module for TLS."""
    names = set(re.findall(r'plugin *= *"([a-z]+)"', text))
    missing = {name for name in names if not (build / f"plugins/{name}.so").exists()}
    if "tls" in text and not ((build / "lib/sockserverd/tls.so").exists() and shutil.which("openssl")):
        missing.add("tls")
    return missing


def check_configurations(build, folder, found, mistakes):
    files, looked = make_files(folder), 0
    # Python never frees what its interpreter is made of.
    environment = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
    for snippet in found:
        where = configuration_of(snippet)
        if where is None:
            continue
        if where not in PARTS:
            mistakes.add(snippet, f"unknown place {where!r}; expected one of {list(PARTS)}")
            continue
        text = PARTS[where].format(snippet=snippet.text)
        for pattern, instead in files:
            text = re.sub(pattern, instead, text)
        looked += 1
        if lacks(build, text):
            continue
        (folder / "snippet.conf").write_text(text, encoding="utf-8")
        status, output = run([build / "bin/sockserverd", "--check", "--plugin-path", build / "plugins",
                              "-c", folder / "snippet.conf"], env=environment)
        if status != 0:
            mistakes.add(snippet, f"--check ends with status {status}: {output}")
    return f"{looked} configurations"


# ---- commands -----------------------------------------------------------------------------------


def commands_of(snippet):
    """What is typed, of a snippet that shows it; None if it shows nothing of the kind."""
    if snippet.begins("parsed by the tests") == "" or "language sh" in snippet.marks:
        return snippet.text
    if snippet.marks and set(snippet.marks) != {"language shown"}:
        return None
    lines, taking = [], False
    for line in snippet.text.splitlines():
        prompt = re.match(r"[$#] (\S.*)", line)
        if prompt or taking:
            lines.append(prompt.group(1) if prompt else line)
            text = lines[-1]
            odd = "\n".join(lines).count("'") % 2 == 1
            taking = text.endswith("\\") or odd or text.endswith("|")
    if lines:
        return "\n".join(lines) + "\n"
    return snippet.text if "language shown" in snippet.marks else None


class Programs:
    """The options that the programs tell in their help, and the keys of a listener."""

    def __init__(self, build):
        self.help = {name: run([build / f"bin/{name}", "--help"])[1] for name in PROGRAMS}
        manual = (pages.PROJECT / "daemon/config/sockserverd.conf.5").read_text(encoding="utf-8")
        self.keys = set(re.findall(r"^\.It Ic (\S+)", manual, re.MULTILINE))
        dev = (pages.PROJECT / "dev").read_text(encoding="utf-8")
        self.dev = set(re.findall(r"^dev_([a-z]+)\(\)", dev, re.MULTILINE))

    def unknown(self, text):
        """What the commands give to the programs, and they do not have."""
        joined = re.sub(r"\\\n", " ", text)
        joined = re.sub(r"(^|\s)#.*", "", joined)
        for words in re.split(r"[\n|;&]|\$\(", joined):
            for name in PROGRAMS:
                match = re.search(rf"(?:^|[ /]){name}((?: .*)?)$", words)
                if match and not re.search(r"systemctl|apt|--worker|-ex ", words):
                    yield from self.unknown_words(name, match.group(1))
            match = re.match(r" *\./dev ([a-z]+)", words)
            if match and match.group(1) not in self.dev:
                yield f"./dev {match.group(1)}"

    def unknown_words(self, name, rest):
        for option in re.findall(r" (--?[a-zA-Z][a-z-]*)", rest):
            if not re.search(rf"(?<![a-z-]){re.escape(option)}(?![a-z-])", self.help[name]):
                yield f"{name} {option}"
        for key in re.findall(r" --set ([a-z_.]+)=", rest):
            if key not in self.keys:
                yield f"--set {key}"
        command = re.match(r" ([a-z-]+)", rest)
        if name == "sockserverctl" and command and f"\n  {command.group(1)} " not in self.help[name]:
            yield f"{name} {command.group(1)}"


def check_commands(build, found, mistakes):
    programs, looked = Programs(build), 0
    for snippet in found:
        text = commands_of(snippet)
        if text is None:
            continue
        looked += 1
        done = subprocess.run(["bash", "-n"], input=text, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0 or done.stdout:
            mistakes.add(snippet, f"bash cannot parse it: {done.stdout}")
        for unknown in programs.unknown(text):
            mistakes.add(snippet, f"there is no {unknown}")
    inline = list(pages.inline_commands())
    for where, text in inline:
        for unknown in programs.unknown(text):
            mistakes.add(where, f"there is no {unknown}")
    return f"{looked} snippets of commands, {len(inline)} commands in sentences"


# ---- what else there is -------------------------------------------------------------------------


def check_others(found, mistakes):
    """Python's, and JSON; and that each snippet is something."""
    for snippet in found:
        language = snippet.begins("parsed by the tests")
        try:
            if language == "as Python" or "language python" in snippet.marks:
                compile(snippet.text, str(snippet), "exec")
            elif language == "as JSON":
                json.loads(snippet.text)
            elif not is_something(snippet):
                mistakes.add(snippet, "no mark says what the tests make of it; see tests/manuals/pages.py")
        except (SyntaxError, ValueError) as error:
            mistakes.add(snippet, str(error))


def is_something(snippet):
    language = snippet.begins("language")
    return ("not for the tests" in snippet.marks or language not in (None, "shown", "nothing") or
            snippet.begins("compiled by the tests") is not None or
            configuration_of(snippet) is not None or commands_of(snippet) is not None)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("language", nargs="?", choices=["rust", "go"])
    options = parser.parse_args()
    build, mistakes = options.build.resolve(), Mistakes()
    needed = {"rust": "rustc", "go": "go"}.get(options.language, "bash")
    if not shutil.which(needed):
        print(f"skipped: {needed} is not installed")
        return 0
    found = list(pages.snippets())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = [check_plugins(build, folder, found, options.language or "c", mistakes)]
        if options.language is None:
            said.append(check_tests(build, folder, found, mistakes))
            said.append(check_configurations(build, folder, found, mistakes))
            said.append(check_commands(build, found, mistakes))
            check_others(found, mistakes)
    for mistake in sorted(mistakes.found):
        print(mistake)
    print(f"{len(found)} snippets: {'; '.join(said)}; {len(mistakes.found)} mistakes")
    return 1 if mistakes.found else 0


if __name__ == "__main__":
    sys.exit(main())
