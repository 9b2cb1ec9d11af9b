"""Real spherical harmonics as polynomials of a unit vector, and a quadrature on the sphere.

Shapes: E directions, K = (degree + 1)^2 harmonics ordered (l, m), G points on the sphere.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import pi

import numpy as np
import torch
from scipy.integrate import lebedev_rule
from scipy.special import sph_harm_y
from torch import Tensor, nn

RULES = (*range(3, 32, 2), *range(35, 132, 6))
"""Orders up to which the rules of Lebedev are exact."""


class SphericalHarmonics(nn.Module):
    """Unit vectors [..., 3] -> harmonics [..., K], orthonormal in the mean over the sphere (Y_00 = 1).

    Each is a combination of the monomials x^a y^b z^c of its own degree, found once from the textbook's formula; being
    polynomials they differentiate as often as needed, at the poles too.
    """

    def __init__(self, degree: int) -> None:
        super().__init__()
        for order in range(1, degree + 1):
            shorter, terms = monomials(order - 1), monomials(order)
            tables = {
                "before": torch.tensor([shorter.index(term[:-1]) for term in terms]),
                "last": torch.tensor([term[-1] for term in terms]),
                "mixing": torch.tensor(_coefficients(order)),
            }
            for name, table in tables.items():
                self.register_buffer(f"{name}{order}", table, persistent=False)
        self.degree = degree

    def forward(self, unit: Tensor) -> Tensor:
        terms = torch.ones_like(unit[..., :1])
        harmonics = [terms]
        for order in range(1, self.degree + 1):
            before, last, mixing = (self.get_buffer(f"{name}{order}") for name in ("before", "last", "mixing"))
            terms = terms.index_select(-1, before) * unit.index_select(-1, last)
            harmonics.append(terms @ mixing.to(unit.dtype))
        return torch.cat(harmonics, dim=-1)


def monomials(degree: int) -> list[tuple[int, ...]]:
    """The factors of each monomial of a degree, as axes 0, 1, 2."""
    return list(combinations_with_replacement(range(3), degree))


def real_harmonics(degree: int, unit: np.ndarray) -> np.ndarray:
    """All l up to `degree` at unit vectors [E, 3] -> [E, K] float64, with a mean square of one over the sphere."""
    polar, azimuth = np.arccos(np.clip(unit[:, 2], -1, 1)), np.arctan2(unit[:, 1], unit[:, 0])
    columns = []
    for order in range(degree + 1):
        for m in range(-order, order + 1):
            value = sph_harm_y(order, abs(m), polar, azimuth) * (4 * pi) ** 0.5 * (-1) ** m
            columns.append(value.real if m == 0 else 2**0.5 * (value.imag if m < 0 else value.real))
    return np.stack(columns, axis=1)


def sphere_points(exact_degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [G, 3] and weights [G] whose weighted sum is the mean over the sphere of polynomials up to a degree.

    Lebedev & Laikov, Doklady Mathematics 59, 477 (1999).
    """
    points, weights = lebedev_rule(next(order for order in RULES if order >= exact_degree))
    return points.T, weights / (4 * pi)


def _coefficients(degree: int) -> np.ndarray:
    """[monomials, 2 degree + 1]: harmonics of one degree in terms of its monomials."""
    points = np.random.default_rng(degree).normal(size=(8 * (degree + 1) ** 2, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    powers = np.stack([points[:, list(term)].prod(axis=1) for term in monomials(degree)], axis=1)
    return np.linalg.lstsq(powers, real_harmonics(degree, points)[:, degree**2 :], rcond=None)[0]
