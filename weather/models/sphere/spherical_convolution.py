"""Convolution on the sphere as a product in degrees, Driscoll & Healy 1994, doi:10.1006/aama.1994.1008.

    b(l, m, o) = sum_i W(l, i, o) a(l, m, i)

W is complex and the same for all orders of a degree: the operator commutes with turns of the globe about its axis.
Complex numbers are pairs of reals, so a degree is one real matrix product of 2I by 2O.

Shapes: H, W latitudes and longitudes, B samples, I and O channels, L degrees, M orders.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function

from weather.models.sphere.spherical_transform import SphericalTransform, blocks


def _degrees(coefficients: Tensor, start: int, end: int) -> Tensor:
    """Degrees of [L, M, B, 2I] with the orders they have: [end - start, rows, 2I]."""
    return coefficients[start:end, :end].flatten(1, 2)


class _DegreeProduct(Function):
    """[L, M, B, 2I] by [L, 2I, 2O] -> [L, M, B, 2O], skipping orders above the degree in blocks."""

    @staticmethod
    def forward(ctx: Any, coefficients: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(coefficients, matrix)
        return _product(coefficients, matrix)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        coefficients, matrix = ctx.saved_tensors
        gradient, by_matrix = gradient.contiguous(), torch.empty_like(matrix)
        for start, end in blocks(len(matrix)):
            rows, received = _degrees(coefficients, start, end), _degrees(gradient, start, end)
            torch.bmm(rows.transpose(1, 2), received, out=by_matrix[start:end])
        return _product(gradient, matrix.transpose(1, 2)), by_matrix


def _product(coefficients: Tensor, matrix: Tensor) -> Tensor:
    result = coefficients.new_zeros(*coefficients.shape[:3], matrix.shape[2])
    for start, end in blocks(len(matrix)):
        part = torch.bmm(_degrees(coefficients, start, end), matrix[start:end])
        result[start:end, :end] = part.view(end - start, -1, *result.shape[2:])
    return result


class SphericalConvolution(nn.Module):
    """[H, W, B, I] on the grid of `analysis` -> [H', W', B, O] on that of `synthesis`."""

    def __init__(self, analysis: SphericalTransform, synthesis: SphericalTransform, inputs: int, outputs: int) -> None:
        super().__init__()
        self.analysis, self.synthesis = analysis, synthesis
        self.weight = nn.Parameter(torch.randn(synthesis.degrees, inputs, outputs, 2) / math.sqrt(inputs))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The convolution, and x itself on the grid of the output."""
        height, width, samples, channels = x.shape
        with torch.autocast(x.device.type, enabled=False):
            coefficients = self.analysis.analyse_columns(x.reshape(height, width, -1))
            weight = self.weight.to(coefficients.dtype)
            # Rows take real and then imaginary parts of the input, columns give those of the output.
            real, imaginary = weight.unbind(-1)
            matrix = torch.cat([torch.cat([real, imaginary], dim=2), torch.cat([-imaginary, real], dim=2)], dim=1)
            modes = coefficients.shape[:2]
            rows = coefficients.view(*modes, 2, samples, channels).transpose(2, 3).reshape(*modes, samples, -1)
            product = cast(Tensor, _DegreeProduct.apply(rows, matrix)).view(*modes, samples, 2, -1)
            result = self.synthesis.synthesise_columns(product.transpose(2, 3).flatten(3))
            if (self.synthesis.height, self.synthesis.width) != (height, width) or self._other_latitudes:
                x = self.synthesis.synthesise_columns(coefficients).view(*result.shape[:2], samples, channels)
        return result.view(*result.shape[:2], samples, -1), x

    @property
    def _other_latitudes(self) -> bool:
        return self.analysis.grid != self.synthesis.grid
