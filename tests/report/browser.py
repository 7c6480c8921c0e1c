"""A headless Chromium driven over its debugging pipe: what a page asks for, complains about, looks like."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
PATIENCE = 20.0  # seconds
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
]


class Page:
    """One tab. `requests`: every address asked for; `errors`: exceptions, console errors, policy violations."""

    def __init__(self, to: int, back: int) -> None:
        self.to, self.back, self.number, self.session, self.heard = to, back, 0, "", b""
        self.requests: list[str] = []
        self.errors: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command, answered; events met on the way are noted."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            heard = json.loads(self.read())
            if heard.get("id") == self.number:
                assert "error" not in heard, heard
                return heard["result"]  # type: ignore[no-any-return]
            self.note(heard.get("method", ""), heard.get("params", {}))

    def read(self) -> bytes:
        """The next message; an error if there is none in time."""
        while b"\0" not in self.heard:
            ready, _, _ = select.select([self.back], [], [], PATIENCE)
            assert ready, f"Chromium said nothing for {PATIENCE} s; errors so far: {self.errors}"
            part = os.read(self.back, 1 << 16)
            assert part, "Chromium closed its pipe"
            self.heard += part
        text, _, self.heard = self.heard.partition(b"\0")
        return text

    def note(self, method: str, params: dict[str, Any]) -> None:
        """Keep what a report must not cause."""
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(json.dumps(params["entry"]))

    def open(self, file: Path, drawn: str = "document.body.dataset.drawn") -> "Page":
        """Open a file and wait until its charts are drawn; a page without script is complete when `drawn` is 'true'."""
        self.call("Page.navigate", url=file.resolve().as_uri())
        for _ in range(200):
            here = f"location.href == {json.dumps(file.resolve().as_uri())} && document.readyState == 'complete'"
            if self.js(f"{here} && {drawn} || ''"):
                return self
            time.sleep(0.05)
        raise AssertionError(f"{file} did not finish drawing: {self.errors}")

    def js(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def view(self, width: int, height: int = 900, scheme: str = "light", phone: bool = False) -> None:
        """The size of the window, and light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme_feature = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=scheme_feature)

    def picture(self, file: Path) -> None:
        """A PNG of the window."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def pdf(self, file: Path) -> None:
        """The printed page."""
        found = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)
        file.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def browser() -> Iterator[Page]:
    """A page of a fresh browser that is closed afterwards."""
    (theirs, to), (back, answers) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:

        def wire() -> None:
            ends = os.dup(theirs), os.dup(answers)  # first out of the way of 3 and 4
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        command = [CHROMIUM, *FLAGS, f"--user-data-dir={home}"]
        process = subprocess.Popen(command, preexec_fn=wire, close_fds=False, stderr=subprocess.DEVNULL)
        os.close(theirs)
        os.close(answers)
        page = Page(to, back)
        try:
            target = page.call("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime", "Log"):
                page.call(f"{domain}.enable")
            yield page
        finally:
            process.kill()
            process.wait(10)
            os.close(to)
            os.close(back)
