"""Gated multi-head self-attention along one axis, for many rows at once that share a bias.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithm 7.
Shapes: B batch, R rows, N places along a row, C width, H heads, D width of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from protein.models.linear import linear

MASKED = -1e9
"""Added to the logits of keys that are padding."""


class Attention(nn.Module):
    """[B, R, N, C] to [B, R, N, C]; every row attends to itself."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = linear(width, 3 * heads * head_width, bias=False, start="glorot")
        self.gate = linear(width, heads * head_width, start="gate")
        self.out = linear(heads * head_width, width, start="zero")

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """`bias` [B, H or 1, N or 1, N] is added to the logits of every row."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        return self.out(attend(q, k, v, bias).flatten(-2) * torch.sigmoid(self.gate(x)))


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Scaled dot-product attention: q, k, v [B, R, N, H, D] to [B, R, N, H, D]; bias as in `Attention`."""
    batch, heads = q.shape[0], q.shape[3]
    # Rows come first and batch joins heads, so that the bias is never repeated for each row.
    q, k, v = (part.permute(1, 0, 3, 2, 4).flatten(1, 2) for part in (q, k, v))
    if bias is not None:
        bias = bias.expand(-1, heads, -1, -1).reshape(1, batch * heads, *bias.shape[2:]).to(q.dtype)
    found = functional.scaled_dot_product_attention(q, k, v, bias)
    return found.unflatten(1, (batch, heads)).permute(1, 0, 3, 2, 4)


def key_bias(mask: Tensor) -> Tensor:
    """[B, 1, 1, N]: 0 where mask [B, N] holds, else very negative."""
    return torch.where(mask, 0.0, MASKED)[:, None, None, :]


class PairBias(nn.Module):
    """The bias [B, H, N, N] of attention over residues, read off the pairs [B, N, N, C]."""

    def __init__(self, width: int, heads: int, norm: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.out = linear(width, heads, bias=False)

    def forward(self, pair: Tensor, mask: Tensor | None) -> Tensor:
        """mask [B, N] bool: residues that are no padding."""
        bias = self.out(self.norm(pair)).permute(0, 3, 1, 2)
        return bias if mask is None else bias + key_bias(mask).to(bias.dtype)
