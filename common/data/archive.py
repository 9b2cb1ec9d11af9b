"""Files out of zip, tar and gzip archives that may be hostile.

Bounds hold for what comes out, counted while it comes out: sizes that an archive states about itself are not believed.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from common.app.errors import DataFormatError

HARMLESS_BYTES = 1 << 20
"""Output below this size is allowed whatever the compression ratio."""

READ_BYTES = 1 << 18

DECOMPRESSORS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
"""By the first bytes of a file."""

TAR_NAME = re.compile(r"\.(tar(\.\w+)?|tgz|tbz2?|txz)$", re.IGNORECASE)

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, OSError,
          NotImplementedError, RuntimeError, ValueError)  # fmt: skip
"""What the readers of the standard library raise on damaged, encrypted or unsupported content."""


class Readable(Protocol):
    """A stream of bytes that is read from front to back."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Limits:
    """The most that an archive may unpack to."""

    bytes: int = 2_000_000_000
    entries: int = 100_000
    ratio: int = 200
    """Bytes out per byte of the archive."""


DEFAULT_LIMITS = Limits()


def members(archive: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[str, Readable]]:
    """The regular files of an archive in stored order: name, and a stream to read before the next one is asked for.

    Reads zip, tar (plain or in gzip, bzip2, xz) and a single file in gzip, bzip2 or xz; not zstd.

    Raises DataFormatError for an archive that is damaged, goes beyond `limits`, repeats a name, or holds anything but
    plain files and folders with relative names. Damage inside a tar that is not compressed can pass for its end.
    """
    seen: set[str] = set()
    with _damage_reported(archive):
        for name, stream in _walk(archive, limits):
            if name in seen:
                raise DataFormatError(f"{archive} holds '{name}' twice; expected every name once")
            seen.add(name)
            yield name, stream


def extract(archive: Path, folder: Path, limits: Limits = DEFAULT_LIMITS) -> None:
    """Unpack `archive` as the new folder `folder`; after an error nothing of it remains.

    Raises DataFormatError as `members` does, and FileExistsError if `folder` is there already.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; remove it or name another folder")
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir(parents=True)
    try:
        for name, stream in members(archive, limits):
            target = temporary / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                output = target.open("xb")
            except (FileExistsError, NotADirectoryError) as error:
                raise DataFormatError(f"{archive} holds '{name}' beside a file or folder of the same name") from error
            with output:
                shutil.copyfileobj(stream, output)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Bounded:
    """Streams that together give no more bytes than the limits of their archive allow."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        self.archive, self.limits = archive, limits
        self.archive_bytes = archive.stat().st_size
        self.left = min(limits.bytes, max(HARMLESS_BYTES, limits.ratio * self.archive_bytes))

    def over(self, stream: IO[bytes]) -> Readable:
        return _BoundedStream(stream, self)

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise DataFormatError(
                f"{self.archive} ({self.archive_bytes} bytes) unpacks to more than {self.limits.bytes} bytes or "
                f"{self.limits.ratio} times its size: refusing to go on"
            )


class _BoundedStream:
    def __init__(self, stream: IO[bytes], bound: _Bounded) -> None:
        self.stream, self.bound = stream, bound

    def read(self, size: int = -1, /) -> bytes:
        most = self.bound.left + 1
        with _damage_reported(self.bound.archive):
            data = self.stream.read(most if size < 0 else min(size, most))
        self.bound.spend(len(data))
        return data


@contextmanager
def _damage_reported(archive: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except DAMAGE as error:
        raise DataFormatError(f"{archive} is damaged or of an unknown kind ({error}); fetch it again") from error


def _walk(archive: Path, limits: Limits) -> Iterator[tuple[str, Readable]]:
    with archive.open("rb") as stream:
        head = stream.read(512)
    if head.startswith(b"PK"):
        yield from _walk_zip(archive, limits)
        return
    opener = next((opener for magic, opener in DECOMPRESSORS.items() if head.startswith(magic)), None)
    if opener is None and head[257:262] != b"ustar":
        raise DataFormatError(f"{archive} begins with {head[:6]!r}; expected a zip, tar, gzip, bzip2 or xz archive")
    with archive.open("rb") if opener is None else opener(archive, "rb") as content:
        bounded = _Bounded(archive, limits).over(content)
        if opener is None or TAR_NAME.search(archive.name):
            yield from _walk_tar(archive, bounded, limits)
        else:
            yield archive.stem, bounded


def _walk_zip(archive: Path, limits: Limits) -> Iterator[tuple[str, Readable]]:
    bound = _Bounded(archive, limits)
    with zipfile.ZipFile(archive) as content:
        for count, entry in enumerate(content.infolist()):
            _check_count(archive, count, limits)
            name = _checked_name(archive, entry.filename)
            mode = stat.S_IFMT(entry.external_attr >> 16)
            if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataFormatError(f"{archive} holds '{name}', a link or device; expected plain files and folders")
            if not entry.is_dir():
                with content.open(entry) as stream:
                    yield name, bound.over(stream)


def _walk_tar(archive: Path, stream: Readable, limits: Limits) -> Iterator[tuple[str, Readable]]:
    bound, count = _Bounded(archive, limits), 0
    with tarfile.open(fileobj=stream, mode="r|", bufsize=READ_BYTES) as content:  # pyright: ignore
        while (entry := content.next()) is not None:
            content.members.clear()  # the list of all headers would cost more memory than the files
            _check_count(archive, count, limits)
            count += 1
            name = _checked_name(archive, entry.name)
            if entry.isdir():
                continue
            # A sparse file writes terabytes of zeros out of a few bytes.
            if not entry.isreg() or entry.issparse():
                raise DataFormatError(f"{archive} holds '{name}', a link, device or sparse file; expected plain files")
            file = content.extractfile(entry)
            assert file is not None
            yield name, bound.over(file)
    while stream.read(READ_BYTES):  # to the end, where the compressed formats keep their checksum
        pass


def _check_count(archive: Path, count: int, limits: Limits) -> None:
    if count >= limits.entries:
        raise DataFormatError(f"{archive} holds more than {limits.entries} entries: refusing to go on")


def _checked_name(archive: Path, name: str) -> str:
    parts = PurePosixPath(name).parts
    reasons = {
        "an absolute path": name.startswith("/") or re.match("[A-Za-z]:", name),
        "a path out of its folder": ".." in parts,
        "no name that every system takes": not name.isprintable() or "\\" in name or len(name) > 1000,
        "a longer name than file systems take": any(len(part.encode()) > 200 for part in parts),
    }
    for reason, found in reasons.items():
        if found:
            raise DataFormatError(f"{archive} holds {name[:200]!r}, {reason}: refusing to unpack it")
    return str(PurePosixPath(name))
