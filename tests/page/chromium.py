#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page of the plugin `metrics` in Chromium: what is seen, asked for, complained of, and counted.

    chromium.py BUILD [--listeners N] [--pictures FOLDER] [CASE...]

Screenshots are kept in the folder, to be looked at. Without Chromium, or where it does not start, the
test is skipped.
"""
import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill
from browser import DEADLINE, Browser, find  # noqa: E402

BUDGET = 60 * 1024  # bytes of the page and all that it asks for until its charts are there
SLOW = 20000  # milliseconds to the first paint that no machine needs
PHONE = {"width": 390, "height": 844, "phone": True}
WALL = {"width": 2560, "height": 1440}
TABLET = {"width": 820, "height": 1180}
EVIL = "<img src=x onerror=alert(1)>"
CHARTS = "document.querySelectorAll('#listeners svg').length"
LIVE = "document.querySelector('#listeners svg[aria-label]') != null"


class Daemon:
    """A daemon with the page, and these listeners beside it."""

    def __init__(self, build, folder, listeners, history="24s"):
        self.folder = folder
        configuration = f"""plugin_path = "{build}/plugins"; log = {{ target = "stderr"; }};
control = {{ path = "{folder}/control"; }};
listeners = {{
    metrics = {{ address = "tcp://127.0.0.1:0"; plugin = "metrics"; mixin = "coroutine";
                control_access = "read";
                options = {{ history = "{history}"; timeout = "20s"; }}; }};
    {listeners} }};
"""
        Path(folder, "test.conf").write_text(configuration, encoding="utf-8")
        self.log = Path(folder, "log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([f"{build}/bin/sockserverd", "-c", f"{folder}/test.conf"],
                                            stderr=log)
        self.address = f"http://127.0.0.1:{self.port('metrics')}/"
        until(lambda: b"starting" not in urllib.request.urlopen(self.address, timeout=60).read(),
              "a listener still starts")

    def port(self, name):
        """The port of a listener, once it listens."""
        line = rf"\[{name}\]: listening on tcp://127\.0\.0\.1:(\d+)"
        return int(until(lambda: re.search(line, self.log.read_text(encoding="utf-8")),
                         f"{name} does not listen")[1])

    def end(self):
        """Stops it; whatever it was asked, that works."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        if self.process.wait(DEADLINE) != 0:
            raise AssertionError(self.log.read_text(encoding="utf-8"))


def until(condition, otherwise):
    """What the condition says as soon as it holds."""
    end = time.monotonic() + DEADLINE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(otherwise)
        time.sleep(0.02)


def upper(name, more="", address="tcp://127.0.0.1:0"):
    """A listener of the configuration."""
    return f'{name} = {{ address = "{address}"; plugin = "upper"; mixin = "coroutine"; {more} }};\n'


def equal(found, expected, what):
    """Fails unless both are the same."""
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


class Clients:
    """Some who ask a listener all the while."""

    def __init__(self, port, pause=0.02):
        self.go_on = True
        self.thread = threading.Thread(target=self._ask, args=(port, pause))
        self.thread.start()

    def _ask(self, port, pause):
        while self.go_on:
            try:
                with socket.create_connection(("127.0.0.1", port), 10) as client:
                    client.sendall(b"hello\n")
                    client.recv(100)
            except OSError:
                pass  # it is refused
            time.sleep(pause)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go_on = False
        self.thread.join()


class Test:
    """What all cases share."""

    def __init__(self, build, browser, count, pictures):
        self.build, self.browser, self.count, self.pictures = build, browser, count, pictures
        self.daemon = None

    def serve(self, listeners, **more):
        """A daemon for this case."""
        folder = tempfile.mkdtemp(dir=self.browser.folder)
        os.chmod(folder, 0o755)
        self.daemon = Daemon(self.build, folder, listeners.replace("FOLDER", folder), **more)

    def show(self, name=None, **how):
        """Opens the page, waits until it lives, and takes a picture."""
        self.browser.open(self.daemon.address, **how)
        self.browser.wait(LIVE)
        if name:
            self.browser.screenshot(self.pictures / f"{name}.png")

    def calm(self):
        """Nobody has complained, and nothing came from elsewhere."""
        equal(self.browser.complaints(), [], "complaints")
        for address in self.browser.requests():
            if not address.startswith((self.daemon.address, "data:")):
                raise AssertionError(f"it asked for {address}")

    def text(self, selector):
        """What an element says."""
        return self.browser.run(f"document.querySelector({json.dumps(selector)}).textContent")

    # ---- cases ------------------------------------------------------------------------------

    def empty(self):
        """Only the page's own listener."""
        self.serve("")
        for name, how in (("light", {}), ("dark", {"dark": True}), ("phone", PHONE)):
            self.show(f"empty-{name}", **how)
            equal(self.browser.run("document.querySelectorAll('#listeners tr').length"), 1, "rows")
            self.calm()

    def three(self):
        """Three listeners, with requests; what their addresses hold is no markup."""
        self.serve(upper("one") + upper("two") + upper("evil", address=f"unix://FOLDER/{EVIL}"))
        with Clients(self.daemon.port("one")):
            self.show()
            self.browser.wait("+document.querySelectorAll('#listeners tr')[1].cells[2].textContent > 1")
            for name, how in (("light", {}), ("dark", {"dark": True}), ("phone", PHONE),
                              ("tablet", TABLET), ("wall", WALL), ("last", {})):
                self.show(f"three-{name}", **how)
                self.calm()
        # Four charts in each row that is in view, and each says in words what it shows.
        labels = self.browser.run(
            "[...document.querySelectorAll('#listeners tr')].map(tr => [...tr.querySelectorAll("
            "'svg[role=img]')].map(svg => svg.getAttribute('aria-label')))")
        equal([len(row) for row in labels], [4] * 4, "charts")
        for row, name in zip(labels, ("metrics", "one", "two", "evil")):
            for label in row:
                if not label.startswith(name + ", ") or " of the last 24 s: at most " not in label:
                    raise AssertionError(f"a chart of {name} says {label!r}")
        equal(self.browser.run("document.images.length"), 0, "images")
        if EVIL not in self.text("#listeners"):
            raise AssertionError("the address is not there")

    def script_off(self):
        """A table, and a way to see it anew."""
        self.serve(upper("one") + upper("two"))
        self.browser.open(self.daemon.address, script=False)
        self.browser.screenshot(self.pictures / "script-off.png")
        self.calm()
        document = self.browser.call("DOM.getDocument")["root"]["nodeId"]

        def find_all(selector):
            return self.browser.call("DOM.querySelectorAll", nodeId=document, selector=selector)["nodeIds"]

        equal(len(find_all("#listeners > tr > th[scope=row]")), 3, "headings of rows")
        equal(len(find_all("#listeners > tr > td")), 21, "cells")
        equal(len(find_all("noscript > meta[http-equiv=refresh]")), 1, "refresh")
        equal(len(find_all("noscript > a[href='/']")), 1, "link to refresh")
        equal(len(find_all("svg")), 0, "charts")

    def many(self):
        """So many listeners: bytes, the first paint, and charts where somebody looks."""
        self.serve("".join(upper(f"listener-{i:03}") for i in range(self.count - 1)))
        for how in ({}, {}):  # the second time the browser is warm
            self.browser.open(self.daemon.address, **how)
            self.browser.wait(LIVE)
        size = self.browser.transferred()
        paint = self.browser.run("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        computed = self.browser.thread_time()
        print(f"{self.count} listeners: {size} bytes with charts; first paint after {paint:.0f} ms, load "
              f"{os.getloadavg()[0]:.1f}; the page's thread has computed {computed * 1000:.0f} ms by now")
        if size > BUDGET or paint > SLOW:
            raise AssertionError("that is too much")
        self.calm()
        drawn = self.browser.run(CHARTS)
        if not 0 < drawn < 4 * self.count:
            raise AssertionError(f"{drawn} charts")
        self.browser.run("document.querySelector('#listeners tr:last-child').scrollIntoView()")
        self.browser.wait("document.querySelector('#listeners tr:last-child svg[aria-label]') != null")
        self.browser.wait("document.querySelector('#listeners tr:first-child svg') == null")
        for name, how in (("light", {}), ("dark", {"dark": True}), ("phone", PHONE), ("wall", WALL)):
            self.show(f"many-{name}", **how)
        self.calm()

    def failed(self):
        """One that failed stands first, in words, and in the tab."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
            self.serve(upper("one") + upper("two", address=address))
            for name, how in (("light", {}), ("dark", {"dark": True}), ("phone", PHONE)):
                self.show(f"failed-{name}", **how)
            self.browser.wait("document.title.startsWith('▲ 1 failed – ')")
            equal(self.text("#listeners tr td"), "failed", "the state of the first row")
            equal(self.text("#listeners tr th"), "two" + address, "the first row")
            if "Address already in use" not in self.text("#troubles"):
                raise AssertionError(self.text("#troubles"))
            equal(self.text("#ready"), "not ready", "the daemon")
            self.calm()

    def flooded(self):
        """One whose clients are refused; the keyboard brings it to the top."""
        self.serve(upper("one") + upper("two", 'rate_per_source = "2/s";'), history="2m")
        with Clients(self.daemon.port("two"), 0.01):
            self.show()
            self.browser.wait("document.querySelector('#refusals').textContent.startsWith('limited')")
            order = []
            for _ in range(12):
                self.browser.key("Tab")
                order.append(self.browser.run("document.activeElement.id || document.activeElement"
                                              ".textContent.trim() || document.activeElement.tagName"))
                if order[-1] == "Refused":
                    break
            equal(order, ["To the listeners", "only", "filter", "Listener", "State", "Rate /s", "p50",
                          "p99", "Queue", "Refused"], "what the tabulator goes through")
            outline = self.browser.run("getComputedStyle(document.activeElement).outlineStyle")
            equal(outline, "solid", "the outline of what has the focus")
            self.browser.key("Enter")
            self.browser.wait("document.querySelector('#listeners tr').textContent.startsWith('two')")
            equal(self.browser.run("document.querySelector('[aria-sort]').ariaSort"), "descending", "order")
            self.browser.wait("document.querySelector('#listeners .refused .area').getAttribute('d') != ''")
            self.browser.screenshot(self.pictures / "flooded-light.png")
            self.show("flooded-dark", dark=True)
            self.show("flooded-phone", **PHONE)
        self.browser.run("document.activeElement.blur()")
        self.browser.key("/")
        for key in "ONE":
            self.browser.key(key)
        visible = "[...document.querySelectorAll('#listeners tr')].filter(tr => !tr.hidden).length"
        self.browser.wait(f"{visible} == 1")
        self.browser.key("Escape")
        self.browser.wait(f"{visible} == 3")
        self.calm()

    def deaf(self):
        """A daemon that does not answer: the page says since when, and comes back."""
        self.serve(upper("one"))
        self.show()
        self.calm()
        self.daemon.process.send_signal(signal.SIGSTOP)
        self.browser.wait("document.body.classList.contains('stale')")
        if not re.match(r"no answer since \d\d:\d\d:\d\d", self.text("#status")):
            raise AssertionError(self.text("#status"))
        self.browser.screenshot(self.pictures / "deaf-light.png")
        self.daemon.process.send_signal(signal.SIGCONT)
        self.browser.wait("!document.body.classList.contains('stale')")
        equal(self.text("#status"), "live", "status")

    def hidden(self):
        """Who is not looked at asks nothing."""
        self.serve(upper("one"))
        self.show()
        self.browser.run("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
        self.browser.run("document.dispatchEvent(new Event('visibilitychange'))")
        self.browser.run("new Promise(done => setTimeout(done, 500))")  # what was under way ends
        before = len(self.browser.requests())
        self.browser.run("new Promise(done => setTimeout(done, 3000))")
        equal(len(self.browser.requests()), before, "requests")
        self.browser.run("delete document.hidden")
        self.browser.run("document.dispatchEvent(new Event('visibilitychange'))")
        self.browser.wait(lambda: self.browser.listen() or len(self.browser.requests()) > before)


CASES = ["empty", "three", "script_off", "many", "failed", "flooded", "deaf", "hidden"]


def start(folder):
    """A browser that answers, or None."""
    browser = Browser(folder)
    try:
        browser.call("Browser.getVersion")
        return browser
    except (OSError, EOFError, TimeoutError):
        browser.end()
        return None


def main():
    """Runs the cases, one daemon each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    arguments = parser.parse_intermixed_args()
    if not find():
        print("skipped: chromium is not installed")
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        browser = start(folder)
        if not browser:
            print("skipped: chromium does not start here")
            return
        pictures = arguments.pictures or Path(folder)
        test = Test(arguments.build, browser, arguments.listeners, pictures)
        try:
            for case in arguments.cases or CASES:
                getattr(test, case)()
                test.daemon.end()
                print(f"{case}: good", flush=True)
        finally:
            browser.end()
            if test.daemon and test.daemon.process.poll() is None:
                test.daemon.process.kill()


if __name__ == "__main__":
    main()
