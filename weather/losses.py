"""What an error of a forecast counts, point by point.

Shapes: B samples, T steps, M members, C channels, H latitudes, W longitudes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from weather.data.grid import Grid
from weather.metrics.spectra import power_by_degree


def squared_error(forecast: Tensor, truth: Tensor) -> Tensor:
    """Mean over members, [B, T, M, C, H, W] and [B, T, C, H, W] -> [B, T, C, H, W]."""
    return (forecast - truth[:, :, None]).square().mean(dim=2)


def absolute_error(forecast: Tensor, truth: Tensor) -> Tensor:
    """Mean over members, [B, T, M, C, H, W] and [B, T, C, H, W] -> [B, T, C, H, W]."""
    return (forecast - truth[:, :, None]).abs().mean(dim=2)


def fair_crps(forecast: Tensor, truth: Tensor, fairness: float = 1.0) -> Tensor:
    """Fair continuous ranked probability score, Ferro 2014, doi:10.1002/qj.2270, of two members or more.

    mean |x_i - y| - mean over pairs i != j of |x_i - x_j| / 2; [B, T, M, C, H, W], [B, T, C, H, W] -> [B, T, C, H, W].
    With a fairness below 1 the pairs count 1 - (1 - fairness) / M: that share of the fair score and the rest of the
    score of the members as they are; Lang et al. 2024, arXiv:2412.15832. The fair score alone does not mind if all
    members but one are right and that one is anywhere.
    """
    members = forecast.shape[2]
    distance = absolute_error(forecast, truth)
    apart = torch.zeros_like(distance)
    for shift in range(1, members // 2 + 1):  # every pair once or, at half way round, twice
        pairs = (forecast - forecast.roll(shift, dims=2)).abs().mean(dim=2)
        apart = apart + pairs * (0.5 if 2 * shift == members else 1.0)
    return distance - (1 - (1 - fairness) / members) * apart / (members - 1)


TINY = 1e-12
"""Keeps the slope of a root finite where a degree has no power."""

ALMOST = 0.95
"""Fairness of the almost fair score, as in arXiv:2412.15832."""

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": squared_error, "l1": absolute_error, "crps": fair_crps,
    "almost_fair_crps": partial(fair_crps, fairness=ALMOST),
}  # fmt: skip


def spectral_loss(forecast: Tensor, truth: Tensor) -> Tensor:
    """Squared difference of the amplitudes by zonal wavenumber, a mean over members, latitudes and wavenumbers.

    [B, T, M, C, H, W] and [B, T, C, H, W] -> [B, T, C]. A mean of several forecasts is smooth; this sees what it lacks.
    """
    amplitude = torch.fft.rfft(forecast, dim=-1, norm="ortho").abs()
    expected = torch.fft.rfft(truth, dim=-1, norm="ortho").abs()[:, :, None]
    return (amplitude - expected).square().mean(dim=(2, -2, -1))


def spherical_spectral_loss(grid: Grid) -> Callable[[Tensor, Tensor], Tensor]:
    """The same by degree of spherical harmonics, on a globe: no turn of the sphere changes it.

    sum over degrees of (A - B)^2 / 4 pi with A^2, B^2 the power of a degree, a mean over members; at most the mean
    squared error. On equiangular grids the upper half of the degrees, which is inaccurate there, counts nothing.

    Raises DataFormatError on a region.
    """
    count = grid.shape[0] if grid.kind == "gaussian" else grid.shape[0] // 2

    def amplitude(fields: Tensor) -> Tensor:
        return (power_by_degree(fields, grid)[..., :count] + TINY).sqrt()

    def loss(forecast: Tensor, truth: Tensor) -> Tensor:
        difference = amplitude(forecast) - amplitude(truth)[:, :, None]
        return difference.square().sum(dim=-1).mean(dim=2) / (4 * torch.pi)

    power_by_degree(torch.zeros(grid.shape), grid)  # a region is refused here and not in the first step
    return loss
