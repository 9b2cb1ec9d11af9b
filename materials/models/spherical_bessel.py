"""Radial functions that vanish at the cutoff, made of spherical Bessel functions j_l.

Shapes: P distances, N radial functions of each order, L orders.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import spherical_jn
from torch import Tensor, nn

ORDERS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: torch.sin(x) / x,
    lambda x: (torch.sin(x) / x - torch.cos(x)) / x,
    lambda x: ((3 / x**2 - 1) * torch.sin(x) - 3 * torch.cos(x) / x) / x,
)
"""j_0, j_1, j_2."""


class SphericalBessel(nn.Module):
    """sqrt(2/c^3) j_l(z_ln d / c) / |j_(l+1)(z_ln)| with the roots z_ln, [P] -> [P, L N], order by order.

    Orthonormal over the ball of radius c; Gasteiger et al., arXiv:2003.03123, equation 7.
    """

    roots: Tensor
    scale: Tensor

    def __init__(self, orders: int, radial: int, cutoff_a: float) -> None:
        super().__init__()
        self.cutoff_a = cutoff_a
        roots = bessel_roots(orders, radial)
        next_order = np.array([spherical_jn(order + 1, row) for order, row in enumerate(roots)])
        self.register_buffer("roots", torch.tensor(roots, dtype=torch.float32), persistent=False)
        scale = sqrt(2 / cutoff_a**3) / np.abs(next_order)
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        x = (distance.clamp(max=self.cutoff_a) / self.cutoff_a)[:, None]
        return torch.cat([ORDERS[order](x * row) * self.scale[order] for order, row in enumerate(self.roots)], dim=1)


class SmoothBessel(nn.Module):
    """Orthogonal combinations of j_0 whose value and first two derivatives vanish at the cutoff, [P] -> [P, N].

    Kocer et al., J. Chem. Phys. 150, 154102 (2019), doi:10.1063/1.5086167, equations 12-17.
    """

    mixing: Tensor

    def __init__(self, radial: int, cutoff_a: float) -> None:
        super().__init__()
        self.cutoff_a = cutoff_a
        self.register_buffer(
            "mixing", torch.tensor(_smooth_mixing(radial, cutoff_a), dtype=torch.float32), persistent=False
        )

    def forward(self, distance: Tensor) -> Tensor:
        frequency = (
            torch.arange(1, len(self.mixing) + 2, dtype=distance.dtype, device=distance.device) * pi / self.cutoff_a
        )
        x = distance[:, None] * frequency
        sinc = torch.sin(x) / x
        return (sinc[:, :-1] + sinc[:, 1:]) @ self.mixing


def bessel_roots(orders: int, radial: int) -> np.ndarray:
    """The first positive roots of j_0, j_1, ... [L, N]; those of one order separate those of the next."""
    roots = [np.arange(1, orders + radial) * pi]
    for order in range(1, orders):
        bracket = zip(roots[-1][:-1], roots[-1][1:], strict=True)
        roots.append(
            np.array([brentq(lambda x, n=order: spherical_jn(n, x), low, high, xtol=1e-14) for low, high in bracket])
        )
    return np.array([row[:radial] for row in roots])


def _smooth_mixing(radial: int, cutoff_a: float) -> np.ndarray:
    """[N, N]: column n gives function n in terms of sinc(n-th frequency) + sinc(next frequency)."""
    n = np.arange(radial)
    factor = (-1.0) ** n * sqrt(2) * pi / cutoff_a**1.5 * (n + 1) * (n + 2) / np.sqrt((n + 1) ** 2 + (n + 2) ** 2)
    overlap = n**2 * (n + 2) ** 2 / (4 * (n + 1.0) ** 4 + 1)
    mixing, norm = np.zeros((radial, radial)), 1.0
    for k in n:
        mixing[k, k] = factor[k]
        if k:
            previous, norm = norm, 1 - overlap[k] / norm
            mixing[:, k] += sqrt(overlap[k] / previous) * mixing[:, k - 1]
            mixing[:, k] /= sqrt(norm)
    return mixing
