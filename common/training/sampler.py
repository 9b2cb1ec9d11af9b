"""Which samples make a step: a pure function of (seed, step), so that there is no sampler state to lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from common.app.errors import ConfigError


@dataclass(frozen=True)
class Sampler:
    """Shuffled batches of `batch_size` out of `samples`; an epoch's last incomplete batch is left out."""

    samples: int
    batch_size: int
    seed: int
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.batch_size > self.samples:
            raise ConfigError(
                f"trainer.batch_size={self.batch_size} is larger than the training set ({self.samples} samples); "
                f"set trainer.batch_size to at most {self.samples}"
            )
        if self.batch_size % self.world_size:
            raise ConfigError(
                f"trainer.batch_size={self.batch_size} cannot be shared equally by {self.world_size} processes; "
                "choose a multiple of the number of processes"
            )

    @property
    def steps_per_epoch(self) -> int:
        return self.samples // self.batch_size

    def step_ids(self, step: int) -> np.ndarray:
        """All sample ids of a step, over all ranks [batch_size]."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = epoch_order(self.samples, self.seed, epoch)
        return order[position * self.batch_size : (position + 1) * self.batch_size]

    def shares(self, step: int) -> np.ndarray:
        """Sample ids of a step by rank [world_size, batch_size / world_size]."""
        return self.step_ids(step).reshape(self.world_size, -1)


@lru_cache(maxsize=2)
def epoch_order(samples: int, seed: int, epoch: int) -> np.ndarray:
    """Permutation of range(samples) from a counter-based generator keyed by (seed, epoch)."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(samples)


def split_by_budget(ids: np.ndarray, sizes: np.ndarray, budget: int | None, pieces: int = 1) -> list[np.ndarray]:
    """Cut `ids` into consecutive pieces whose summed `sizes` stay within `budget`, at least `pieces` of them.

    `sizes` [N] is indexed by id. A single sample above the budget makes a piece of its own.
    """
    parts = np.array_split(ids, min(pieces, len(ids))) if pieces > 1 and len(ids) > 1 else [ids]
    if budget is None:
        return parts if len(ids) else []
    return [piece for part in parts for piece in _within_budget(part, sizes, budget)]


def cut_to(pieces: list[np.ndarray], count: int) -> list[np.ndarray]:
    """The same samples in `count` pieces or more: the longest are halved, so that no piece grows."""
    pieces = list(pieces)
    while len(pieces) < count:
        longest = max(range(len(pieces)), key=lambda i: len(pieces[i]))
        pieces[longest : longest + 1] = np.array_split(pieces[longest], 2)
    return pieces


def _within_budget(ids: np.ndarray, sizes: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    ends = np.cumsum(sizes[ids])
    start = 0
    while start < len(ids):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + budget, side="right")))
        yield ids[start:stop]
        start = stop
