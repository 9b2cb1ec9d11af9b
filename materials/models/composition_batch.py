"""Batches of compositions, made from packed tables by index operations.

Shapes: B compositions, R elements of all of them, K the most elements of one, D descriptors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.data.packed import PackedTensors
from materials.data.compositions import Compositions


@dataclass(frozen=True)
class CompositionBatch:
    """B compositions.

    numbers      [R]     atomic numbers
    fractions    [R]     share of the atoms, float32
    place        [R]     where row r lies in a table [B * K] with K places a composition
    present      [B, K]  whether a place is taken
    descriptors  [B, D]
    """

    numbers: Tensor
    fractions: Tensor
    place: Tensor
    present: Tensor
    descriptors: Tensor

    def __len__(self) -> int:
        return len(self.present)

    def padded(self, rows: Tensor) -> Tensor:
        """[R, ...] -> [B, K, ...], zeros at places that are not taken."""
        table = rows.new_zeros(self.present.numel(), *rows.shape[1:])
        return table.index_copy(0, self.place, rows).unflatten(0, self.present.shape)

    def flat(self, table: Tensor) -> Tensor:
        """[B, K, ...] -> [R, ...], the places that are taken."""
        return table.flatten(0, 1).index_select(0, self.place)


class PackedCompositions:
    """N compositions, on one device."""

    def __init__(self, rows: PackedTensors, descriptors: Tensor) -> None:
        self.rows, self.descriptors = rows, descriptors

    @classmethod
    def of(cls, compositions: Compositions, descriptors: Tensor | None = None) -> PackedCompositions:
        """descriptors: [N, D] float32 of the whole compositions; by default none."""
        rows = {
            "numbers": torch.from_numpy(compositions.numbers.astype("int64")),
            "fractions": torch.from_numpy(compositions.fractions.astype("float32")),
        }
        counts = torch.from_numpy(compositions.n_elements)
        return cls(PackedTensors(rows, counts), torch.zeros(len(counts), 0) if descriptors is None else descriptors)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sizes(self) -> Tensor:
        """Elements of each composition [N]."""
        return self.rows.counts.cpu()

    def to(self, device: torch.device) -> PackedCompositions:
        return PackedCompositions(self.rows.to(device), self.descriptors.to(device))

    def gather(self, ids: Tensor, device: torch.device) -> CompositionBatch:
        """The compositions `ids` [B], in that order, on `device`."""
        ids = ids.to(self.rows.counts.device)
        chosen = self.rows.gather(ids)
        most = int(chosen.counts.max()) if len(ids) else 0
        place = torch.arange(len(chosen.owner), device=ids.device) + (torch.arange(len(ids), device=ids.device) * most
                 - chosen.start)[chosen.owner]  # fmt: skip
        present = torch.arange(most, device=ids.device) < chosen.counts[:, None]
        parts = (chosen.rows["numbers"], chosen.rows["fractions"], place, present, self.descriptors[ids])
        return CompositionBatch(*(part.to(device) for part in parts))
