"""A 3 x 3 convolution over pairs: neighbours along both chains, as where strands lie side by side.

Wang et al., PLoS Comput. Biol. 13, e1005324 (2017), doi:10.1371/journal.pcbi.1005324.
Shapes: B batch, N residues, r some rows, C width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from protein.models.chunking import collect
from protein.models.dropout import shared_dropout


class PairConvolution(nn.Module):
    """Pairs [B, N, N, C] plus a convolution whose taps are `dilation` residues apart."""

    def __init__(self, width: int, dilation: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dilation, self.dropout = dilation, dropout
        self.norm = nn.LayerNorm(width)
        self.first = nn.Conv2d(width, width, 3, padding=(0, dilation), dilation=dilation)
        self.out = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, pair: Tensor, mask: Tensor, chunk: int | None = None) -> Tensor:
        """mask [B, N] bool: padding counts as zero, as what lies beyond the ends does; chunk in rows."""
        keep = shared_dropout(pair, self.dropout, self.training)
        found = collect(lambda rows, where: self._update(pair, mask, where), pair, chunk, 1)
        if keep is not None:
            found = found * keep
        return pair + found if torch.is_grad_enabled() else pair.add_(found)

    def _update(self, pair: Tensor, mask: Tensor, where: slice) -> Tensor:
        """[B, r, N, C]"""
        size = pair.shape[1]
        before = max(self.dilation - where.start, 0)
        after = max(where.stop + self.dilation - size, 0)
        halo = slice(where.start - self.dilation + before, where.stop + self.dilation - after)
        x = self.norm(pair[:, halo]) * (mask[:, halo, None] & mask[:, None])[..., None]
        x = functional.pad(x.permute(0, 3, 1, 2), (0, 0, before, after))
        return self.out(functional.elu(self.first(x))).permute(0, 2, 3, 1)
