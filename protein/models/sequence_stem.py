"""Convolutions along the sequence that learn first, by themselves and on whole chains, what needs no pairs.

Secondary structure follows largely from some ten neighbours to either side; dense convolutions learn it in a fraction
of the time that attention takes. Residual blocks as in He et al., arXiv:1512.03385. B batch, N residues, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from protein.models.linear import linear

KERNEL = 9
DILATIONS = (1, 1, 2, 1, 4)
"""Of consecutive blocks, over and over."""


@dataclass(frozen=True)
class SequenceOutput:
    """What is read off the sequence alone.

    features   [B, N, W]
    language   [B, N, types - 1] logits of residue types, hidden ones too
    secondary  [B, N, states] logits of secondary structure
    """

    features: Tensor
    language: Tensor
    secondary: Tensor


class SequenceStem(nn.Module):
    """Types [B, N] of residues to features, and to the logits that these are learned by."""

    def __init__(self, types: int, width: int, blocks: int, dropout: float, states: int) -> None:
        super().__init__()
        self.embed_type = nn.Embedding(types, width)
        self.blocks = nn.ModuleList(
            ConvolutionBlock(width, DILATIONS[number % len(DILATIONS)], dropout) for number in range(blocks)
        )
        self.secondary = nn.Sequential(nn.LayerNorm(width), linear(width, states))
        self.residue = nn.Sequential(nn.LayerNorm(width), linear(width, types - 1))

    def forward(self, types: Tensor, mask: Tensor) -> SequenceOutput:
        """mask [B, N] bool: residues that are no padding."""
        x = self.embed_type(types)
        for block in self.blocks:
            x = block(x, mask)
        return SequenceOutput(x, self.residue(x), self.secondary(x))


class ConvolutionBlock(nn.Module):
    """[B, N, W], updated; padding counts as zero."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2 * dilation, dilation=dilation)
        self.out = linear(width, width, start="zero")

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        near = self.convolution((self.norm(x) * mask[..., None]).mT).mT
        return x + functional.dropout(self.out(functional.gelu(near)), self.dropout, self.training)
