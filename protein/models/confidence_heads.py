"""Read-outs: how good a model expects its structure to be, and how far residues are apart.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.9.
Shapes: B batch, N residues, S width of single, C width of pair, K bins.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from protein.models.linear import linear

DISTANCE_BINS = 64


class LDDTHead(nn.Module):
    """Logits of the lDDT [B, N, K], or with `atoms` > 1 [B, N, atoms, K], from [B, N, S].

    `relu` False: the three layers follow each other without activation, as ESMFold's do.
    """

    def __init__(self, width: int, hidden: int, bins: int = 50, atoms: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.atoms, self.relu = atoms, relu
        self.norm = nn.LayerNorm(width)
        self.first = linear(width, hidden, start="relu")
        self.second = linear(hidden, hidden, start="relu")
        self.out = linear(hidden, atoms * bins, start="zero")

    def forward(self, single: Tensor) -> Tensor:
        x = self.norm(single)
        for layer in (self.first, self.second):
            x = functional.relu(layer(x)) if self.relu else layer(x)
        logits = self.out(x)
        return logits.unflatten(-1, (self.atoms, -1)) if self.atoms > 1 else logits


class DistogramHead(nn.Module):
    """Logits of the distance [B, N, N, K], the same both ways, from pairs [B, N, N, C]."""

    def __init__(self, width: int, bins: int = DISTANCE_BINS) -> None:
        super().__init__()
        self.one_way = linear(width, bins, start="zero")

    def forward(self, pair: Tensor) -> Tensor:
        one_way = self.one_way(pair)
        return one_way + one_way.transpose(1, 2)
