"""Windows of history and targets, cut out of a time axis.

A window is K = history + targets times exactly one step apart, all in one split: none crosses a gap or the boundary of
a split, whatever the spacing of the data.

N windows, B of a batch, T times, C channels, H latitudes, W longitudes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from common.app.errors import ConfigError
from common.data.loader import prefetched
from weather.data.fields import Channel, Fields
from weather.data.grid import Grid

SHARE_OF_MEMORY = 0.4
"""Of the device's free memory that fields may take; the rest is for the model and its activations."""

HOST_BYTES = 4_000_000_000
"""What fields may take where the device is the CPU, whose memory others use as well."""


class WindowBatch(NamedTuple):
    """B windows.

    state   [B, K, C, H, W] physical units, float32, oldest first
    times   [B, K] datetime64[ns]
    """

    state: Tensor
    times: np.ndarray


def window_index(times: np.ndarray, length: int, step_h: float) -> np.ndarray:
    """Positions in `times` of all windows of `length` times that are `step_h` hours apart, [N, length] int64."""
    step = np.timedelta64(round(step_h * 3600), "s").astype("timedelta64[ns]")
    wanted = times[:, None] + step * np.arange(length)
    place = np.minimum(np.searchsorted(times, wanted), max(len(times) - 1, 0))
    return place[(times[place] == wanted).all(axis=1)] if len(times) else place


class Store(Protocol):
    """Where fields are read from."""

    def take(self, positions: np.ndarray) -> Tensor:
        """The fields at positions [n] of the time axis, [n, C, H, W] on the device."""
        ...


class TensorStore:
    """All fields in one tensor on the device: taking some is an index operation."""

    def __init__(self, fields: Fields, device: torch.device) -> None:
        self.values = torch.empty(len(fields), len(fields.channels), *fields.grid.shape, device=device)
        piece = max(1, 64_000_000 // fields.frame_bytes)
        for start in range(0, len(fields), piece):
            self.values[start : start + piece] = torch.from_numpy(fields.read(slice(start, start + piece)))

    def take(self, positions: np.ndarray) -> Tensor:
        return self.values[torch.as_tensor(positions, device=self.values.device)]


class LazyStore:
    """Fields read from their files when asked for, each time only once a batch."""

    def __init__(self, fields: Fields, device: torch.device) -> None:
        self.fields, self.device = fields, device

    def take(self, positions: np.ndarray) -> Tensor:
        times, back = np.unique(positions, return_inverse=True)
        values = torch.from_numpy(self.fields.read(times))
        if self.device.type == "cuda":
            values = values.pin_memory().to(self.device, non_blocking=True)
        return values[torch.as_tensor(back, device=self.device)]


@dataclass(frozen=True)
class Windows:
    """The samples of one split.

    index      [N, K] positions in `times`
    in_memory  whether reading costs no disk
    """

    store: Store
    index: np.ndarray
    times: np.ndarray
    channels: tuple[Channel, ...]
    grid: Grid
    in_memory: bool

    @classmethod
    def of(
        cls,
        fields: Fields,
        history: int,
        targets: int,
        step_h: float,
        device: torch.device | str = "cpu",
        memory_bytes: int | None = None,
    ) -> Windows:
        """All windows of a split, in one tensor on the device where that takes at most `memory_bytes`, else lazily.

        memory_bytes  default: a share of the device's free memory

        Raises ConfigError where the split has no window of that length.
        """
        device = torch.device(device)
        index = window_index(fields.times, history + targets, step_h)
        if not len(index):
            raise ConfigError(
                f"{fields.where} has no {history} + {targets} times in a row that are {step_h:g} h apart (it has "
                f"{len(fields)} times); choose fewer targets, another step, or a longer split"
            )
        room = _room(device) if memory_bytes is None else memory_bytes
        fits = fields.frame_bytes * len(fields) <= room
        store = TensorStore(fields, device) if fits else LazyStore(fields, device)
        return cls(store, index, fields.times, fields.channels, fields.grid, fits)

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, ids: np.ndarray) -> WindowBatch:
        """The windows `ids` [B]; nothing else is read, so each rank reads its share."""
        positions = self.index[ids]
        state = self.store.take(positions.reshape(-1))
        return WindowBatch(state.unflatten(0, positions.shape), self.times[positions])

    def batches(self, ids: Iterable[np.ndarray], depth: int = 2) -> Iterator[WindowBatch]:
        """One batch for each of `ids`, read ahead by a thread where it comes from disk."""
        items = (self.batch(one) for one in ids)
        return items if self.in_memory else prefetched(items, depth)


def _room(device: torch.device) -> int:
    if device.type == "cuda":
        return int(SHARE_OF_MEMORY * torch.cuda.mem_get_info(device)[0])
    return HOST_BYTES
