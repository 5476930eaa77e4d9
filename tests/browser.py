"""A headless Chromium, driven over its pipe: pages are opened and clicked as by a person."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any, Self

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_WAIT = 30_000  # the most milliseconds that a script may wait


class Browser:
    """One page."""

    def __init__(self, folder: Path, width: int = 1200, height: int = 900) -> None:
        """Start it; skips the test where there is no Chromium."""
        command = next(filter(None, map(shutil.which, NAMES)), None)
        if command is None:
            pytest.skip("there is no Chromium here (apt-get install chromium)")
        ours_in, self._out = os.pipe()
        self._in, ours_out = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4.
        script = f'exec "$0" "$@" 3<&{ours_in} 4>&{ours_out}'
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        options += [f"--window-size={width},{height}", f"--user-data-dir={folder / 'profile'}"]
        self._process = subprocess.Popen(
            ["bash", "-c", script, command, *options, "about:blank"],
            pass_fds=(ours_in, ours_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(ours_in)
        os.close(ours_out)
        self._buffer, self._number, self._session = b"", 0, ""
        pages = self._send("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def _send(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._in, 1 << 16)
            assert more, "Chromium has ended"
            self._buffer += more
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def open(self, path: Path) -> None:
        """Open a file and wait until it is there."""
        self._send("Page.navigate", url=path.as_uri())
        self.ask(
            "new Promise(done => { const wait = () => document.readyState === 'complete' && "
            "location.protocol === 'file:' ? done(true) : setTimeout(wait, 20); wait(); })"
        )

    def ask(self, script: str) -> Any:  # noqa: ANN401 (whatever the script gives)
        """The value of an expression in the page."""
        answer = self._send(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            timeout=_WAIT,
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Move the mouse onto an element and press."""
        place = self.ask(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
            f" return [r.x + 30, r.y + r.height / 2]; }})(document.querySelector({selector!r}))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._send(
                "Input.dispatchMouseEvent",
                type=kind,
                x=place[0],
                y=place[1],
                button="left",
                clickCount=1,
            )

    def key(self, text: str) -> None:
        """Press a key that is a letter, or Enter."""
        typed = "\r" if text == "Enter" else text
        self._send("Input.dispatchKeyEvent", type="keyDown", key=text, text=typed)
        self._send("Input.dispatchKeyEvent", type="keyUp", key=text)

    def screenshot(self, path: Path) -> None:
        """Write what is seen, as PNG."""
        path.write_bytes(b64decode(self._send("Page.captureScreenshot", format="png")["data"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = ""
        with contextlib.suppress(OSError, AssertionError):
            self._send("Browser.close")
        self._process.wait(20)
        os.close(self._in)
        os.close(self._out)
