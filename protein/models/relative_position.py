"""Relative position along the chain.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithm 4.
Shapes: B batch, N residues, C width.
"""

from __future__ import annotations

from torch import Tensor, nn


class RelativePosition(nn.Module):
    """Residue numbers [B, N] to [B, N, N, C], by i - j from -reach to reach; farther counts as that far."""

    def __init__(self, width: int, reach: int = 32) -> None:
        super().__init__()
        self.reach = reach
        self.embedding = nn.Embedding(2 * reach + 1, width)

    def forward(self, residue_index: Tensor) -> Tensor:
        offset = residue_index[:, :, None] - residue_index[:, None, :]
        return self.embedding(offset.clamp(-self.reach, self.reach) + self.reach)
