"""A network as a step of the weather: physical states in, physical states out.

    next = last + tendency_std * network(normalised history, forcings at the time of next)

The network gives the change in units of what usually changes in a step, so that "nothing happens" is zero.

Shapes: B samples, K states of history, T steps, S sizes of a step, C channels, F forcings, D random numbers,
H latitudes, W longitudes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

NONNEGATIVE = frozenset(
    {
        "specific_humidity", "specific_cloud_ice_water_content", "specific_cloud_liquid_water_content",
        "total_precipitation", "total_precipitation_6hr", "total_precipitation_24hr", "total_column_water_vapour",
        "sea_ice_cover", "total_cloud_cover",
    }
)  # fmt: skip
"""What cannot be below zero."""


class Stepper(nn.Module):
    """
    mean, std        [C]
    tendency_std     [S, C], of the change over each size of a step
    nonnegative      [C] bool
    steps            S sizes of a step, in units of the data's step
    noise            D; the conditioning vector of the network is these numbers, then which size of a step it is
    """

    mean: Tensor
    std: Tensor
    tendency_std: Tensor
    nonnegative: Tensor

    def __init__(self, network: nn.Module, scales: Mapping[str, Sequence], steps: Sequence[int], noise: int) -> None:
        super().__init__()
        self.network, self.steps, self.noise = network, tuple(steps), noise
        self.save_memory = False
        for name in ("mean", "std", "tendency_std"):
            self.register_buffer(name, torch.tensor(scales[name], dtype=torch.float32), persistent=False)
        self.register_buffer("nonnegative", torch.tensor(scales["nonnegative"], dtype=torch.bool), persistent=False)

    def forward(self, history: Tensor, forcings: Tensor, noise: Tensor | None = None, size: int = 0) -> Tensor:
        """Forecast of as many steps as there are forcings.

        history   [B, K, C, H, W], physical units, oldest first
        forcings  [B, T, F, H, W], at the times that are forecast
        noise     [B, T, D]
        size      which of `steps`

        Returns [B, T, C, H, W]
        """
        states = []
        for step in range(forcings.shape[1]):
            condition = self._condition(history, noise[:, step] if noise is not None else None, size)
            arguments = history, forcings[:, step], condition, size
            if self.save_memory and self.training and forcings.shape[1] > 1:
                following = checkpoint(self.step, *arguments, use_reentrant=False)
            else:
                following = self.step(*arguments)
            assert isinstance(following, Tensor)
            states.append(following)
            history = torch.cat([history[:, 1:], following[:, None]], dim=1)
        return torch.stack(states, dim=1)

    def step(self, history: Tensor, forcings: Tensor, condition: Tensor | None, size: int) -> Tensor:
        """One step, [B, K, C, H, W] -> [B, C, H, W]."""
        normal = (history - self._columns(self.mean)) / self._columns(self.std)
        state = torch.cat([normal.flatten(1, 2), forcings], dim=1)
        change = self.network(state) if condition is None else self.network(state, condition)
        following = history[:, -1] + self._columns(self.tendency_std[size]) * change.to(history.dtype)
        return torch.where(self._columns(self.nonnegative), following.clamp(min=0), following)

    def _condition(self, history: Tensor, noise: Tensor | None, size: int) -> Tensor | None:
        parts = [] if noise is None else [noise]
        if len(self.steps) > 1:
            which = torch.full((len(history),), size, device=history.device)
            parts.append(F.one_hot(which, len(self.steps)).to(history.dtype))
        return torch.cat(parts, dim=1) if parts else None

    @staticmethod
    def _columns(values: Tensor) -> Tensor:
        return values[:, None, None]
