"""A block of a sequence encoder: what is near by convolution, what is far by attention.

Gulati et al., Conformer, arXiv:2005.08100. Shapes: B batch, N residues, S width, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from protein.models.attention import Attention
from protein.models.linear import linear
from protein.models.transition import Transition


class SequenceBlock(nn.Module):
    """single [B, N, S], updated."""

    def __init__(self, width: int, heads: int, reach: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.convolution = GatedConvolution(width)
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, width // heads)
        self.transition = Transition(width)
        self.reach = reach
        self.offset_bias = nn.Parameter(torch.zeros(heads, 2 * reach + 1))

    def forward(self, single: Tensor, mask: Tensor, residue_index: Tensor, key_bias: Tensor) -> Tensor:
        """mask [B, N] bool, residue_index [B, N] int64, key_bias [B, 1, 1, N] added to logits."""
        single = single + self._dropped(self.convolution(single, mask))
        offset = residue_index[:, :, None] - residue_index[:, None, :]
        bias = self.offset_bias[:, offset.clamp(-self.reach, self.reach) + self.reach].transpose(0, 1) + key_bias
        single = single + self._dropped(self.attention(self.norm(single)[:, None], bias)[:, 0])
        return self.transition(single[:, None])[:, 0]

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class GatedConvolution(nn.Module):
    """An update of [B, N, S] from nine neighbours, channel by channel, between two linear layers."""

    KERNEL = 9

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, self.KERNEL, padding=self.KERNEL // 2, groups=width)
        self.norm_out = nn.LayerNorm(width)
        self.out = linear(width, width, start="zero")

    def forward(self, single: Tensor, mask: Tensor) -> Tensor:
        """mask [B, N] bool: residues that are no padding, which counts as zero."""
        x = functional.glu(self.expand(self.norm(single)), -1) * mask[..., None]
        x = self.depthwise(x.mT).mT
        return self.out(functional.silu(self.norm_out(x)))
