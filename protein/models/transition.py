"""Two-layer perceptron at every place.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithms 9 and 15.
Shapes: B batch, R rows, N places, C width.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from protein.models.chunking import add_by_rows
from protein.models.linear import linear


class Transition(nn.Module):
    """x [B, R, N, C] plus a perceptron of it."""

    def __init__(self, width: int, factor: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = linear(width, factor * width, start="relu")
        self.out = linear(factor * width, width, start="zero")

    def forward(self, x: Tensor, chunk: int | None = None) -> Tensor:
        """Without gradients x itself is changed."""
        return add_by_rows(x, lambda rows, _: self.out(functional.relu_(self.expand(self.norm(rows)))), chunk)
