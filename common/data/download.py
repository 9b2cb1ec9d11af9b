"""One file from an address to a folder: whole and verified under its name, or not there at all."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from common.app.errors import DownloadError
from common.data.artifact import sha256_of
from common.data.locations import is_url
from common.data.lock import locked

CHUNK_BYTES = 1 << 18
WAITS_S = (1.0, 4.0, 16.0)
"""Pauses before the second, third and fourth attempt."""


class _PassingFault(DownloadError):
    """A fault that another attempt may not meet."""


def download(
    location: str,
    target: Path,
    *,
    size: int,
    sha256: str | None,
    timeout_s: float = 30.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Bring `location`, an http(s) address or a path, to `target` and return `target`.

    With a `sha256` the file must have exactly `size` bytes and that hash. Without one, `size` is the most it may have.
    The bytes go to a unique temporary file beside `target`, which takes its name once it is verified; several processes
    asking for one file share one transfer. Broken connections, silence for `timeout_s`, status 429 and 5xx and wrong
    content are tried again.

    Raises DownloadError naming the location, what was found and what was expected.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target) as alone:
            if holds(target, size, sha256):
                return target
            if alone:  # whoever left these behind is dead: it would hold the lock
                for leftover in target.parent.glob(f".{target.name}.*.part"):
                    leftover.unlink(missing_ok=True)
            _attempt_all(location, target, size, sha256, timeout_s, sleep)
    except OSError as error:
        raise DownloadError(
            f"cannot write {target} ({error}); free space or rights there, or set TRIFOLD_CACHE to another folder"
        ) from error
    return target


def holds(path: Path, size: int, sha256: str | None) -> bool:
    """Whether `path` is a file of the registered content (without a hash: of no more than `size` bytes)."""
    if not path.is_file():
        return False
    found = path.stat().st_size
    return found <= size if sha256 is None else found == size and sha256_of(path) == sha256


def _attempt_all(
    location: str, target: Path, size: int, sha256: str | None, timeout_s: float, sleep: Callable[[float], None]
) -> None:
    for wait in (*WAITS_S, None):
        try:
            return _transfer(location, target, size, sha256, timeout_s)
        except _PassingFault as fault:
            if wait is None:
                raise DownloadError(f"{fault} ({len(WAITS_S) + 1} attempts)") from fault
            sleep(wait)


def _transfer(location: str, target: Path, size: int, sha256: str | None, timeout_s: float) -> None:
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    digest, received = hashlib.sha256(), 0
    try:
        with part.open("xb") as stream:
            with _opened(location, timeout_s) as chunks, _progress(target.name, location, size) as advance:
                for chunk in chunks:
                    received += len(chunk)
                    if received > size:
                        raise _PassingFault(f"{location} sends more than the {size} bytes expected: stopped there")
                    digest.update(chunk)
                    stream.write(chunk)
                    advance(len(chunk))
            stream.flush()
            os.fsync(stream.fileno())
        _check(location, received, digest.hexdigest(), size, sha256)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _check(location: str, received: int, digest: str, size: int, sha256: str | None) -> None:
    if sha256 is None:
        return
    if received != size:
        raise _PassingFault(f"{location} sent {received} bytes, expected {size}: cut off, or another file")
    if digest != sha256:
        raise _PassingFault(
            f"{location} sent a file with SHA-256 {digest}, expected {sha256}: damaged or replaced. "
            "If the publisher changed it, this version of the suite cannot use it; try another mirror"
        )


@contextmanager
def _opened(location: str, timeout_s: float) -> Iterator[Iterator[bytes]]:
    if is_url(location):
        with _opened_url(location, timeout_s) as chunks:
            yield chunks
    elif Path(location).is_file():
        with Path(location).open("rb") as stream:
            yield iter(lambda: stream.read(CHUNK_BYTES), b"")
    else:
        raise DownloadError(f"{location} is not there")


@contextmanager
def _opened_url(url: str, timeout_s: float) -> Iterator[Iterator[bytes]]:
    import requests

    permanent = (requests.TooManyRedirects, requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL)
    try:
        # Sizes and hashes are those of the stored file, so no encoding may change the bytes on the way.
        headers = {"Accept-Encoding": "identity", "User-Agent": "trifold"}
        with requests.get(url, stream=True, timeout=timeout_s, headers=headers) as response:
            if response.status_code != 200:
                kind = _PassingFault if response.status_code == 429 or response.status_code >= 500 else DownloadError
                raise kind(f"{response.url} answered {response.status_code} {response.reason}, expected 200")
            yield response.iter_content(CHUNK_BYTES)
    except permanent as error:  # requests follows redirects to http and https only
        raise DownloadError(f"{url} leads nowhere that may be followed ({error}); expected http or https") from error
    except requests.RequestException as error:
        raise _PassingFault(f"{url} could not be read ({type(error).__name__}: {error})") from error


@contextmanager
def _progress(name: str, location: str, size: int) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():
        print(f"fetching {name} from {urlsplit(location).hostname or location}", file=sys.stderr)
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        row = bar.add_task(name, total=size)
        yield lambda count: bar.advance(row, count)
