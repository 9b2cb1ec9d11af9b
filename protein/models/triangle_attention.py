"""Triangle attention: an edge of the pair representation attends to the edges that share a node with it.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithms 13 and 14.
Shapes: B batch, N residues, C width, H heads.
"""

from __future__ import annotations

from torch import Tensor, nn

from protein.models.attention import Attention, PairBias
from protein.models.chunking import add_by_rows, collect
from protein.models.dropout import shared_dropout


class TriangleAttention(nn.Module):
    """Pairs [B, N, N, C] plus attention around their starting node (along rows) or ending node (along columns)."""

    def __init__(self, width: int, heads: int, head_width: int, ending: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.ending, self.dropout = ending, dropout
        self.norm = nn.LayerNorm(width)
        self.bias = PairBias(width, heads, norm=False)
        self.attention = Attention(width, heads, head_width)

    def forward(self, pair: Tensor, mask: Tensor | None = None, chunk: int | None = None) -> Tensor:
        """mask [B, N] bool; chunk in rows. Without gradients `pair` itself is changed."""
        x = pair.transpose(1, 2) if self.ending else pair
        bias = collect(lambda rows, _: self.bias(self.norm(rows), mask), x, chunk, 2)
        keep = shared_dropout(x, self.dropout, self.training)

        def update(rows: Tensor, where: slice) -> Tensor:
            found = self.attention(self.norm(rows), bias)
            return found if keep is None else found * keep

        x = add_by_rows(x, update, chunk)
        return x.transpose(1, 2) if self.ending else x
