"""Training of a forecaster as the trainer sees it: windows of states, roll-out, weighted loss.

Shapes: B samples, K states of history, T steps, M members, C channels, H latitudes, W longitudes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from common.results.metrics import Value
from common.training.draws import normal
from common.training.precision import mixed_seed
from common.training.task import Forward, Task
from weather.data.climate import Climate
from weather.data.forcings import Forcings
from weather.data.mirror import Mirror
from weather.data.windows import WindowBatch, Windows
from weather.losses import spectral_loss
from weather.stepper import Stepper

MIRRORED = 1
"""What the draw is for, beside that of a step's size."""


@dataclass(frozen=True)
class Horizon:
    """How many steps are forecast, at most in training, in validation, and when training reaches its most."""

    targets: int
    validation: int
    grow_until: float

    def at(self, progress: float) -> int:
        """In training, when `progress` of the run is done."""
        share = min(1.0, progress / self.grow_until) if self.grow_until else 1.0
        return min(self.targets, 1 + int(share * self.targets))


class ForecastTask(Task):
    """The loss is a mean over the steps of a roll-out, over cells by their area, over channels by their weights.

    Errors count in units of each channel's change in a step. A model of several sizes of a step is trained on one at
    random each time, or on all where it gives them at once, and validated on all.

    channel_weights  [C]
    area_weights     [H, W], mean 1
    """

    monitor = "loss"

    def __init__(
        self,
        stepper: Stepper,
        windows: Mapping[str, Windows],
        forcings: Forcings,
        history: int,
        horizon: Horizon,
        members: int,
        loss: Callable[[Tensor, Tensor], Tensor],
        channel_weights: Tensor,
        area_weights: Tensor,
        spectral: float = 0.0,
        spectrum: Callable[[Tensor, Tensor], Tensor] = spectral_loss,
        climate: Climate | None = None,
        mirror: Mirror | None = None,
    ) -> None:
        self.model = self.stepper = stepper
        self.windows, self.forcings, self.history = windows, forcings, history
        self.horizon, self.members, self.spectral = horizon, members, spectral
        self.channel_weights, self.area_weights = channel_weights, area_weights
        self.blocks = tuple(getattr(stepper.network, "blocks", ()))
        self.prefetch = not all(split.in_memory for split in windows.values())
        self._loss, self._spectrum, self._climate, self._mirror = loss, spectrum, climate, mirror
        self.begin(0.0)

    def begin(self, progress: float, seed: int = 0) -> None:
        self._targets, self._seed = self.horizon.at(progress), seed

    def sizes(self, split: str) -> np.ndarray:
        return np.ones(len(self.windows[split]), np.int64)

    def names(self, split: str, ids: np.ndarray) -> list[str]:
        windows = self.windows[split]
        return [str(windows.times[windows.index[i, 0]].astype("datetime64[m]")) for i in ids]

    def batch(self, split: str, ids: np.ndarray) -> WindowBatch:
        return self.windows[split].batch(ids)

    def loss(self, forward: Forward, batch: WindowBatch) -> Tensor:
        """With a mirror, of a forecast that every other step is made in the mirrored world."""
        if self._mirror and mixed_seed(self._seed, MIRRORED) % 2:
            forward = self._mirror.around(forward)
        if self.stepper.at_once:
            return self._all_sizes(forward, batch, self._targets).mean(dim=1)
        size = mixed_seed(self._seed) % len(self.stepper.steps)
        return self._scored(*self._roll_out(forward, batch, self._targets, size), size).mean(dim=1)

    def metrics(self, forward: Forward, batch: WindowBatch) -> dict[str, Value]:
        """`loss` over the whole horizon and all sizes of a step; `first_step` of the first step of the first size."""
        losses = [self._all_sizes(forward, batch, self.horizon.validation)] if self.stepper.at_once else []
        for size, stride in enumerate(() if losses else self.stepper.steps):
            targets = max(1, self.horizon.validation // stride)
            losses.append(self._scored(*self._roll_out(forward, batch, targets, size), size))
        return {"loss": torch.cat(losses, dim=1).mean(dim=1), "first_step": losses[0][:, 0]}

    def _roll_out(self, forward: Forward, batch: WindowBatch, targets: int, size: int) -> tuple[Tensor, Tensor]:
        """Forecast [B, T, M, C, H, W] and truth [B, T, C, H, W]."""
        places = self.history - 1 + self.stepper.steps[size] * np.arange(1, targets + 1)
        return self._members(forward, batch, places, places, size), batch.state[:, places]

    def _all_sizes(self, forward: Forward, batch: WindowBatch, targets: int) -> Tensor:
        """Loss of `targets` looks ahead, by size of a step [B, T S]."""
        steps = np.array(self.stepper.steps)
        looks = self.history - 1 + steps[-1] * np.arange(targets)[:, None] + steps
        forecast = self._members(forward, batch, looks[:, 0], looks.reshape(-1), None)
        return self._scored(forecast, batch.state[:, looks.reshape(-1)], [*range(len(steps))] * targets)

    def _members(
        self, forward: Forward, batch: WindowBatch, told: np.ndarray, places: np.ndarray, size: int | None
    ) -> Tensor:
        """Forecasts [B, T, M, C, H, W] of the `places` of a window, with forcings and noise for each of `told`."""
        times = batch.times[:, told]
        forcings = self.forcings.at(times.reshape(-1)).unflatten(0, times.shape)
        start, noise, member = batch.state[:, : self.history], None, None
        if self.stepper.noise:
            member = torch.arange(self.members, device=start.device).repeat(len(start))
            start, forcings = (x.repeat_interleave(self.members, 0) for x in (start, forcings))
            noise = self._noise(len(told), batch)
        forecast = forward(start, forcings, noise, size, self._usual(batch, places), member)
        return forecast.unflatten(0, (-1, self.members)).transpose(1, 2)

    def _usual(self, batch: WindowBatch, places: np.ndarray) -> Tensor | None:
        """The climate of the history and of `places` [T] in the window, [B M, K + T, C, H, W]."""
        if self._climate is None:
            return None
        times = batch.times[:, np.concatenate([np.arange(self.history), places])]
        return self._climate.at(times).repeat_interleave(self.members, 0)

    def _noise(self, targets: int, batch: WindowBatch) -> Tensor:
        """[B M, T, D], of each window by its start."""
        starts = torch.from_numpy(batch.times[:, self.history - 1].astype(np.int64)).to(batch.state.device)
        return normal(self._seed, starts, self.members, targets, self.stepper.noise).flatten(0, 1)

    def _scored(self, forecast: Tensor, truth: Tensor, size: int | list[int]) -> Tensor:
        """[B, T]; of several sizes that of each step."""
        unit = self.stepper.tendency_std[size][..., None, None]
        forecast, truth = forecast.float() / unit.unsqueeze(-4), truth / unit
        by_channel = (self._loss(forecast, truth) * self.area_weights).mean(dim=(-2, -1))
        if self.spectral:
            by_channel = by_channel + self.spectral * self._spectrum(forecast, truth)
        return (by_channel * self.channel_weights).sum(dim=-1) / self.channel_weights.sum()
