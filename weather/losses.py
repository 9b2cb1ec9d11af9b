"""What an error of a forecast counts, point by point.

Shapes: B samples, T steps, M members, C channels, H latitudes, W longitudes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def squared_error(forecast: Tensor, truth: Tensor) -> Tensor:
    """Mean over members, [B, T, M, C, H, W] and [B, T, C, H, W] -> [B, T, C, H, W]."""
    return (forecast - truth[:, :, None]).square().mean(dim=2)


def absolute_error(forecast: Tensor, truth: Tensor) -> Tensor:
    """Mean over members, [B, T, M, C, H, W] and [B, T, C, H, W] -> [B, T, C, H, W]."""
    return (forecast - truth[:, :, None]).abs().mean(dim=2)


def fair_crps(forecast: Tensor, truth: Tensor) -> Tensor:
    """Fair continuous ranked probability score, Ferro 2014, doi:10.1002/qj.2270, of two members or more.

    mean |x_i - y| - mean over pairs i != j of |x_i - x_j| / 2; [B, T, M, C, H, W], [B, T, C, H, W] -> [B, T, C, H, W].
    """
    members = forecast.shape[2]
    distance = absolute_error(forecast, truth)
    apart = torch.zeros_like(distance)
    for shift in range(1, members // 2 + 1):  # every pair once or, at half way round, twice
        pairs = (forecast - forecast.roll(shift, dims=2)).abs().mean(dim=2)
        apart = apart + pairs * (0.5 if 2 * shift == members else 1.0)
    return distance - apart / (members - 1)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": squared_error, "l1": absolute_error, "crps": fair_crps,
}  # fmt: skip


def spectral_loss(forecast: Tensor, truth: Tensor) -> Tensor:
    """Squared difference of the amplitudes by zonal wavenumber, a mean over members, latitudes and wavenumbers.

    [B, T, M, C, H, W] and [B, T, C, H, W] -> [B, T, C]. A mean of several forecasts is smooth; this sees what it lacks.
    """
    amplitude = torch.fft.rfft(forecast, dim=-1, norm="ortho").abs()
    expected = torch.fft.rfft(truth, dim=-1, norm="ortho").abs()[:, :, None]
    return (amplitude - expected).square().mean(dim=(2, -2, -1))
