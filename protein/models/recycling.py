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

    def detached(self) -> Previous:
        return Previous(*(part.detach() for part in self))


class Recycling(nn.Module):
    """Normed representations, and an embedding of which of `edges_a` (Å) the distance of two residues exceeds."""

    edges: Tensor

    def __init__(self, single_width: int, pair_width: int, edges_a: tuple[float, float, int]) -> None:
        super().__init__()
        self.norm_single = nn.LayerNorm(single_width)
        self.norm_pair = nn.LayerNorm(pair_width)
        self.distance = nn.Embedding(edges_a[2] + 1, pair_width)
        self.register_buffer("edges", torch.linspace(*edges_a), persistent=False)

    def forward(self, previous: Previous | None) -> tuple[Tensor, Tensor]:
        """What is added to single [B, N, S] and pair [B, N, N, C]; in the first cycle as if all before were zero."""
        if previous is None:
            return self.norm_single.bias, self.norm_pair.bias + self.distance.weight[0]
        beta = previous.beta.float()
        squared = (beta[:, :, None] - beta[:, None]).square().sum(-1)
        exceeded = torch.bucketize(squared, self.edges.square())
        return self.norm_single(previous.single), self.norm_pair(previous.pair) + self.distance(exceeded)
