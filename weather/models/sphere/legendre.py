"""Latitudes, quadrature weights and associated Legendre functions of the three global grids, in float64 numpy.

Latitudes run from south to north, as everywhere in this package; x is the sine of latitude. Shapes: H latitudes,
L degrees 0..L-1, M orders 0..M-1.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from common.app.errors import ConfigError

SphereGrid = Literal["gaussian", "equiangular", "equiangular_with_poles"]
"""Gauss-Legendre latitudes; equal cells, the first centre half a cell from the pole; equal steps from pole to pole."""

Array = NDArray[np.float64]


def quadrature(grid: SphereGrid, height: int) -> tuple[Array, Array]:
    """Sine of latitude and weights [H], which sum to 2.

    Gauss-Legendre is exact for polynomials of degree 2H - 1; Fejér's first rule (cells) and Clenshaw-Curtiss (with
    poles) for degree H - 1, doi:10.1007/s10543-006-0045-4.
    """
    if grid not in get_args(SphereGrid):
        raise ConfigError(f"unknown grid '{grid}' of the sphere: expected one of {', '.join(get_args(SphereGrid))}")
    if height < 3:
        raise ConfigError(f"a grid of the sphere with {height} latitudes: expected 3 or more")
    if grid == "gaussian":
        return np.polynomial.legendre.leggauss(height)
    poles = grid == "equiangular_with_poles"
    index = np.arange(height)
    colatitude = index * np.pi / (height - 1) if poles else (index + 0.5) * np.pi / height
    # Exact for every cosine the points resolve: the interpolating cosine series is integrated term by term.
    order = np.arange(0, height, 2)
    integral = 2 / (1 - order.astype(float) ** 2)
    series = np.cos(np.outer(colatitude, order))
    if not poles:
        series[:, 1:] *= 2
        weights = series @ integral / height
    else:
        ends = np.where((order == 0) | (order == height - 1), 0.5, 1.0)
        weights = 2 * (series * ends) @ integral / (height - 1)
        weights[[0, -1]] /= 2
    return -np.cos(colatitude), weights


def legendre(x: Array, degrees: int, orders: int) -> Array:
    """Orthonormal associated Legendre functions [M, L, H], with the Condon-Shortley phase; zero where l < m.

    With exp(i m longitude) they are the orthonormal spherical harmonics. Recurrence in the degree from l = m,
    stable for all degrees of interest, doi:10.1007/s00190-002-0216-2. Below about 1e-308 the functions near the
    poles are zero in float64, where they contribute nothing.
    """
    result = np.zeros((orders, max(degrees, 2), len(x)))
    cosine = np.sqrt((1 - x) * (1 + x))
    sectoral = np.full(len(x), np.sqrt(1 / (4 * np.pi)))
    for m in range(min(orders, degrees)):
        if m:
            sectoral = -np.sqrt((2 * m + 1) / (2 * m)) * cosine * sectoral
        result[m, m] = sectoral
    m = np.arange(orders, dtype=float)[:, None]
    for degree in range(1, degrees):
        rows = min(degree, orders)
        k, order = float(degree), m[:rows]
        near = np.sqrt((4 * k * k - 1) / (k * k - order**2))
        result[:rows, degree] = near * x * result[:rows, degree - 1]
        if degree > 1:
            far = (2 * k + 1) / (2 * k - 3) * ((k - 1) ** 2 - order**2).clip(0) / (k * k - order**2)
            result[:rows, degree] -= np.sqrt(far) * result[:rows, degree - 2]
    return result[:, :degrees]


def legendre_gradient(x: Array, degrees: int, orders: int) -> tuple[Array, Array]:
    """[M, L, H] each: the derivative by latitude, and m / cos(latitude) times the function, finite at the poles too.

    Both follow from neighbours in order and degree without a division: with N the orthonormal functions,
    2 dN(l,m)/dcolatitude = sqrt((l+m)(l-m+1)) N(l,m-1) - sqrt((l-m)(l+m+1)) N(l,m+1), written here without phase.
    """
    table = legendre(x, degrees + 1, orders + 1)
    table *= np.where(np.arange(orders + 1) % 2, -1.0, 1.0)[:, None, None]
    n, m = np.arange(degrees, dtype=float)[None, :, None], np.arange(orders, dtype=float)[:, None, None]
    # Of order -1 only its size is needed: without phase N(l,-1) = -N(l,1) makes the two terms of m = 0 equal.
    lower = np.concatenate([-table[1:2], table[: orders - 1]]) if orders > 1 else -table[1:2]
    upper = table[1 : orders + 1]
    down = np.sqrt(((n + m) * (n - m + 1)).clip(0)) * lower[:, :degrees]
    up = np.sqrt(((n - m) * (n + m + 1)).clip(0)) * upper[:, :degrees]
    by_latitude = -(down - up) / 2
    ratio = np.sqrt((2 * n + 1) / (2 * n + 3)) / 2
    down = np.sqrt(((n - m + 1) * (n - m + 2)).clip(0)) * lower[:, 1:]
    up = np.sqrt((n + m + 1) * (n + m + 2)) * upper[:, 1:]
    over_cosine = ratio * (down + up)
    phase = np.where(np.arange(orders) % 2, -1.0, 1.0)[:, None, None]
    inside = n >= m
    return phase * np.where(inside, by_latitude, 0.0), phase * np.where(inside & (m > 0), over_cosine, 0.0)
