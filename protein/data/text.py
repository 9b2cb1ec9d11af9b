"""Text files that may be compressed and may be hostile."""

from __future__ import annotations

from pathlib import Path

from common.app.errors import DataFormatError
from common.data.archive import DECOMPRESSORS, Limits, members

LARGEST_BYTES = 2_000_000_000
"""The largest mmCIF files of the Protein Data Bank have about 600 MB."""


def read_bytes(path: str | Path, largest: int = LARGEST_BYTES) -> bytes:
    """Content of a file, unpacked from gzip, bzip2 or xz. Raises DataFormatError if it cannot be had."""
    path = Path(path)
    try:
        if path.stat().st_size > largest:
            raise DataFormatError(
                f"{path} has {path.stat().st_size:,} bytes, more than {largest:,}: refusing to read it"
            )
        with path.open("rb") as stream:
            packed = any(stream.read(6).startswith(magic) for magic in DECOMPRESSORS)
        if packed:
            return next(stream.read() for _, stream in members(path, Limits(bytes=largest, entries=1)))
        return path.read_bytes()
    except OSError as error:
        raise DataFormatError(f"{path} is not readable ({error.strerror}); expected a file") from error


def read_text(path: str | Path, largest: int = LARGEST_BYTES) -> str:
    """As `read_bytes`, as text: UTF-8, or Latin-1 in old files. Raises DataFormatError for binary content."""
    content = read_bytes(path, largest)
    if b"\0" in content:
        raise DataFormatError(f"{path} is not readable as text: it holds binary data")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")
