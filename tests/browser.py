"""A headless Chromium, spoken to by its DevTools protocol through two pipes: no library, no port.

Assumes one of NAMES on the path. A Browser holds one page; `errors` has every exception, console error and
blocked or failed request of it, `requests` every address that it asked for.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0
"""Seconds until an answer is given up."""


def path_of_browser() -> str | None:
    """The first browser there is."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page of a browser; to be used as a context. Points are CSS pixels."""

    def __init__(self, width: int = 1100, height: int = 750) -> None:
        self.size = {"width": width, "height": height}
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.count, self.rest = 0, b""

    def __enter__(self) -> Browser:
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        ours_read, theirs_write = os.pipe()
        theirs_read, ours_write = os.pipe()
        # It reads from descriptor 3 and writes to 4; a shell moves the pipes there. The ends were made in
        # rising order, so that the one to be written to is never 3.
        script = f'exec "$@" 3<&{theirs_read} 4>&{theirs_write}'
        command = [
            str(path_of_browser()), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
            "--no-first-run", "--disable-dev-shm-usage", f"--user-data-dir={self.home.name}", "about:blank",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            ["bash", "-c", script, "browser", *command], pass_fds=(theirs_read, theirs_write),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_read)
        os.close(theirs_write)
        self.read, self.write, self.session = ours_read, ours_write, ""
        pages = self.ask("Target.getTargets")["targetInfos"]
        target = next(p["targetId"] for p in pages if p["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setDeviceMetricsOverride", **self.size, deviceScaleFactor=1, mobile=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.write)
        os.close(self.read)
        self.process.terminate()
        self.process.wait()
        self.home.cleanup()

    # -- the protocol

    def ask(self, method: str, **parameters: Any) -> Any:
        """Send a command and wait for its result."""
        self.count += 1
        number = self.count
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            answer = self._message(end)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)

    def _message(self, end: float) -> dict[str, Any]:
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.read], [], [], max(end - time.monotonic(), 0))
            data = os.read(self.read, 1 << 20) if ready else b""
            assert data, "the browser does not answer"
            self.rest += data
        message, _, self.rest = self.rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        kind, said = event.get("method", ""), event.get("params", {})
        if kind == "Runtime.exceptionThrown":
            self.errors.append(str(said["exceptionDetails"]))
        elif kind == "Runtime.consoleAPICalled" and said["type"] in ("error", "assert", "warning"):
            self.errors.append(str(said["args"]))
        elif kind == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.errors.append(str(said["entry"]))
        elif kind == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])

    # -- what a reader does

    def open(self, file: Path) -> None:
        """Load a file and wait until its fonts are there."""
        self.ask("Page.navigate", url=file.resolve().as_uri())
        end = time.monotonic() + PATIENCE
        while self.run("document.readyState") != "complete" or self.run("location.href") == "about:blank":
            assert time.monotonic() < end
        self.run("document.fonts.ready.then(() => true)")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def place(self, selector: str) -> tuple[float, float]:
        """The middle of the first element of a selector."""
        found = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.run(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({found})")
        return x, y

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """kind: Moved, Pressed, Released or Wheel."""
        self.ask("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)

    def hover(self, selector: str) -> None:
        self.mouse("Moved", *self.place(selector))

    def click(self, selector: str) -> None:
        self.click_at(*self.place(selector))

    def click_at(self, x: float, y: float) -> None:
        self.mouse("Moved", x, y)
        for kind in ("Pressed", "Released"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.mouse("Moved", *start)
        self.mouse("Pressed", *start, button="left", clickCount=1)
        for step in (0.3, 0.7, 1.0):
            x, y = (a + step * (b - a) for a, b in zip(start, end, strict=True))
            self.mouse("Moved", x, y, button="left", buttons=1)
            self.run("new Promise(done => requestAnimationFrame(() => done(true)))")  # moves wait for a frame
        self.mouse("Released", *end, button="left", clickCount=1)

    def key(self, key: str) -> None:
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self) -> bytes:
        """A png."""
        return base64.b64decode(self.ask("Page.captureScreenshot")["data"])
