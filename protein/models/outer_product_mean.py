"""Outer product mean: what an alignment says about pairs of its columns.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithm 10.
Shapes: B batch, S sequences, N residues, M width of the alignment, C of pairs, K hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from protein.models.chunking import add_by_rows
from protein.models.linear import linear

EPSILON = 1e-3
"""Added to the number of sequences."""


class OuterProductMean(nn.Module):
    """Pairs [B, N, N, C] plus the mean over sequences of products of columns."""

    def __init__(self, msa_width: int, pair_width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(msa_width)
        self.columns = linear(msa_width, 2 * hidden)
        self.out = linear(hidden * hidden, pair_width, start="zero")

    def forward(self, msa: Tensor, pair: Tensor, rows: Tensor | None = None, chunk: int | None = None) -> Tensor:
        """msa [B, S, N, M]; rows [B, S] bool, no padding. Without gradients `pair` itself is changed."""
        columns = self.columns(self.norm(msa))
        count = torch.full((msa.shape[0],), msa.shape[1], device=msa.device)
        if rows is not None:
            columns, count = columns * rows[:, :, None, None], rows.sum(1)
        left, right = columns.chunk(2, -1)
        flat = right.flatten(2)
        share = 1 / (count.to(pair.dtype) + EPSILON)[:, None, None, None]

        def update(_: Tensor, where: slice) -> Tensor:
            products = left[:, :, where].flatten(2).mT @ flat
            products = products.unflatten(2, (-1, right.shape[-1])).unflatten(1, (-1, left.shape[-1]))
            return self.out(products.transpose(2, 3).flatten(3)) * share

        return add_by_rows(pair, update, chunk)
