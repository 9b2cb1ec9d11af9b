"""Exponential moving average of a model (Polyak & Juditsky, doi:10.1137/0330046)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedModel:
    """average <- decay * average + (1 - decay) * value after each step, for parameters and running statistics.

    Statistics must be averaged with the weights they belong to: those of the last few batches alone make validation
    scores jump. Early steps use the smaller decay (1 + step) / (10 + step), so that the average forgets the initial
    weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        parameters: dict[str, Tensor] = dict(model.named_parameters())
        saved = model.state_dict(keep_vars=True).items()
        buffers = {name: value for name, value in saved if name not in parameters and value.is_floating_point()}
        self.values = parameters | buffers
        self.average = {name: value.detach().clone() for name, value in self.values.items()}
        self._groups = [tuple(group) for group in (parameters, buffers) if group]  # sharded and not, under FSDP

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for names in self._groups:
            averages, values = [self.average[name] for name in names], [self.values[name] for name in names]
            torch._foreach_lerp_(averages, values, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Inside this context the model holds the average."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, value in self.values.items():
            kept = value.detach().clone()
            value.copy_(self.average[name])
            self.average[name].copy_(kept)
