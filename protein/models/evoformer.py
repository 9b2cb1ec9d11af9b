"""The Evoformer: an alignment and the pairs of its columns, each informing the other.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithms 6 and 18.
Shapes: B batch, S sequences, N residues, M width of the alignment, C width of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from protein.models.blocks import through
from protein.models.msa_attention import ColumnAttention, GlobalColumnAttention, RowAttention
from protein.models.outer_product_mean import OuterProductMean
from protein.models.transition import Transition
from protein.models.triangle_attention import TriangleAttention
from protein.models.triangle_multiplication import TriangleMultiplication


@dataclass(frozen=True)
class EvoformerConfig:
    """The defaults are those of AlphaFold 2; see `EXTRA` for the stack of the remaining sequences."""

    blocks: int = 48
    msa: int = 256
    pair: int = 128
    msa_heads: int = 8
    msa_head_width: int = 32
    pair_heads: int = 4
    pair_head_width: int = 32
    product_width: int = 32
    triangle_width: int = 128
    transition_factor: int = 4
    global_columns: bool = False
    msa_dropout: float = 0.15
    pair_dropout: float = 0.25


EXTRA = EvoformerConfig(blocks=4, msa=64, msa_head_width=8, global_columns=True)


class EvoformerBlock(nn.Module):
    """msa [B, S, N, M] and pair [B, N, N, C], each updated."""

    def __init__(self, config: EvoformerConfig) -> None:
        super().__init__()
        msa, pair = config.msa, config.pair
        column_attention = GlobalColumnAttention if config.global_columns else ColumnAttention
        self.row_attention = RowAttention(msa, pair, config.msa_heads, config.msa_head_width, config.msa_dropout)
        self.column_attention = column_attention(msa, config.msa_heads, config.msa_head_width)
        self.msa_transition = Transition(msa, config.transition_factor)
        self.outer_product_mean = OuterProductMean(msa, pair, config.product_width)
        self.outgoing = TriangleMultiplication(pair, config.triangle_width, True, config.pair_dropout)
        self.incoming = TriangleMultiplication(pair, config.triangle_width, False, config.pair_dropout)
        heads, head_width = config.pair_heads, config.pair_head_width
        self.starting = TriangleAttention(pair, heads, head_width, False, config.pair_dropout)
        self.ending = TriangleAttention(pair, heads, head_width, True, config.pair_dropout)
        self.pair_transition = Transition(pair, config.transition_factor)

    def forward(
        self,
        msa: Tensor,
        pair: Tensor,
        mask: Tensor | None = None,
        rows: Tensor | None = None,
        chunk: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """mask [B, N] bool, rows [B, S] bool: no padding. Without gradients `msa` and `pair` themselves are changed."""
        msa = self.row_attention(msa, pair, mask, chunk)
        msa = self.column_attention(msa, rows, chunk)
        msa = self.msa_transition(msa, chunk)
        pair = self.outer_product_mean(msa, pair, rows, chunk)
        for layer in (self.outgoing, self.incoming, self.starting, self.ending):
            pair = layer(pair, mask, chunk)
        return msa, self.pair_transition(pair, chunk)


class Evoformer(nn.Module):
    """All blocks one after another."""

    def __init__(self, config: EvoformerConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(EvoformerBlock(config) for _ in range(config.blocks))

    def forward(
        self,
        msa: Tensor,
        pair: Tensor,
        mask: Tensor | None = None,
        rows: Tensor | None = None,
        chunk: int | None = None,
        recompute: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """As the block; recompute: keep nothing of a block for the backward pass but what enters it."""
        msa, pair = through(self.blocks, (msa, pair), mask, rows, chunk, recompute=recompute)
        return msa, pair
