"""Weighted means that stay on the device while they grow and are exact over ranks.

A mean of batch means is wrong as soon as two batches differ in size, so what is kept, and what ranks exchange,
are the sum of values and the sum of weights, both in float64.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor

Value = Tensor | tuple[Tensor, Tensor]


class Accumulator:
    """Weighted means of named per-sample values.

        accumulator = Accumulator(device)
        for batch in loader:
            accumulator.add({"mae": (prediction - target).abs()})    # no wait for the device
        metrics = accumulator.reduce().compute()                      # over all ranks, as floats
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._totals: dict[str, Tensor] = {}  # name -> float64 (2,): sum of weight * value, sum of weights

    def add(self, values: Mapping[str, Value], weight: Tensor | float | None = None) -> None:
        """Add values (any shape, one a sample) with weights that broadcast to them (default 1).

        A value may come with weights of its own, which multiply: (means of a sample's known targets, their number).
        A sample of weight zero is left out even when its value is NaN, as for a missing target.
        """
        for name, entry in values.items():
            value, own = entry if isinstance(entry, tuple) else (entry, None)
            value = value.detach().to(self.device, torch.float64)
            weights = _weights_like(value, weight) * _weights_like(value, own)
            total = torch.stack([torch.where(weights > 0, value * weights, 0.0).sum(), weights.sum()])
            self._totals[name] = self._totals[name] + total if name in self._totals else total

    def reduce(self) -> Accumulator:
        """The same means over the samples of all ranks; every rank must call it, also one that had no samples."""
        if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            return self
        known: list[list[str] | None] = [None] * dist.get_world_size()
        dist.all_gather_object(known, sorted(self._totals))
        names = sorted({name for part in known for name in part or ()})
        reduced = Accumulator(self.device)
        if names:
            nothing = torch.zeros(2, dtype=torch.float64, device=self.device)
            totals = torch.stack([self._totals.get(name, nothing) for name in names])
            dist.all_reduce(totals)
            reduced._totals = dict(zip(names, totals.unbind(), strict=True))
        return reduced

    def compute(self) -> dict[str, float]:
        """Mean of each name, NaN where the weights sum to zero; the one place that waits for the device."""
        if not self._totals:
            return {}
        totals = torch.stack(list(self._totals.values())).tolist()
        return {name: s / w if w else float("nan") for name, (s, w) in zip(self._totals, totals, strict=True)}

    def reset(self) -> None:
        """Forget everything, as at the start of an epoch."""
        self._totals.clear()


def _weights_like(value: Tensor, weight: Tensor | float | None) -> Tensor:
    if isinstance(weight, Tensor):
        return weight.detach().to(value.device, torch.float64).expand_as(value)
    return torch.full_like(value, 1.0 if weight is None else weight)
