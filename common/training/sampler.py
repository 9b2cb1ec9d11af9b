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
    rank: int = 0
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

    def rank_ids(self, step: int) -> np.ndarray:
        """This rank's share of a step [batch_size / world_size]."""
        share = self.batch_size // self.world_size
        return self.step_ids(step)[self.rank * share : (self.rank + 1) * share]


@lru_cache(maxsize=2)
def epoch_order(samples: int, seed: int, epoch: int) -> np.ndarray:
    """Permutation of range(samples) from a counter-based generator keyed by (seed, epoch)."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(samples)


def split_by_budget(ids: np.ndarray, sizes: np.ndarray, budget: int | None, pieces: int = 1) -> list[np.ndarray]:
    """Cut `ids` into consecutive pieces whose summed `sizes` stay within `budget`, at least `pieces` of them.

    `sizes` [N] is indexed by id. A single sample above the budget makes a piece of its own.
    """
    result: list[np.ndarray] = []
    for part in np.array_split(ids, min(pieces, len(ids))):
        result.extend(_within_budget(part, sizes, budget))
    return result


def _within_budget(ids: np.ndarray, sizes: np.ndarray, budget: int | None) -> Iterator[np.ndarray]:
    if budget is None:
        yield ids
        return
    start, total = 0, 0
    for position, size in enumerate(sizes[ids]):
        if total and total + size > budget:
            yield ids[start:position]
            start, total = position, 0
        total += int(size)
    yield ids[start:]
