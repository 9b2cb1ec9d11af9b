"""Real spherical harmonic transforms, orthonormal, on fields whose columns lie last.

    a(l, m) = sum_h w_h N(l, m, h) 2 pi / W sum_w f(h, w) exp(-i m longitude_w),   f = sum_lm a(l, m) Y_lm

The Fourier transform runs along the second axis; the Legendre sum is one matrix product for each order, of which those
degrees are computed that reach the order, in blocks. Its result is put down with the orders of one degree side by side,
as products in degrees want it.

Shapes: H latitudes (south to north), W longitudes, L degrees, M orders, N columns (samples times channels).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

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


def _analyse(x: Tensor, table: Tensor, adjoint: bool) -> Tensor:
    """[H, W, N] by a table [M, L, H] -> [L, M, N, 2]; as adjoint of the synthesis, orders above zero count twice."""
    columns, (orders, degrees, _) = x.shape[2], table.shape
    # On a CPU the transform's result has the longitudes last, whatever came in: a copy puts the columns back there.
    spectrum = torch.view_as_real(torch.fft.rfft(x, dim=1)[:, :orders].contiguous()).flatten(2)
    result = x.new_zeros(degrees, orders, 2 * columns)
    for start, end in blocks(orders):
        part = torch.bmm(table[start:end, start:], spectrum[:, start:end].transpose(0, 1))
        result[start:, start:end] = part.transpose(0, 1)
    if adjoint:
        result[:, 1:] *= 2
    return result.view(degrees, orders, columns, 2)


def _synthesise(coefficients: Tensor, table: Tensor, width: int, adjoint: bool) -> Tensor:
    """[L, M, N, 2] by a table [M, L, H] -> [H, W, N]; as adjoint of the analysis, orders above zero count half."""
    orders, _, height = table.shape
    columns = coefficients.shape[2]
    flat = coefficients.reshape(*coefficients.shape[:2], -1)
    spectrum = flat.new_empty(height, width // 2 + 1, columns, 2)
    for start, end in blocks(orders):
        part = torch.bmm(table[start:end, start:].transpose(1, 2), flat[start:, start:end].transpose(0, 1))
        if adjoint:
            part[0 if start else 1 :] /= 2
        spectrum[:, start:end] = part.view(-1, height, columns, 2).transpose(0, 1)
    spectrum[:, orders:] = 0
    spectrum[:, 0, :, 1] = 0  # some Fourier transforms read it
    return torch.fft.irfft(torch.view_as_complex(spectrum), n=width, dim=1, norm="forward").contiguous()


class _Analysis(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, adjoint: bool) -> Tensor:
        ctx.save_for_backward(table)
        ctx.width, ctx.adjoint = x.shape[1], adjoint
        return _analyse(x, table, adjoint)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        return _Synthesis.apply(*gradients, *ctx.saved_tensors, ctx.width, not ctx.adjoint), None, None


class _Synthesis(Function):
    @staticmethod
    def forward(ctx: Any, coefficients: Tensor, table: Tensor, width: int, adjoint: bool) -> Tensor:
        ctx.save_for_backward(table)
        ctx.adjoint = adjoint
        return _synthesise(coefficients, table, width, adjoint)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        return _Analysis.apply(*gradients, *ctx.saved_tensors, not ctx.adjoint), None, None, None


class SphericalTransform(nn.Module):
    """Analysis and synthesis of real fields on one grid.

    height, width     the grid's latitudes and longitudes
    grid              which latitudes, see `SphereGrid`
    degrees, orders   how many of each, from zero; by default all that the grid resolves. On a Gaussian grid the round
                      trip of a field of these degrees is exact, on the others up to half of H degrees.
    dtype             of fields; tables are computed in float64 whatever it is

    Raises ConfigError where the grid cannot carry them.
    """

    analysis_table: Tensor
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
        self.orders = orders or min(self.degrees, (width + 1) // 2)
        if not 1 <= self.orders <= min(self.degrees, (width + 1) // 2) <= self.degrees <= height:
            raise ConfigError(
                f"{self.degrees} degrees and {self.orders} orders on {height} latitudes and {width} longitudes: "
                f"expected orders <= degrees <= {height} and orders <= {(width + 1) // 2}"
            )
        x, weights = quadrature(grid, height)
        table = legendre(x, self.degrees, self.orders)
        tables = {"analysis_table": table * weights * (2 * math.pi / width), "synthesis_table": table}
        for name, values in tables.items():
            self.register_buffer(name, torch.tensor(values, dtype=dtype), persistent=False)

    def analyse_columns(self, x: Tensor) -> Tensor:
        """[H, W, N] -> [L, M, N, 2], real and imaginary parts last; zero where the order exceeds the degree."""
        table = self.analysis_table
        return cast(Tensor, _Analysis.apply(x.to(table.dtype), table, False))

    def synthesise_columns(self, coefficients: Tensor) -> Tensor:
        """[L, M, N, 2] -> [H, W, N]"""
        table = self.synthesis_table
        return cast(Tensor, _Synthesis.apply(coefficients.to(table.dtype), table, self.width, False))

    def analyse(self, field: Tensor) -> Tensor:
        """[..., H, W] -> complex [..., L, M]"""
        if field.shape[-2:] != (self.height, self.width):
            raise ConfigError(f"a field {tuple(field.shape)} for a transform of [..., {self.height}, {self.width}]")
        columns = self.analyse_columns(field.reshape(-1, *field.shape[-2:]).permute(1, 2, 0))
        coefficients = torch.view_as_complex(columns.permute(2, 0, 1, 3).contiguous())
        return coefficients.reshape(*field.shape[:-2], self.degrees, self.orders)

    def synthesise(self, coefficients: Tensor) -> Tensor:
        """complex [..., L, M] -> [..., H, W]"""
        shape = coefficients.shape
        if shape[-2:] != (self.degrees, self.orders):
            raise ConfigError(f"coefficients {tuple(shape)} for a transform of [..., {self.degrees}, {self.orders}]")
        columns = torch.view_as_real(coefficients.reshape(-1, *shape[-2:])).permute(1, 2, 0, 3)
        return self.synthesise_columns(columns).permute(2, 0, 1).reshape(*shape[:-2], self.height, self.width)
