"""Text files of any length, plain or compressed by gzip, line by line in bounded memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from common.app.errors import DataFormatError

MAX_RECORD_CHARACTERS = 4 * 2**20
"""Longest line, and longest record of several lines: more is damage, or a bomb."""

UTF16 = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def opened_text(path: Path, raw: BinaryIO) -> Iterator[Iterator[str]]:
    """The lines of `raw` with their ends. Bytes that are no text become replacement characters; a BOM is dropped.

    Raises DataFormatError, naming the file, where it cannot be read to its end.
    """
    try:
        if raw.read(2) in UTF16:
            raise DataFormatError(f"{path} is UTF-16 text; save it as UTF-8")
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw
        # newline="" leaves line ends to csv, which knows those inside quotes
        yield _lines(path, io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline=""))  # pyright: ignore
    except (OSError, EOFError, zlib.error) as error:
        raise DataFormatError(f"{path} cannot be read to its end ({error}); is it damaged?") from error


def _lines(path: Path, stream: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := stream.readline(MAX_RECORD_CHARACTERS):
        number += 1
        if len(line) == MAX_RECORD_CHARACTERS:
            raise DataFormatError(f"{path}, line {number} has more than {MAX_RECORD_CHARACTERS:,} characters")
        yield line
    stream.detach()


class Record:
    """Lines that belong together; of one that is too long only the length is kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.size = 0

    def add(self, line: str) -> None:
        self.size += len(line)
        if self.size <= MAX_RECORD_CHARACTERS:
            self.lines.append(line)

    def source(self, make: Callable[[str], Any] = str) -> Any:
        """What `make` makes of the text, or the error that says why there is none."""
        if self.size > MAX_RECORD_CHARACTERS:
            return DataFormatError(f"has {self.size:,} characters; expected at most {MAX_RECORD_CHARACTERS:,}")
        return make("".join(self.lines))
