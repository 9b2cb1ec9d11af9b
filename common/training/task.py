"""What a domain gives to the trainer: a model, batches, a loss and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from common.results.metrics import Value

Batch = Any
Forward = Callable[..., Any]
"""The model as the trainer wraps it (autocast, compiled, distributed): a task calls this, never `self.model`."""


class Task(ABC):
    """One study: data, model, loss and metrics.

    The trainer decides which samples make a step and calls `batch`, `loss` and `metrics`; it knows nothing else.
    """

    model: nn.Module
    monitor: str = "loss"
    """The validation metric that picks the best checkpoint; lower is better."""

    blocks: Sequence[nn.Module] = ()
    """The model's repeated blocks: the units of FSDP sharding and of activation checkpointing."""

    prefetch: bool = False
    """True where `batch` reads from disk or host memory: batches are then prepared by a thread ahead of use."""

    skips_parameters: bool = False
    """True where a step may leave parameters without a gradient, as while only a part of the model is trained."""

    def begin(self, progress: float, seed: int = 0) -> None:  # noqa: B027 (most tasks are the same all along)
        """Told before each step which share of the run is done, for what changes on the way, and the step's seed.

        The seed is the same on all ranks. What a loss draws from it, for a whole step or by sample (`training.draws`),
        does not depend on how many ranks there are; torch's own generator, which dropout uses, is seeded by rank.
        """

    @abstractmethod
    def sizes(self, split: str) -> np.ndarray:
        """Cost of each sample of a split [N], in the unit of `trainer.budget` (atoms, residues squared ...)."""

    @abstractmethod
    def batch(self, split: str, ids: np.ndarray) -> Batch:
        """The samples `ids` of a split, on the model's device."""

    @abstractmethod
    def loss(self, forward: Forward, batch: Batch) -> Tensor:
        """Loss of each sample [B]; the trainer takes the mean over the whole step."""

    @abstractmethod
    def metrics(self, forward: Forward, batch: Batch) -> dict[str, Value]:
        """Per-sample metrics [B] by name; the trainer takes exact means over all samples and ranks.

        A pair (values [B], weights [B]) makes the mean a weighted one, as where samples have unknown targets.
        """

    def names(self, split: str, ids: np.ndarray) -> list[str]:
        """What the user calls these samples (for error reports)."""
        return [str(i) for i in ids]
