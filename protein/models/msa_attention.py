"""Attention within an alignment: along its rows with a bias from pairs, and along its columns.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithms 7, 8 and 19.
Shapes: B batch, S sequences, N residues, M width of the alignment, C width of pairs, H heads, D width of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from protein.models.attention import Attention, PairBias, attend, key_bias
from protein.models.chunking import add_by_rows, collect
from protein.models.dropout import shared_dropout
from protein.models.linear import linear


class RowAttention(nn.Module):
    """msa [B, S, N, M] plus attention of each sequence to itself, with a bias from pairs [B, N, N, C]."""

    def __init__(self, width: int, pair: int, heads: int, head_width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm = nn.LayerNorm(width)
        self.bias = PairBias(pair, heads)
        self.attention = Attention(width, heads, head_width)

    def forward(self, msa: Tensor, pair: Tensor, mask: Tensor | None = None, chunk: int | None = None) -> Tensor:
        """mask [B, N] bool; chunk in sequences, and rows of pairs. Without gradients `msa` itself is changed."""
        bias = collect(lambda rows, _: self.bias(rows, mask), pair, chunk, 2)
        keep = shared_dropout(msa, self.dropout, self.training)

        def update(rows: Tensor, where: slice) -> Tensor:
            found = self.attention(self.norm(rows), bias)
            return found if keep is None else found * keep

        return add_by_rows(msa, update, chunk)


class ColumnAttention(nn.Module):
    """msa [B, S, N, M] plus attention of each column to itself."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, head_width)

    def forward(self, msa: Tensor, rows: Tensor | None = None, chunk: int | None = None) -> Tensor:
        """rows [B, S] bool, no padding; chunk in columns. Without gradients `msa` itself is changed."""
        bias = None if rows is None else key_bias(rows)
        columns = add_by_rows(msa.transpose(1, 2), lambda part, _: self.attention(self.norm(part), bias), chunk)
        return columns.transpose(1, 2)


class GlobalColumnAttention(nn.Module):
    """As `ColumnAttention`, with one query a column, the mean of all, and keys and values that heads share."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = linear(width, heads * head_width, bias=False, start="glorot")
        self.key_value = linear(width, 2 * head_width, bias=False, start="glorot")
        self.gate = linear(width, heads * head_width, start="gate")
        self.out = linear(heads * head_width, width, start="zero")

    def forward(self, msa: Tensor, rows: Tensor | None = None, chunk: int | None = None) -> Tensor:
        """rows [B, S] bool, no padding; chunk in columns. Without gradients `msa` itself is changed."""
        columns = add_by_rows(msa.transpose(1, 2), lambda part, _: self._attention(self.norm(part), rows), chunk)
        return columns.transpose(1, 2)

    def _attention(self, columns: Tensor, rows: Tensor | None) -> Tensor:
        """[B, n, S, M] to [B, n, S, M]"""
        if rows is None:
            mean = columns.mean(2)
        else:
            share = rows / rows.sum(1, keepdim=True).clamp_min(1)
            mean = (columns * share[:, None, :, None]).sum(2)
        # The heads are the places that attend, to the one head of keys and values: [B, n, H, 1, D].
        query = self.query(mean).unflatten(-1, (self.heads, 1, -1))
        key, value = self.key_value(columns).unsqueeze(3).chunk(2, -1)
        found = attend(query, key, value, None if rows is None else key_bias(rows)).flatten(2)
        return self.out(found[:, :, None] * torch.sigmoid(self.gate(columns)))
