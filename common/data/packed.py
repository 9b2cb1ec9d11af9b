"""Samples of different sizes in flat tensors, so that making a batch is an index operation.

    rows   all samples' rows behind one another: {name: [R, ...]}
    counts rows of each sample [N]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RaggedBatch:
    """The rows of B samples behind one another."""

    rows: dict[str, Tensor]
    owner: Tensor
    """Which sample of the batch a row belongs to, [R] int64."""
    start: Tensor
    """First row of each sample, [B] int64."""
    counts: Tensor

    def __len__(self) -> int:
        return len(self.counts)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> RaggedBatch:
        """On another device, floating-point rows as `dtype`."""
        kinds = {name: dtype if value.is_floating_point() else None for name, value in self.rows.items()}
        rows = {name: value.to(device, kinds[name]) for name, value in self.rows.items()}
        return RaggedBatch(rows, self.owner.to(device), self.start.to(device), self.counts.to(device))


class PackedTensors:
    """N ragged samples, on one device."""

    def __init__(self, rows: Mapping[str, Tensor], counts: Tensor) -> None:
        total = int(counts.sum())
        for name, value in rows.items():
            if len(value) != total:
                raise ValueError(f"rows['{name}'] has {len(value)} rows, counts add up to {total}")
        self.rows = dict(rows)
        self.counts = counts.to(torch.int64)
        self.starts = torch.cumsum(self.counts, 0) - self.counts

    def __len__(self) -> int:
        return len(self.counts)

    def to(self, device: torch.device | str) -> PackedTensors:
        return PackedTensors({name: value.to(device) for name, value in self.rows.items()}, self.counts.to(device))

    def gather(self, ids: Tensor) -> RaggedBatch:
        """The samples `ids` [B], in that order."""
        counts = self.counts[ids]
        start = torch.cumsum(counts, 0) - counts
        owner = torch.repeat_interleave(torch.arange(len(ids), device=counts.device), counts)
        index = torch.arange(len(owner), device=counts.device) + (self.starts[ids] - start)[owner]
        rows = {name: value.index_select(0, index) for name, value in self.rows.items()}
        return RaggedBatch(rows, owner, start, counts)
