"""A headless Chromium, driven by its DevTools protocol, so that the tests need a browser and no driver for it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE = 120  # seconds, on a busy machine
_PORT_FILE = "DevToolsActivePort"


def find_chromium() -> str | None:
    """The path of a browser of this machine."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Tab:
    """A page in the browser."""

    def __init__(self, connection: Connection):
        """Begin with an empty one."""
        self._connection, self._number = connection, 0
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(1280, 900)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol; what happens meanwhile is noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=_PATIENCE))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        match event:
            case {"method": "Network.requestWillBeSent", "params": {"request": {"url": url}}}:
                self.requested.append(url)
            case {"method": "Runtime.exceptionThrown", "params": {"exceptionDetails": details}}:
                self.complaints.append(str(details))
            case {"method": "Log.entryAdded", "params": {"entry": {"level": "error", "text": text}}}:
                self.complaints.append(text)

    def evaluate(self, expression: str) -> Any:
        """The value of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until JavaScript is true."""
        until = time.monotonic() + _PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < until, f"never: {expression}; {self.complaints}"
            time.sleep(0.1)

    def open(self, url: str) -> None:
        """Go to a page."""
        self.call("Page.navigate", url=url)

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Give the window a size, px, and the light or the dark scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def centre(self, selector: str) -> tuple[float, float]:
        """Of an element, in px of the window, into which it is scrolled."""
        x, y = self.evaluate(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect(); "
            f"return [r.x + r.width / 2, r.y + r.height / 2] }})(document.querySelector({json.dumps(selector)}))"
        )
        return x, y

    def click(self, selector: str) -> None:
        """Click on an element."""
        self.drag([self.centre(selector)])

    def drag(self, places: list[tuple[float, float]]) -> None:
        """Press the mouse's button at the first place, move over the others, and let go."""
        self._mouse("mousePressed", places[0])
        for place in places[1:]:
            self._mouse("mouseMoved", place)
        self._mouse("mouseReleased", places[-1])

    def _mouse(self, kind: str, place: tuple[float, float]) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", buttons=1, clickCount=1)

    def press(self, key: str, times: int = 1) -> None:
        """Press a key."""
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if key == " " else "")

    def drop(self, files: list[Path], selector: str) -> None:
        """Drop files onto an element, as from a window of files."""
        x, y = self.centre(selector)
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def chromium_tab(executable: str, folder: Path) -> Iterator[Tab]:
    """A tab of a new browser that downloads into `folder`/downloads."""
    profile, downloads = folder / "profile", folder / "downloads"
    downloads.mkdir()
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage")
    command = [executable, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    with (folder / "chromium.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as browser:
        try:
            until = time.monotonic() + _PATIENCE
            while not (port_file := profile / _PORT_FILE).is_file() or port_file.read_text().count("\n") < 1:
                assert browser.poll() is None, (folder / "chromium.log").read_text()
                assert time.monotonic() < until, "Chromium does not start"
                time.sleep(0.1)
            port, path = port_file.read_text().split("\n")[:2]
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None) as connection:
                tab = Tab(connection)
                tab.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
                yield tab
        finally:
            browser.terminate()
