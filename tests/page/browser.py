"""A headless Chromium, controlled by the DevTools protocol over a pipe: JSON messages, each followed by a zero byte.

Its profile is a temporary folder. Nothing here sleeps for a fixed time: it waits for an event, and fails if the event has not
come after WAIT_SECONDS.
"""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

WAIT_SECONDS = 30

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe",
]


class Browser:
    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="status-page-")
        # Chromium reads from descriptor 3 and writes to 4. The ends of the pipes get numbers above these, so that moving one
        # does not overwrite the other. bash moves them: sh does not have to support numbers of two digits.
        reads, self.to = os.pipe()
        self.source, writes = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (reads, writes)]
        os.close(reads)
        os.close(writes)
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{ends[0]} 4>&{ends[1]}', program, *FLAGS, f"--user-data-dir={self.profile}"],
            pass_fds=ends, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in ends:
            os.close(end)
        self.changed = threading.Condition()  # with a lock that its owner can take again
        self.last_id = 0
        self.answers = {}
        self.pages = {}
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        rest = b""
        while chunk := os.read(self.source, 1 << 20):
            *messages, rest = (rest + chunk).split(b"\0")
            with self.changed:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self.answers[message["id"]] = message
                    elif page := self.pages.get(message.get("sessionId")):
                        page.events.append(message)
                self.changed.notify_all()

    def call(self, method, session=None, **params):
        with self.changed:
            self.last_id += 1
            number = self.last_id
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        with self.changed:
            assert self.changed.wait_for(lambda: number in self.answers, WAIT_SECONDS), f"no answer to {method}"
            answer = self.answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def page(self, **how):
        return Page(self, **how)

    def close(self):
        self.call("Browser.close")
        self.process.wait(WAIT_SECONDS)
        os.close(self.to)
        shutil.rmtree(self.profile, ignore_errors=True)


# Runs in the page: records what the policy blocked, and layout shifts without an input.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) => violations.push([violatedDirective, blockedURI, sample]));
window.shifts = [];
const unasked = (list) => list.getEntries().filter((shift) => !shift.hadRecentInput);
new PerformanceObserver((list) => unasked(list).forEach((shift) => shifts.push(shift.value))).observe({ type: "layout-shift" });
"""


class Page:
    """A tab with its own storage."""

    def __init__(self, browser, width=1280, height=900, scheme="light", reduced=False):
        self.browser = browser
        self.events = []
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        self.target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.call("Emulation.setTimezoneOverride", timezoneId="Europe/Berlin")
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce" if reduced else "no-preference"}
        self.call("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()])
        self.resize(width, height)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def open(self, url):
        loaded = len(self.of("Page.loadEventFired"))
        self.call("Page.navigate", url=url)
        with self.browser.changed:
            assert self.browser.changed.wait_for(lambda: len(self.of("Page.loadEventFired")) > loaded, WAIT_SECONDS), f"{url} is not loaded"

    def run(self, script):
        """The value of an expression. If it is a promise, waits for it."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script, what=None):
        """Waits until an expression is true."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            value = self.run(script)
            if value:
                return value
            assert time.monotonic() < end, f"{what or script} has not come true; the page says: {self.text()[:2000]}"
            self.run("new Promise(requestAnimationFrame).then(() => 0)")

    def text(self):
        return self.run("document.body.innerText")

    def click(self, selector):
        """A real mouse click on the middle of the element."""
        x, y = self.run(f"""(() => {{
            const node = document.querySelector({json.dumps(selector)});
            node.scrollIntoView({{ block: "center" }});
            const box = node.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, key, **more):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **more)

    def write(self, text):
        self.call("Input.insertText", text=text)

    def of(self, method):
        with self.browser.changed:
            return [event["params"] for event in self.events if event["method"] == method]

    def complaints(self):
        """Warnings and errors of the console, exceptions, and what the policy blocked."""
        console = [str(event["args"]) for event in self.of("Runtime.consoleAPICalled") if event["type"] in ("error", "warning", "assert")]
        log = [f"{entry['entry']['text']} {entry['entry'].get('url', '')}" for entry in self.of("Log.entryAdded") if entry["entry"]["level"] in ("error", "warning")]
        thrown = [str(event["exceptionDetails"]) for event in self.of("Runtime.exceptionThrown")]
        return console + log + thrown + self.run("violations")

    def requested(self):
        return [event["request"]["url"] for event in self.of("Network.requestWillBeSent")]

    def picture(self, path, height=None):
        clip = None
        if height:
            clip = {"x": 0, "y": 0, "width": self.run("innerWidth"), "height": height, "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, **({"clip": clip} if clip else {}))
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
        del self.browser.pages[self.session]
