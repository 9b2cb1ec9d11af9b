"""Every page of a built site in a browser, at the width of a desktop and of a phone."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docs.check.browser import DESKTOP, PHONE, Browser, Visit


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, served on this machine only."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def check_site(folder: Path, names: Sequence[str] | None = None, pictures: Path | None = None) -> list[str]:
    """What is wrong with the pages of a folder; `pictures` gets a PNG of each page and width.

    names  of pages below the folder; null: all
    """
    pages = [folder / name for name in names] if names else sorted(folder.rglob("*.html"))
    problems: list[str] = []
    visits: dict[str, Visit] = {}
    with served(folder) as address, Browser() as browser:
        for page in pages:
            name = page.relative_to(folder).as_posix()
            for screen in (DESKTOP, PHONE):
                visit = browser.visit(f"{address}/{name}", screen)
                problems += [f"{name} at width {screen.width}: {text}" for text in visit.problems]
                visits[name] = visit
                if pictures:
                    pictures.mkdir(parents=True, exist_ok=True)
                    browser.picture(pictures / f"{name.replace('/', '-')}-{screen.width}.png")
        for name, visit in visits.items():
            problems += [f"{name}: {text}" for text in _broken_links(visit, address, folder, visits)]
    return list(dict.fromkeys(problems))


def _broken_links(visit: Visit, address: str, folder: Path, visits: dict[str, Visit]) -> Iterator[str]:
    for link in visit.links:
        if not link.startswith(address):
            continue  # other hosts are not asked
        parts = urlsplit(link)
        name = unquote(parts.path).lstrip("/")
        target = folder / (name or "index.html")
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file():
            yield f"broken link to /{name}"
            continue
        known = visits.get(target.relative_to(folder).as_posix())
        if parts.fragment and known and unquote(parts.fragment) not in known.anchors:
            yield f"broken link to /{name}#{unquote(parts.fragment)}"
