"""A block of the ESMFold trunk: a sequence and its pairs, each informing the other.

Lin et al., Science 379, 1123 (2023), doi:10.1126/science.ade2574, supplement A.3.
Shapes: B batch, N residues, S width of the sequence, C width of pairs.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from protein.models.attention import Attention, PairBias
from protein.models.chunking import add_by_rows
from protein.models.linear import linear
from protein.models.transition import Transition
from protein.models.triangle_attention import TriangleAttention
from protein.models.triangle_multiplication import TriangleMultiplication


class FoldingBlock(nn.Module):
    """single [B, N, S] and pair [B, N, N, C], each updated."""

    def __init__(self, single: int, pair: int, single_heads: int, pair_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.bias = PairBias(pair, single_heads)
        self.norm = nn.LayerNorm(single)
        self.attention = Attention(single, single_heads, single // single_heads)
        self.transition = Transition(single)
        self.to_pair = SequenceToPair(single, pair)
        self.outgoing = TriangleMultiplication(pair, pair, True, 2 * dropout)
        self.incoming = TriangleMultiplication(pair, pair, False, 2 * dropout)
        self.starting = TriangleAttention(pair, pair_heads, pair // pair_heads, False, 2 * dropout)
        self.ending = TriangleAttention(pair, pair_heads, pair // pair_heads, True, 2 * dropout)
        self.pair_transition = Transition(pair)

    def forward(
        self, single: Tensor, pair: Tensor, mask: Tensor | None = None, chunk: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """mask [B, N] bool; chunk in rows of pairs. Without gradients `pair` itself is changed."""
        found = self.attention(self.norm(single)[:, None], self.bias(pair, mask))[:, 0]
        single = single + functional.dropout(found, self.dropout, self.training)
        single = self.transition(single[:, None])[:, 0]
        pair = self.to_pair(single, pair, chunk)
        for layer in (self.outgoing, self.incoming, self.starting, self.ending):
            pair = layer(pair, mask, chunk)
        return single, self.pair_transition(pair, chunk)


class SequenceToPair(nn.Module):
    """Pairs plus a linear map of product and difference of what is read off their two residues."""

    def __init__(self, single: int, pair: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(single)
        self.project = linear(single, pair)
        self.out_product = linear(pair // 2, pair)
        self.out_difference = linear(pair // 2, pair, bias=False)

    def forward(self, single: Tensor, pair: Tensor, chunk: int | None = None) -> Tensor:
        """single [B, N, S], pair [B, N, N, C]; at (i, j) the difference is that of j minus i."""
        ends, starts = self.project(self.norm(single)).chunk(2, -1)
        # A difference may be mapped before it is taken, once a residue instead of once a pair.
        end, start = self.out_difference(ends), self.out_difference(starts)

        def update(_: Tensor, where: slice) -> Tensor:
            return self.out_product(starts[:, where, None] * ends[:, None]) + (end[:, None] - start[:, where, None])

        return add_by_rows(pair, update, chunk)
