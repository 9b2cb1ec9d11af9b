"""Squared difference of torsions as points on the unit circle.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.9.1, algorithm 27.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.geometry.torsions import other_naming
from protein.losses.averages import masked_mean

NORM_WEIGHT = 0.02
EPSILON = 1e-8


def torsion_loss(raw: Tensor, torsions: Tensor, defined: Tensor, mask: Tensor, types: Tensor) -> Tensor:
    """Mean squared difference [...], plus a pull of `raw` towards length 1.

    raw       [..., N, 7, 2] as the model gives them, of any length
    torsions  [..., N, 7, 2] true sine and cosine
    defined   [..., N, 7] bool
    mask      [..., N] bool, residues of the chain, for the pull
    types     [..., N] int64: a symmetric side chain may be named either way
    """
    length = torch.sqrt((raw * raw).sum(-1) + EPSILON)
    direction = raw / length[..., None]
    truths = (torsions, other_naming(types, torsions))
    apart = torch.minimum(*(((direction - truth) ** 2).sum(-1) for truth in truths))
    pull = masked_mean((length - 1).abs(), mask[..., None], 2)
    return masked_mean(apart, defined, 2) + NORM_WEIGHT * pull
