"""Dropout that is the same for all rows of a representation.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.11.6.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def shared_dropout(x: Tensor, rate: float, training: bool) -> Tensor | None:
    """Factors [B, 1, ...] for an update of x [B, R, ...]; None where nothing is dropped."""
    return functional.dropout(x.new_ones(x.shape[0], 1, *x.shape[2:]), rate) if training and rate > 0 else None
