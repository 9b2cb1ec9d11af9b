"""A headless Chromium behind a pipe in the DevTools protocol: what a page shows, asks for and complains of.

    with Browser() as browser:
        visit = browser.visit("http://127.0.0.1:8000/index.html", PHONE)

Protocol: https://chromedevtools.github.io/devtools-protocol
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--hide-scrollbars", "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip
DOMAINS = ("Page", "Runtime", "Log", "Network")
LOOK = """new Promise(seen => requestAnimationFrame(() => setTimeout(() => seen({
    links: [...document.querySelectorAll('a[href]')].map(a => a.href),
    anchors: [...document.querySelectorAll('[id]')].map(e => e.id),
    pictures: [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.currentSrc.slice(0, 200)),
    title: document.title,
    text: document.body.innerText.length,
    wide: document.documentElement.scrollWidth - window.innerWidth,
}), 50)))"""


class Screen(NamedTuple):
    width: int
    height: int


DESKTOP, PHONE = Screen(1280, 900), Screen(390, 844)


@dataclass
class Visit:
    """One page as it was rendered."""

    url: str
    links: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    title: str = ""
    problems: list[str] = field(default_factory=list)
    """Errors of the console, pictures that are missing, requests that failed or left the page's own host."""


def chromium() -> str | None:
    """The browser's program, where there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One browser with one tab; use it as a context."""

    def __enter__(self) -> Browser:
        program = chromium()
        if program is None:
            raise FileNotFoundError(f"no browser: none of {', '.join(NAMES)} is on the PATH")
        self._home = tempfile.mkdtemp(prefix="trifold-chromium-")
        hear_commands, self._commands = os.pipe()
        self._answers, say_answers = os.pipe()
        moved = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        moved += [(os.POSIX_SPAWN_DUP2, hear_commands, 3), (os.POSIX_SPAWN_DUP2, say_answers, 4)]
        arguments = [program, *FLAGS, f"--user-data-dir={self._home}"]
        self._process = os.posix_spawn(program, arguments, os.environ, file_actions=moved, setpgroup=0)
        os.close(hear_commands)
        os.close(say_answers)
        self._read, self._number, self._session, self._events = b"", 0, None, []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in DOMAINS:
            self._ask(f"{domain}.enable")
        self._ask("Page.setLifecycleEventsEnabled", enabled=True)
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._commands)
        os.close(self._answers)
        shutil.rmtree(self._home, ignore_errors=True)

    def visit(self, url: str, screen: Screen = DESKTOP) -> Visit:
        """Load a page and look at it."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=screen.width, height=screen.height, deviceScaleFactor=1,
            mobile=screen.width < DESKTOP.width,
        )  # fmt: skip
        self._ask("Page.navigate", url="about:blank")
        self._events.clear()
        document = self._ask("Page.navigate", url=url)["loaderId"]
        while not any(_loaded(event, document) for event in self._events):
            self._events.append(self._receive())
        seen = self._ask("Runtime.evaluate", expression=LOOK, awaitPromise=True, returnByValue=True)["result"]["value"]
        problems = [text for event in self._events for text in _complaint(event, url)]
        problems += [f"missing picture {source}" for source in seen["pictures"]]
        if seen["wide"] > 0:
            problems.append(f"{seen['wide']} pixels wider than a screen of {screen.width}")
        if not seen["title"] or not seen["text"]:
            problems.append("empty page, or one without title")
        return Visit(url, seen["links"], seen["anchors"], seen["title"], problems)

    def picture(self, path: Path) -> None:
        """Write what is on the screen as PNG."""
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; what happens meanwhile is kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            self._events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            piece = os.read(self._answers, 1 << 20)
            if not piece:
                raise RuntimeError("the browser ended")
            self._read += piece
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)


def _loaded(event: dict[str, Any], document: str) -> bool:
    """Whether this document has loaded; the empty page before it may say so late, which is not meant."""
    given = event.get("params", {})
    is_load = event["method"] == "Page.lifecycleEvent" and given["name"] == "load"
    return is_load and given["loaderId"] == document


def _complaint(event: dict[str, Any], page: str) -> list[str]:
    """What an event says about a fault of the page."""
    given = event.get("params", {})
    match event["method"]:
        case "Runtime.exceptionThrown":
            details = given["exceptionDetails"]
            return [f"exception {details.get('exception', {}).get('description', details['text'])}"]
        case "Runtime.consoleAPICalled" if given["type"] in ("error", "assert"):
            return ["console " + " ".join(str(one.get("value", one.get("description"))) for one in given["args"])]
        case "Log.entryAdded" if given["entry"]["level"] == "error":
            return [f"log {given['entry']['text']} {given['entry'].get('url', '')}"]
        case "Network.loadingFailed" if not given.get("canceled"):
            return [f"request failed: {given['errorText']}"]
        case "Network.requestWillBeSent" if _leaves(given["request"]["url"], page):
            return [f"request to another host: {given['request']['url']}"]
    return []


def _leaves(url: str, page: str) -> bool:
    address = urlsplit(url)
    return address.scheme in ("http", "https", "ws", "wss") and address.netloc != urlsplit(page).netloc
