"""A table of results that grows in a file and can be killed at any time.

predictions.csv.partial   the rows so far; whatever follows the bytes that the state counts is cut off before going on
predictions.csv.state     JSON: what the run was asked for, chunks, bytes and rows so far; replaced as a whole
predictions.csv           the finished table; rejected.csv beside it holds its rows with an error

The state is written after the rows are on the disk, so that it never counts what could be lost.
"""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from common.app.errors import ConfigError

COMMIT_EVERY_S = 2.0


@dataclass
class State:
    settings: dict[str, Any] = field(default_factory=dict)
    chunks: int = 0
    bytes: int = 0
    predicted: int = 0
    rejected: int = 0
    last_id: str = ""
    done: bool = False


class GrowingTable:
    """`append` frames, then `finish`; goes on where an earlier run with the same settings was stopped.

    Raises ConfigError where another run is writing, or has left rows that were made with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self.partial, self.state_path = path, _beside(path, ".partial"), _beside(path, ".state")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(_lock_path(path))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(f"output={path}: another process is writing it; choose another output") from None
        self.state = self._continued(dict(settings))
        self._committed = -math.inf  # the first rows are kept at once
        if not self.state.done:
            self._stream = self.partial.open("r+b" if self.state.chunks else "wb")
            self._stream.truncate(self.state.bytes)
            self._stream.seek(self.state.bytes)

    def _continued(self, settings: dict[str, Any]) -> State:
        state = read_state(self.path)
        if state is None:
            return State(settings)
        if state.settings != settings:
            other = [key for key in settings if state.settings.get(key) != settings[key]]
            found = ", ".join(f"{key}={state.settings.get(key)}" for key in other)
            raise ConfigError(
                f"output={self.path} holds an unfinished table of {found or 'other settings'}; run that again to "
                f"finish it, or remove {self.state_path.name}, or choose another output"
            )
        partial = self.partial.is_file() and self.partial.stat().st_size >= state.bytes
        whole = partial or (state.done and self.path.is_file())
        return state if whole else State(settings)

    def append(self, frame: pd.DataFrame) -> None:
        """The rows of the next chunk."""
        # a carriage return would end a line, for readers of CSV; the writer does not quote it
        frame = frame.assign(**{name: frame[name].str.replace("\r", " ") for name in ("id", "error")})
        text = frame.to_csv(index=False, header=not self.state.chunks, lineterminator="\n")
        self._stream.write(text.encode())
        bad = sum(error != "" for error in frame["error"])
        self.state.chunks += 1
        self.state.bytes = self._stream.tell()
        self.state.predicted += len(frame) - bad
        self.state.rejected += bad
        self.state.last_id = str(frame["id"].iloc[-1])
        if time.monotonic() - self._committed > COMMIT_EVERY_S:
            self._commit()

    def _commit(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        write_state(self.path, self.state)
        self._committed = time.monotonic()

    def finish(self) -> None:
        """Give the table its name; may be repeated after a kill in the middle."""
        if not self.state.done:
            self.state.done = True
            self._commit()
            self._stream.close()
        if self.partial.exists():
            self.partial.replace(self.path)

    def close(self) -> None:
        """Keep what there is for a later run, and let go of the file."""
        if not self.state.done:
            if self.state.chunks:
                self._commit()
            self._stream.close()
            if not self.state.chunks:
                self.partial.unlink()
        self._lock.release()

    def remove_state(self) -> None:
        self.state_path.unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def is_result(file: Path, path: Path) -> bool:
    """Whether `file` is one that the table `path` consists of, on its way or finished."""
    ours = file.name.startswith((f"{path.name}", f"{path.stem}.shard-", "rejected.csv"))
    return ours and file.parent.resolve() == path.parent.resolve()


def read_state(path: Path) -> State | None:
    """Of the table `path`; None where no run has begun, or its state is damaged."""
    try:
        return State(**json.loads(_beside(path, ".state").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_state(path: Path, state: State) -> None:
    temporary = _beside(path, ".state.tmp")
    with temporary.open("w") as stream:
        json.dump(asdict(state), stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(_beside(path, ".state"))


def shard_path(path: Path, number: int, count: int) -> Path:
    """predictions.csv -> predictions.shard-3-of-64.csv; `number` from 1."""
    return path if count == 1 else path.with_name(f"{path.stem}.shard-{number}-of-{count}{path.suffix}")


def merge_shards(path: Path, count: int, chunk: int) -> State | None:
    """Write `path` from its shards once all are finished, and remove them; None while one is missing.

    Shard k of n holds the chunks k, k + n, ... of `chunk` rows. Raises ConfigError for shards of different runs.
    """
    parts = [shard_path(path, number, count) for number in range(1, count + 1)]
    with FileLock(_lock_path(path)):
        states = [read_state(part) for part in parts]
        if not all(state and state.done and part.exists() for state, part in zip(states, parts, strict=True)):
            return None
        known = [state for state in states if state]
        for part, state in zip(parts, known, strict=True):
            if state.settings | {"shard": ""} != known[0].settings | {"shard": ""}:
                raise ConfigError(f"{part} was made with other settings than {parts[0]}; remove it and make it again")
        _write_rows(path, _interleaved(parts, chunk))
        write_rejected(path)
        for part in parts:
            for used in (_beside(part, ".state"), _lock_path(part), part):
                used.unlink(missing_ok=True)
    return State(predicted=sum(one.predicted for one in known), rejected=sum(one.rejected for one in known))


def write_rejected(path: Path) -> Path:
    """rejected.csv beside the table `path`: id and reason of the rows with an error."""
    rejected = path.with_name("rejected.csv")
    rows = _rows(path)
    header = next(rows, [])
    name, error = header.index("id"), header.index("error")
    reasons = ([row[name], row[error]] for row in rows if row[error])
    _write_rows(rejected, chain([["input", "reason"]], reasons))
    return rejected


def _rows(path: Path) -> Iterator[list[str]]:
    csv.field_size_limit(2**31 - 1)
    with path.open(newline="", encoding="utf-8") as stream:
        yield from csv.reader(stream)


def _interleaved(parts: Sequence[Path], chunk: int) -> Iterator[Sequence[str]]:
    readers = [_rows(part) for part in parts]
    headers = [next(reader, None) for reader in readers]
    yield next(header for header in headers if header)
    for reader in cycle(readers):
        rows = list(islice(reader, chunk))
        yield from rows
        if len(rows) < chunk:
            return


def _write_rows(path: Path, rows: Iterator[Sequence[str]]) -> None:
    temporary = _beside(path, ".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
