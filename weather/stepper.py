"""A network as a step of the weather: physical states in, physical states out.

    next = last + tendency_std * network(normalised last, changes / tendency_std, forcings at the time of next)

The network gives the change in units of what usually changes in a step, so that "nothing happens" is zero. It is told
what changed before in the same units: beside the differences between equator and pole that is a few hundredths, and
would be lost. With a climate, the change that it gives counts from what is usual: zero is then "as unusual as it was",
and the network sees how unusual the present is, too.

A network of several sizes of a step is told which one, or gives all of them at once: one look at the present, as many
lead times as outputs.

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

PAST = "changes"
"""How networks are told of states before the last; cards say so."""


class Stepper(nn.Module):
    """
    mean, std        [C]
    tendency_std     [S, C], of the change over each size of a step
    nonnegative      [C] bool
    deviation_std    [C], where there is a climate
    steps            S sizes of a step, in units of the data's step
    noise            D; the conditioning vector of the network is these numbers, then which size of a step it is
    at_once          whether the network gives all sizes, as channels [S C]
    """

    mean: Tensor
    std: Tensor
    tendency_std: Tensor
    deviation_std: Tensor
    nonnegative: Tensor

    def __init__(
        self,
        network: nn.Module,
        scales: Mapping[str, Sequence],
        steps: Sequence[int],
        noise: int,
        at_once: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.steps, self.noise, self.at_once = network, tuple(steps), noise, at_once
        self.several = len(getattr(network, "networks", ())) > 1
        self.save_memory = False
        for name in ("mean", "std", "tendency_std", "deviation_std"):
            values = scales.get(name, scales["std"])
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
        self.register_buffer("nonnegative", torch.tensor(scales["nonnegative"], dtype=torch.bool), persistent=False)

    def forward(
        self,
        history: Tensor,
        forcings: Tensor,
        noise: Tensor | None = None,
        size: int | None = 0,
        climate: Tensor | None = None,
        member: Tensor | None = None,
    ) -> Tensor:
        """Forecast of as many steps as there are forcings; with `size` None, of all sizes in each, the next from there.

        history   [B, K, C, H, W], physical units, oldest first
        forcings  [B, T, F, H, W], at the times that are forecast; of all sizes at once at the first of each step
        noise     [B, T, D]
        size      which of `steps`
        climate   [B, K + T, C, H, W], of the history and of what is forecast, where the model has one; of all sizes at
                  once [B, K + T S, C, H, W]
        member    [B] int64, which member of an ensemble each is; several networks take turns at them

        Returns [B, T, C, H, W], or [B, T S, C, H, W]; for T > 1 of the latter sizes have to be 1, 2, ..., S
        """
        states, past = [], history.shape[1]
        count = 1 if size is not None else len(self.steps)
        for step in range(forcings.shape[1]):
            condition = self._condition(history, noise[:, step] if noise is not None else None, size)
            first = step * count
            usual = climate[:, first : first + past + count] if climate is not None else None
            arguments = history, forcings[:, step], condition, size, usual, member
            if self.save_memory and self.training and forcings.shape[1] > 1:
                following = checkpoint(self.step, *arguments, use_reentrant=False)
            else:
                following = self.step(*arguments)
            assert isinstance(following, Tensor)
            states.append(following)
            history = torch.cat([history, following], dim=1)[:, -past:]
        return torch.cat(states, dim=1)

    def step(
        self,
        history: Tensor,
        forcings: Tensor,
        condition: Tensor | None,
        size: int | None,
        climate: Tensor | None = None,
        member: Tensor | None = None,
    ) -> Tensor:
        """One step, [B, K, C, H, W] -> [B, 1, C, H, W], or [B, S, C, H, W]; climate [B, K + 1 or S, C, H, W]."""
        change = self._change(history, forcings, condition, climate, member)
        if size is None:
            return self._changed(history, change, self.tendency_std, climate)
        if self.at_once:
            change = change.unflatten(1, (len(self.steps), -1))[:, size]
        return self._changed(history, change, self.tendency_std[size], climate)

    def _change(
        self,
        history: Tensor,
        forcings: Tensor,
        condition: Tensor | None,
        climate: Tensor | None,
        member: Tensor | None,
    ) -> Tensor:
        """What the network says, [B, C or S C, H, W]."""
        last, past = history[:, -1], history.shape[1]
        unusual = history if climate is None else history - climate[:, :past]
        changes = unusual.diff(dim=1) / self._columns(self.tendency_std[0])
        seen = [(last - self._columns(self.mean)) / self._columns(self.std), changes.flatten(1, 2), forcings]
        if climate is not None:
            seen.append(unusual[:, -1] / self._columns(self.deviation_std))
        state = torch.cat(seen, dim=1)
        told = [] if condition is None else [condition]
        if told and member is not None and self.several:
            told.append(member)
        return self.network(state, *told).to(history.dtype)

    def _changed(self, history: Tensor, change: Tensor, unit: Tensor, climate: Tensor | None) -> Tensor:
        """States [B, T, C, H, W] from changes [B, T C, H, W] in units [T, C], or of one [C]."""
        following = history[:, -1:] + self._columns(unit) * change.reshape(change.shape[0], -1, *history.shape[2:])
        if climate is not None:
            past = history.shape[1]
            following = following + climate[:, past:] - climate[:, [past - 1]]
        return torch.where(self._columns(self.nonnegative), following.clamp(min=0), following)

    def _condition(self, history: Tensor, noise: Tensor | None, size: int | None) -> Tensor | None:
        parts = [] if noise is None else [noise]
        if len(self.steps) > 1 and size is not None and not self.at_once:
            which = torch.full((len(history),), size, device=history.device)
            parts.append(F.one_hot(which, len(self.steps)).to(history.dtype))
        return torch.cat(parts, dim=1) if parts else None

    @staticmethod
    def _columns(values: Tensor) -> Tensor:
        return values[..., None, None]
