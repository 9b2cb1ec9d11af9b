"""TM-score of two structures of one chain, residue by residue.

Zhang & Skolnick, Proteins 57, 702 (2004), doi:10.1002/prot.20264.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.metrics.superposition_search import largest_sum

SMALLEST_SCALE_A = 0.5


def tm_score(model: Tensor, native: Tensor, mask: Tensor | None = None, length: Tensor | float | None = None) -> Tensor:
    """TM-score [...] in 0-1, the largest over superpositions.

    model, native  [..., N, 3] C-alpha atoms in Å
    mask           [..., N] bool, residues present in both (default: all)
    length         residues of the native, also those not in the mask (default: as many as are in the mask)
    """
    present = torch.ones_like(native[..., 0], dtype=torch.bool) if mask is None else mask
    norm = present.sum(-1) if length is None else torch.as_tensor(length, device=native.device)
    scale = distance_scale(norm.double())
    return largest_sum(model, native, mask, _terms, scale) / norm.clamp_min(1)


def _terms(squared: Tensor, scale: Tensor) -> Tensor:
    return 1 / (1 + squared / scale**2)


def distance_scale(length: Tensor) -> Tensor:
    """d0 in Å of chains of `length` residues [...]: 1.24 (L - 15)^(1/3) - 1.8, at least 0.5."""
    return (1.24 * (length - 15).clamp_min(0) ** (1 / 3) - 1.8).clamp_min(SMALLEST_SCALE_A)
