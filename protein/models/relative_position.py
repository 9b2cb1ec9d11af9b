"""Relative position along the chain.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithm 4.
Shapes: B batch, N residues, r some of them, C width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RelativePosition(nn.Module):
    """An embedding of i - j from -reach to reach; residues farther apart count as that far."""

    def __init__(self, width: int, reach: int = 32) -> None:
        super().__init__()
        self.reach = reach
        self.embedding = nn.Embedding(2 * reach + 1, width)

    def forward(self, rows: Tensor, residue_index: Tensor) -> Tensor:
        """[B, r, N, C] of residue numbers [B, r] before those of all residues [B, N]."""
        offset = rows[:, :, None] - residue_index[:, None, :]
        return self.embedding(offset.clamp(-self.reach, self.reach) + self.reach)


class Separation(nn.Module):
    """An embedding of |i - j| in coarse steps, for residues that `RelativePosition` no longer tells apart.

    The farther apart along the chain, the less often two residues meet.
    """

    STEPS = (32, 48, 64, 96, 128, 192, 256, 384)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(self.STEPS) + 1, width)
        nn.init.zeros_(self.embedding.weight)

    def forward(self, rows: Tensor, residue_index: Tensor) -> Tensor:
        """[B, r, N, C] of residue numbers [B, r] and those of all residues [B, N]."""
        separation = (rows[:, :, None] - residue_index[:, None, :]).abs()
        return self.embedding(torch.bucketize(separation, torch.tensor(self.STEPS, device=rows.device)))
