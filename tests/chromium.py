"""A headless Chromium with software WebGL, driven over its debugging pipe; needs no package beside the browser.

As a program it takes the picture of an exported page: `python chromium.py PAGE.html OUT.png 600x450`.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--force-device-scale-factor=1"),
    *("--proxy-server=127.0.0.1:9", "--remote-debugging-pipe"),  # no request gets out
]


def find_browser() -> str | None:
    """Return the program, or None where there is none; `LSM_CHROMIUM` names another."""
    return os.environ.get("LSM_CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page of the browser."""

    def __init__(self, process: subprocess.Popen[bytes], write: int, read: int) -> None:
        self._process, self._write, self._read = process, write, read
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.console: list[str] = []
        self.requests: list[str] = []

    def open(self, url: str, width: int, height: int) -> None:
        """Open a page of a size."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def wait_for(self, script: str, timeout_s: float) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + timeout_s
        while not self.evaluate(script):
            if time.monotonic() > end:
                note = self.evaluate("document.body.innerText")
                raise TimeoutError(f"'{script}' did not become true; page: {note!r}; console: {self.console}")
            time.sleep(0.1)

    def picture(self) -> NDArray[np.uint8]:
        """Return what is shown, [H, W, 3]."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return np.array(Image.open(io.BytesIO(data)).convert("RGB"))

    def drag(self, start: tuple[int, int], end: tuple[int, int], steps: int = 5) -> None:
        """Drag with the left button."""
        self._mouse("mousePressed", start)
        for k in range(1, steps + 1):
            x, y = (round(a + (b - a) * k / steps) for a, b in zip(start, end, strict=True))
            self._mouse("mouseMoved", (x, y))
        self._mouse("mouseReleased", end)

    def press(self, key: str) -> None:
        """Press a key that types a letter."""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, element: str) -> None:
        """Click in the middle of what a JavaScript expression finds."""
        box = self.evaluate(
            f"(() => {{ const e = {element}; e.scrollIntoView({{block: 'nearest'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        if box is None:
            raise LookupError(f"not found: {element}; console: {self.console}")
        at = (round(box[0]), round(box[1]))
        self._mouse("mousePressed", at)
        self._mouse("mouseReleased", at)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def enter(self) -> None:
        """Press the enter key."""
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        self.call("Input.dispatchKeyEvent", type="keyDown", text="\r", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def _mouse(self, kind: str, at: tuple[int, int]) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", buttons=1, clickCount=1)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        """Keep what the page said and asked for."""
        kind, details = event.get("method"), event.get("params", {})
        if kind == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(a.get("value", a.get("description"))) for a in details["args"]))
        elif kind == "Runtime.exceptionThrown":
            self.console.append(str(details["exceptionDetails"].get("exception", {}).get("description")))
        elif kind == "Log.entryAdded":
            self.console.append(details["entry"]["text"])
        elif kind == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"][:80])

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], 60)[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise RuntimeError(f"the browser ended with {self._process.poll()}")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))


@contextlib.contextmanager
def browser(program: str, profile: Path) -> Iterator[Page]:
    """Start the browser with a profile of its own, and end it."""
    to_browser, from_us = os.pipe()
    to_us, from_browser = os.pipe()

    def connect() -> None:
        """Put the pipes where the browser looks for them: 3 to read from, 4 to write to."""
        os.dup2(to_browser, 100)
        os.dup2(from_browser, 101)
        os.dup2(100, 3)
        os.dup2(101, 4)

    process = subprocess.Popen(
        [program, *OPTIONS, f"--user-data-dir={profile}"],
        preexec_fn=connect,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Page(process, from_us, to_us)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(from_us)
        os.close(to_us)


def take_picture(page_file: Path, picture_file: Path, width: int, height: int) -> None:
    """Open an exported page and save what it shows."""
    program = find_browser()
    if program is None:
        raise SystemExit("no Chromium on this machine (apt install chromium, or name one in LSM_CHROMIUM)")
    with tempfile.TemporaryDirectory() as folder, browser(program, Path(folder)) as page:
        page.open(page_file.resolve().as_uri(), width, height)
        page.wait_for("document.documentElement.dataset.state === 'ready'", 90)
        Image.fromarray(page.picture()).save(picture_file, optimize=True)


if __name__ == "__main__":
    take_picture(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3].split("x")))
