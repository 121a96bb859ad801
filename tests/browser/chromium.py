"""Chromium as Debian has it, driven over its own protocol: found, installed where it may be, started without a window."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
PATIENCE = 90.0
"""Seconds that anything may take: machines on which tests run are busy."""
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "ArrowUp": (38, ""), "Tab": (9, "")}


def found() -> str | None:
    """Where a Chromium is."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


def installed() -> str:
    """Where a Chromium is; where there is none and we may, it is installed. Raises `RuntimeError` in other cases."""
    # Workers of pytest-xdist take turns, so that one of them installs it for all.
    with (Path(tempfile.gettempdir()) / f"antiphon-chromium-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = found()
        if path is None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            for arguments in (["update", "-q"], ["install", "-qy", "--no-install-recommends", "chromium"]):
                done = subprocess.run(["apt-get", *arguments], env=quiet, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise RuntimeError(
                        f"apt-get {arguments[0]} failed, and there is no Chromium:\n{done.stderr[-2000:]}"
                    )
            path = found()
    if path is None:
        raise RuntimeError(
            "The tests of the playground need Chromium, and there is none: `apt-get install chromium` as root. "
            "ANTIPHON_SKIP_BROWSER=1 leaves them out."
        )
    return path


class Browser:
    """A running Chromium. Commands are answered in turn; events are kept for whoever asks."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self.broken = False
        """Whether it did not answer: then it never will."""
        self._number = 0

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] | None = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        while True:
            try:
                if message is not None:
                    self.socket.send(json.dumps(message))
                    message = None
                answer: dict[str, Any] = json.loads(self.socket.recv(PATIENCE))
            except (TimeoutError, ConnectionClosed):
                self.broken = True
                raise
            if answer.get("id") != number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']['message']}")
            else:
                result: dict[str, Any] = answer["result"]
                return result

    @contextmanager
    def page(self, width: int = 1200, height: int = 800) -> Generator[Page]:
        """A page of its own, with nothing that others left behind."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        try:
            yield page
        finally:
            if not self.broken:
                self.call("Target.disposeBrowserContext", browserContextId=context)
                self.events.clear()


class Page:
    """One page: what a person would do with it, and what it did."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser = browser
        self.session = session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression. Raises `RuntimeError` for one that throws."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until an expression is true, and give it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            if time.monotonic() > deadline:
                raise TimeoutError(f"{expression} did not come true; the page says:\n{self.text('body')}")
            time.sleep(0.02)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.until(f"location.href.startsWith({address!r}) && document.readyState === 'complete'")

    def text(self, selector: str) -> str:
        """The text that is seen of the last element there is."""
        return str(self.evaluate(f"[...document.querySelectorAll({selector!r})].at(-1)?.innerText ?? ''"))

    def html(self, selector: str) -> str:
        return str(self.evaluate(f"[...document.querySelectorAll({selector!r})].at(-1)?.innerHTML ?? ''"))

    def count(self, selector: str) -> int:
        return int(self.evaluate(f"document.querySelectorAll({selector!r}).length"))

    def click(self, selector: str) -> None:
        """Press the last element there is, where it is, with the mouse."""
        place = self.evaluate(
            f"(() => {{ const one = [...document.querySelectorAll({selector!r})].at(-1); one.scrollIntoView({{block: 'center'}});"
            "const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", buttons=1, clickCount=1
            )

    def choose(self, selector: str, value: str) -> None:
        self.evaluate(
            f"(() => {{ const one = document.querySelector({selector!r}); one.value = {value!r};"
            "one.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )

    def type(self, text: str, selector: str | None = None) -> None:
        if selector is not None:
            self.evaluate(f"document.querySelector({selector!r}).focus()")
        self.call("Input.insertText", text=text)

    def key(self, name: str, *, shift: bool = False) -> None:
        code, text = KEYS[name]
        known = {"key": name, "code": name, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **known, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def media(self, **features: str) -> None:
        """Such as `prefers_color_scheme="dark"`."""
        told = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=told)

    def screenshot(self) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    # What it did

    def _events(self, method: str) -> Iterator[dict[str, Any]]:
        self.evaluate("1")  # what happened before has been told by then
        for event in list(self.browser.events):
            if event.get("method") == method and event.get("sessionId") == self.session:
                yield event["params"]

    @property
    def requests(self) -> list[str]:
        """The addresses of everything that was fetched, and of every websocket."""
        fetched = [event["request"]["url"] for event in self._events("Network.requestWillBeSent")]
        return fetched + [event["url"] for event in self._events("Network.webSocketCreated")]

    @property
    def complaints(self) -> list[str]:
        """What is on the console: errors, warnings, what the policy forbade."""
        said = [str(event["args"]) for event in self._events("Runtime.consoleAPICalled")]
        said += [str(event["exceptionDetails"]) for event in self._events("Runtime.exceptionThrown")]
        return said + [event["entry"]["text"] for event in self._events("Log.entryAdded")]


@contextmanager
def running() -> Generator[Browser]:
    """A Chromium, for as long as it is wanted. Raises `RuntimeError` where there is none."""
    path = installed()
    with tempfile.TemporaryDirectory(prefix="antiphon-chromium-", ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [path, *FLAGS, f"--user-data-dir={home}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            address = _address(process, Path(home) / "DevToolsActivePort")
            with connect(address, max_size=None, open_timeout=PATIENCE, ping_interval=None, proxy=None) as socket:
                browser = Browser(socket)
                yield browser
                if not browser.broken:
                    with suppress(Exception):
                        browser.call("Browser.close")
        finally:
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            if process.poll() is None:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[bytes], told: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, ValueError):
            port, path = told.read_text().split()
            return f"ws://127.0.0.1:{port}{path}"
        time.sleep(0.05)
    raise RuntimeError(f"Chromium did not start (it ended with {process.poll()}).")
