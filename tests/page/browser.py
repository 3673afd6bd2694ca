# SPDX-License-Identifier: MIT
"""A Chromium without a window, driven over its DevTools protocol through a pair of pipes.

Nothing but Python's standard library is needed. What the page logs, what it asks for and what the
browser refuses to do for it is kept, so that a test can say that there was none of it.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import time

DEADLINE = 60.0
FLAGS = ["--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
         "--disable-extensions", "--disable-sync", "--disable-dev-shm-usage", "--metrics-recording-only",
         "--no-proxy-server", "--mute-audio", "--force-color-profile=srgb",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


def find():
    """The program, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One browser with one page at a time."""

    def __init__(self, folder):
        self.folder = folder
        own_end, their_output = os.pipe()
        their_input, to_browser = os.pipe()
        # Only root needs to do without its sandbox, and only this test's own page is shown.
        flags = FLAGS + ["--no-sandbox"] * (os.getuid() == 0) + [f"--user-data-dir={folder}/profile"]

        def prepare():
            ends = os.dup(their_input), os.dup(their_output)
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            [find(), *flags, "about:blank"], preexec_fn=prepare, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": folder}, start_new_session=True)
        os.close(their_input)
        os.close(their_output)
        self.input, self.output = to_browser, own_end
        self.waiting, self.number, self.session, self.target = b"", 0, None, None
        self.events = []

    # ---- the protocol -----------------------------------------------------------------------

    def _message(self, until):
        while b"\0" not in self.waiting:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.output], [], [], left)[0]:
                raise TimeoutError("the browser says nothing")
            got = os.read(self.output, 1 << 20)
            if not got:
                raise EOFError("the browser has ended")
            self.waiting += got
        message, self.waiting = self.waiting.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        """Calls a method of the page, or of the browser before there is one."""
        self.number += 1
        call = {"id": self.number, "method": method, "params": parameters}
        if self.session and not method.startswith("Target."):
            call["sessionId"] = self.session
        os.write(self.input, json.dumps(call).encode() + b"\0")
        until = time.monotonic() + DEADLINE
        while True:
            message = self._message(until)
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            if "method" in message and message.get("sessionId") == self.session:
                self.events.append(message)

    # ---- a page -----------------------------------------------------------------------------

    def open(self, address, width=1440, height=900, dark=False, phone=False, script=True):
        """Shows this address in a new page, and forgets what was heard of the last one."""
        before = self.target
        self.target = self.call("Target.createTarget", url="about:blank")["targetId"]
        if before:
            self.call("Target.closeTarget", targetId=before)
        self.session = self.call("Target.attachToTarget", targetId=self.target,
                                 flatten=True)["sessionId"]
        self.events = []
        for domain in "Page", "Runtime", "Network", "Log", "Audits":
            self.call(f"{domain}.enable")
        self.call("Performance.enable", timeDomain="threadTicks")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.navigate", url=address)
        self.wait(lambda: any(e["method"] == "Page.loadEventFired" for e in self.events))

    def run(self, expression):
        """The value of an expression of JavaScript."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"].get("description", expression))
        return result["result"].get("value")

    def wait(self, condition):
        """Until the condition, a function or an expression of JavaScript, holds."""
        until = time.monotonic() + DEADLINE
        while not (condition() if callable(condition) else self.run(condition)):
            if time.monotonic() > until:
                raise TimeoutError(f"never: {condition}")
            select.select([self.output], [], [], 0.05)
            self.listen()

    def listen(self):
        """Takes in what the browser has to say by now. It may be between two pages."""
        try:
            self.call("Page.getNavigationHistory")
        except RuntimeError:
            pass

    def key(self, key, code=0):
        """Presses a key."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        for kind in "keyDown", "keyUp":
            extra = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code or {"Tab": 9, "Enter": 13, "Escape": 27}.get(key, 0),
                      **extra)

    def screenshot(self, path):
        """What is to be seen, as PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def complaints(self):
        """Errors of the script, refusals by the page's policy, and whatever else the browser logged."""
        self.listen()
        found = []
        for event in self.events:
            what, said = event["method"], event["params"]
            if what == "Runtime.exceptionThrown":
                found.append(said["exceptionDetails"].get("exception", said).get("description"))
            elif what == "Runtime.consoleAPICalled":
                found.append(f"console: {said['args']}")
            elif what == "Log.entryAdded":
                found.append(f"log: {said['entry']['text']} {said['entry'].get('url')}")
            elif what == "Audits.issueAdded":
                found.append(f"issue: {json.dumps(said['issue'])}")
        return found

    def requests(self):
        """The addresses that were asked for."""
        return [e["params"]["request"]["url"] for e in self.events
                if e["method"] == "Network.requestWillBeSent"]

    def transferred(self):
        """Bytes of all answers until now, their heads included."""
        return sum(e["params"]["encodedDataLength"] for e in self.events
                   if e["method"] == "Network.loadingFinished")

    def thread_time(self):
        """Seconds that the page's thread has computed."""
        metrics = self.call("Performance.getMetrics")["metrics"]
        return next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    def end(self):
        """Ends the browser and all its processes."""
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(20)
        except (OSError, EOFError, TimeoutError, RuntimeError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, 9)
        except ProcessLookupError:
            pass
        self.process.wait()
