"""Functions that take interactions smoothly to zero at the cutoff."""

from __future__ import annotations

import torch
from torch import Tensor


def polynomial_cutoff(distance: Tensor, cutoff: float, exponent: int) -> Tensor:
    """1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2) with x = distance / cutoff; zero beyond.

    Value, slope and curvature vanish at the cutoff. Gasteiger et al., arXiv:2003.03123, equation 8.
    """
    p = exponent
    x = (distance / cutoff).clamp(max=1.0)
    return 1 - x**p * ((p + 1) * (p + 2) / 2 - x * (p * (p + 2) - x * (p * (p + 1) / 2)))


def cosine_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    """(1 + cos(pi distance / cutoff)) / 2; zero beyond. Behler & Parrinello, doi:10.1103/PhysRevLett.98.146401."""
    return 0.5 * (1 + torch.cos(torch.pi * (distance / cutoff).clamp(max=1.0)))
