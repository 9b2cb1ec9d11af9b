"""Mean and spread of every channel and of its tendency, in one pass over the data.

Moments of pieces are merged as in Chan, Golub, LeVeque (1979), Stanford STAN-CS-79-773: stable also where the mean is
large against the spread, as for geopotential. Every grid point counts the same, as in the published statistics of
ClimaX (arXiv 2301.10343) and Stormer (arXiv 2312.03876).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from common.data.artifact import sha256_of
from common.data.cache import cached_arrays
from weather.data.fields import Channel, Fields
from weather.data.quantities import quantity_of

VERSION = "1"
PIECE_BYTES = 16_000_000
HASHED_BYTES = 256_000_000
"""Up to this size a file is known by its SHA-256, beyond by size and time of change: hashing would cost a pass."""


@dataclass(frozen=True)
class Statistics:
    """Of C channels, float64 in their units.

    tendency_mean, tendency_std  of x(t + step) - x(t)
    """

    mean: np.ndarray
    std: np.ndarray
    tendency_mean: np.ndarray
    tendency_std: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray


class Moments:
    """Count, mean and sum of squared deviations of a stream, per channel [C]."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean = np.zeros(channels)
        self.squares = np.zeros(channels)

    def add(self, values: np.ndarray) -> None:
        """Take in [T, C, H, W]."""
        if not len(values):
            return
        count = values.size // values.shape[1]
        mean, squares = np.empty_like(self.mean), np.empty_like(self.mean)
        for c in range(values.shape[1]):
            x = values[:, c].astype(np.float64).reshape(-1)
            mean[c] = x.mean()
            x -= mean[c]
            squares[c] = x @ x
        difference, total = mean - self.mean, self.count + count
        self.mean = self.mean + difference * (count / total)
        self.squares = self.squares + squares + difference**2 * (self.count * count / total)
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Of the population, as numpy's."""
        return np.sqrt(self.squares / self.count)


def statistics(fields: Fields, step_h: float, key: Any = None) -> Statistics:
    """Statistics of all times, with tendencies over `step_h` hours.

    key  content of the data as JSON, such as `fingerprint(files)`; with one, the result is kept in the cache

    Raises ConfigError where no two times are a step apart, and DataFormatError naming the channel where values are not
    finite, impossible for what it measures (a wrong unit), or all the same.
    """
    result = moments(fields, step_h, key)
    check_possible(fields.channels, result, fields.where)
    return result


def moments(fields: Fields, step_h: float, key: Any = None) -> Statistics:
    """The same of values that no physical bounds hold for, such as deviations."""
    if key is None:
        found = _compute(fields, step_h)
    else:
        span = [str(fields.times[0]), str(fields.times[-1]), len(fields)]
        description = {"content": key, "span": span, "step_h": step_h, "channels": [c.label for c in fields.channels]}
        found = cached_arrays("statistics", description, VERSION, lambda: _compute(fields, step_h))
    return Statistics(**found)


def fingerprint(files: Iterable[str | Path]) -> list[list[Any]]:
    """What identifies the content of files and Zarr stores; of addresses, the address."""
    return [[Path(str(file)).name, _fingerprint(str(file))] for file in files]


def check_possible(channels: Sequence[Channel], found: Statistics, where: str) -> None:
    """Raise DataFormatError for a channel whose values no atmosphere has, or that never changes."""
    for number, channel in enumerate(channels):
        quantity = quantity_of(channel.variable)
        low, high = float(found.minimum[number]), float(found.maximum[number])
        if quantity and not (quantity.possible[0] <= low and high <= quantity.possible[1]):
            raise DataFormatError(
                f"{where}: {channel.label} runs from {low:g} to {high:g} {quantity.unit}; possible are "
                f"{quantity.possible[0]:g} to {quantity.possible[1]:g}. Its unit may be misstated: give the true one, "
                f"units={{{channel.variable}: ...}} ({quantity.accepts()}), or mend the values"
            )
        if low == high:
            raise DataFormatError(
                f"{where}: {channel.label} is {low:g} everywhere and always; nothing can be learned of it: leave it out"
            )


def _compute(fields: Fields, step_h: float) -> dict[str, np.ndarray]:
    first, second = pairs(fields.times, step_h)
    if not len(first):
        raise ConfigError(f"{fields.where} has no two times {step_h:g} h apart; choose another step")
    channels = len(fields.channels)
    state, tendency = Moments(channels), Moments(channels)
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    length, reach = max(1, PIECE_BYTES // fields.frame_bytes), int((second - first).max())
    held = np.empty((0, channels, *fields.grid.shape), np.float32)
    for start in range(0, len(fields), length):
        piece = fields.read(slice(start, start + length))
        state.add(piece)
        low, high = np.minimum(low, piece.min((0, 2, 3))), np.maximum(high, piece.max((0, 2, 3)))
        begin = start - len(held)
        held = np.concatenate([held, piece])
        due = (second >= start) & (second < start + len(piece))
        tendency.add(held[second[due] - begin] - held[first[due] - begin])
        held = held[-reach:]
    return {
        "mean": state.mean, "std": state.std, "tendency_mean": tendency.mean, "tendency_std": tendency.std,
        "minimum": low, "maximum": high,
    }  # fmt: skip


def pairs(times: np.ndarray, step_h: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions of all pairs of times that are exactly `step_h` hours apart, [P] and [P]."""
    later = times + np.timedelta64(round(step_h * 3600), "s")
    place = np.minimum(np.searchsorted(times, later), len(times) - 1)
    first = np.flatnonzero(times[place] == later)
    return first, place[first]


def _fingerprint(file: str) -> str:
    path = Path(file)
    if "://" in file:
        return file
    if path.is_file() and path.stat().st_size <= HASHED_BYTES:
        return sha256_of(path)
    parts = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    listing = [(str(p.relative_to(path.parent)), p.stat().st_size, p.stat().st_mtime_ns) for p in parts]
    return hashlib.sha256(repr(listing).encode()).hexdigest()
