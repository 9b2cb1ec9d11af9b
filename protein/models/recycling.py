"""Recycling: a model's previous prediction as input to its next.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithms 30-32.
Shapes: B batch, N residues, S width of single, C width of pair.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Previous(NamedTuple):
    """What a cycle leaves to the next.

    single  [B, N, S]
    pair    [B, N, N, C]
    beta    [B, N, 3] C-beta atoms, Å
    """

    single: Tensor
    pair: Tensor
    beta: Tensor


class Recycling(nn.Module):
    """Normed representations, and an embedding of how many of `edges_a` (Å) the distance of two residues exceeds."""

    squared_edges: Tensor

    def __init__(self, single_width: int, pair_width: int, edges_a: tuple[float, float, int]) -> None:
        super().__init__()
        self.norm_single = nn.LayerNorm(single_width)
        self.norm_pair = nn.LayerNorm(pair_width)
        self.distance = nn.Embedding(edges_a[2] + 1, pair_width)
        self.register_buffer("squared_edges", torch.linspace(*edges_a).square(), persistent=False)

    def single(self, previous: Previous | None) -> Tensor:
        """What is added to single [B, N, S]; in the first cycle [S], as if all before were zero."""
        return self.norm_single.bias if previous is None else self.norm_single(previous.single.detach())

    def forward(self, previous: Previous | None, where: slice) -> Tensor:
        """What is added to rows `where` of pair [B, r, N, C]; in the first cycle [C]."""
        if previous is None:
            return self.norm_pair.bias + self.distance.weight[0]
        beta = previous.beta.detach()
        squared = (beta[:, where, None] - beta[:, None]).square().sum(-1)
        exceeded = torch.bucketize(squared, self.squared_edges)
        return self.norm_pair(previous.pair[:, where].detach()) + self.distance(exceeded)
