"""Real spherical harmonic transforms, orthonormal, on fields whose columns lie last.

    a(l, m) = sum_h w_h N(l, m, h) 2 pi / W sum_w f(h, w) exp(-i m longitude_w),   f = sum_lm a(l, m) Y_lm

Both sums are matrix products on contiguous rows. Along any axis but the last a fast Fourier transform spends more on
moving data than the product on arithmetic, for a few hundred longitudes; half a turn on, exp(-i m longitude) is the
same or the opposite, which halves the product. The Legendre sum is a product for each order, of those
degrees that reach the order, in blocks; it is put down with the orders of one degree side by side, as products in
degrees want it.

Shapes: H latitudes (south to north), W longitudes, L degrees, M orders, N columns (samples times channels);
P = 2 parities of the order, k = ceil(M / 2) orders of a parity.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function

from common.app.errors import ConfigError
from weather.models.sphere.legendre import SphereGrid, legendre, quadrature

BLOCKS = 4
"""Pieces into which degrees are cut to skip what lies above the diagonal; 4 leave 5/8 of the square."""


def blocks(degrees: int) -> Iterator[tuple[int, int]]:
    """First and last degree (or order) of each piece, none of them tiny."""
    size = max(8, math.ceil(degrees / BLOCKS))
    return ((start, min(start + size, degrees)) for start in range(0, degrees, size))


def _orders(orders: int, parity: int) -> Iterator[tuple[slice, slice, int]]:
    """Blocks of the orders of one parity: where they stand among these, among all, and the lowest of them."""
    for start, end in blocks((orders + 1 - parity) // 2):
        lowest = 2 * start + parity
        yield slice(start, end), slice(lowest, 2 * end - 1 + parity, 2), lowest


def _analyse(x: Tensor, fourier: Tensor, table: Tensor) -> Tensor:
    """[H, W, N] by fourier [P, 2 k, W / 2] and a table [M, L, H] -> [L, M, 2, N]"""
    (height, width, columns), (orders, degrees, _) = x.shape, table.shape
    here, there = x[:, : width // 2], x[:, width // 2 :]
    result = x.new_zeros(degrees, orders, 2 * columns)
    for parity in range(2):
        half = here - there if parity else here + there
        spectrum = torch.bmm(fourier[parity].expand(height, -1, -1), half).view(height, -1, 2 * columns)
        for place, among_all, lowest in _orders(orders, parity):
            part = torch.bmm(table[among_all, lowest:], spectrum[:, place].transpose(0, 1))
            result[lowest:, among_all] = part.transpose(0, 1)
    return result.view(degrees, orders, 2, columns)


def _synthesise(coefficients: Tensor, fourier: Tensor, table: Tensor) -> Tensor:
    """The transpose of `_analyse` with the same tables: [L, M, 2, N] -> [H, W, N]."""
    (_, orders, _, columns), height, half = coefficients.shape, table.shape[2], fourier.shape[2]
    flat = coefficients.reshape(-1, orders, 2 * columns)
    waves = []
    for parity in range(2):
        spectrum = flat.new_zeros(height, fourier.shape[1] // 2, 2 * columns)
        for place, among_all, lowest in _orders(orders, parity):
            rows = flat[lowest:, among_all].transpose(0, 1)
            spectrum[:, place] = torch.bmm(table[among_all, lowest:].transpose(1, 2), rows).transpose(0, 1)
        waves.append(torch.bmm(fourier[parity].T.expand(height, -1, -1), spectrum.view(height, -1, columns)))
    result = flat.new_empty(height, 2 * half, columns)
    torch.add(*waves, out=result[:, :half])
    torch.sub(*waves, out=result[:, half:])
    return result


class _Analysis(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, fourier: Tensor, table: Tensor) -> Tensor:
        ctx.save_for_backward(fourier, table)
        return _analyse(x, fourier, table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        return _Synthesis.apply(*gradients, *ctx.saved_tensors), None, None


class _Synthesis(Function):
    @staticmethod
    def forward(ctx: Any, coefficients: Tensor, fourier: Tensor, table: Tensor) -> Tensor:
        ctx.save_for_backward(fourier, table)
        return _synthesise(coefficients, fourier, table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        return _Analysis.apply(*gradients, *ctx.saved_tensors), None, None


def fourier_table(orders: int, width: int) -> np.ndarray:
    """[P, 2 k, W / 2]: rows are cos(m longitude), -sin(m longitude) for the orders m of one parity."""
    order = np.arange(2)[:, None, None] + 2 * np.arange((orders + 1) // 2)[:, None]
    angle = order * (2 * np.pi / width) * np.arange(width // 2)
    return np.stack([np.cos(angle), -np.sin(angle)], axis=2).reshape(2, -1, width // 2)


class SphericalTransform(nn.Module):
    """Analysis and synthesis of real fields on one grid.

    height, width     the grid's latitudes and longitudes, an even number of these
    grid              which latitudes, see `SphereGrid`
    degrees, orders   how many of each, from zero; by default all that the grid resolves. On a Gaussian grid the round
                      trip of a field of these degrees is exact, on the others up to half of H degrees.
    dtype             of fields; tables are computed in float64 whatever it is

    Raises ConfigError where the grid cannot carry them.
    """

    analysis_fourier: Tensor
    analysis_table: Tensor
    synthesis_fourier: Tensor
    synthesis_table: Tensor

    def __init__(
        self,
        height: int,
        width: int,
        grid: SphereGrid,
        degrees: int | None = None,
        orders: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.height, self.width, self.grid = height, width, grid
        self.degrees = degrees or height
        self.orders = orders or min(self.degrees, width // 2)
        if width % 2 or not 1 <= self.orders <= min(self.degrees, width // 2) <= self.degrees <= height:
            raise ConfigError(
                f"{self.degrees} degrees and {self.orders} orders on {height} latitudes and {width} longitudes: "
                f"expected an even number of longitudes, orders <= degrees <= {height} and orders <= {width // 2}"
            )
        x, weights = quadrature(grid, height)
        table = legendre(x, self.degrees, self.orders)
        fourier = fourier_table(self.orders, width)
        real = np.full_like(fourier, 2.0)  # a real field has every order above zero twice, as m and as -m
        real[0, :2] = 1
        tables = {
            "analysis_fourier": fourier * (2 * math.pi / width),
            "analysis_table": table * weights,
            "synthesis_fourier": fourier * real,
            "synthesis_table": table,
        }
        for name, values in tables.items():
            self.register_buffer(name, torch.tensor(values, dtype=dtype), persistent=False)

    def analyse_columns(self, x: Tensor) -> Tensor:
        """[H, W, N] -> [L, M, 2, N], real and imaginary parts; zero where the order exceeds the degree."""
        tables = self.analysis_fourier, self.analysis_table
        return cast(Tensor, _Analysis.apply(x.to(tables[0].dtype), *tables))

    def synthesise_columns(self, coefficients: Tensor) -> Tensor:
        """[L, M, 2, N] -> [H, W, N]"""
        tables = self.synthesis_fourier, self.synthesis_table
        return cast(Tensor, _Synthesis.apply(coefficients.to(tables[0].dtype), *tables))

    def analyse(self, field: Tensor) -> Tensor:
        """[..., H, W] -> complex [..., L, M]"""
        if field.shape[-2:] != (self.height, self.width):
            raise ConfigError(f"a field {tuple(field.shape)} for a transform of [..., {self.height}, {self.width}]")
        columns = self.analyse_columns(field.reshape(-1, *field.shape[-2:]).permute(1, 2, 0))
        coefficients = torch.view_as_complex(columns.permute(3, 0, 1, 2).contiguous())
        return coefficients.reshape(*field.shape[:-2], self.degrees, self.orders)

    def synthesise(self, coefficients: Tensor) -> Tensor:
        """complex [..., L, M] -> [..., H, W]"""
        shape = coefficients.shape
        if shape[-2:] != (self.degrees, self.orders):
            raise ConfigError(f"coefficients {tuple(shape)} for a transform of [..., {self.degrees}, {self.orders}]")
        columns = torch.view_as_real(coefficients.reshape(-1, *shape[-2:])).permute(1, 2, 3, 0)
        return self.synthesise_columns(columns).permute(2, 0, 1).reshape(*shape[:-2], self.height, self.width)
