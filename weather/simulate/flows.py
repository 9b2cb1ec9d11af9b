"""Random shallow-water flows as training data, computed when asked for.

Shapes: B flows, T states an interval apart, H latitudes, W longitudes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from common.app.errors import ConfigError
from weather.simulate.initial_states import random_flows
from weather.simulate.shallow_water import FIELDS, ShallowWater


@dataclass(frozen=True)
class Flows:
    """A data set without end: flow `index` follows from (seed, index), so a run resumes at any sample.

    solver         on the device and in the dtype the states shall have
    interval_s     between a state and the next; a multiple of the solver's time step
    spin_up_s      from the white random state to the first that is given
    """

    solver: ShallowWater
    interval_s: float = 3600.0
    spin_up_s: float = 0.0
    seed: int = 0
    mach: float = 0.2

    channels = FIELDS

    def __post_init__(self) -> None:
        for name in ("interval_s", "spin_up_s"):
            steps = getattr(self, name) / self.solver.config.time_step_s
            if abs(steps - round(steps)) > 1e-6 or steps < 0 or (name == "interval_s" and not steps):
                raise ConfigError(
                    f"{name}={getattr(self, name):g}: expected a multiple of the solver's time step, "
                    f"{self.solver.config.time_step_s:g} s"
                )

    @torch.no_grad()
    def trajectories(self, indices: Sequence[int], length: int = 2) -> Tensor:
        """[B, T, 3, H, W]: geopotential (m2/s2), vorticity and divergence (1/s) of `length` states of each flow."""
        step = self.solver.config.time_step_s
        spectral = random_flows(self.solver, self.seed, indices, self.mach)
        spectral = self.solver.advance(spectral, round(self.spin_up_s / step))
        states = [self.solver.state(spectral)]
        for _ in range(length - 1):
            spectral = self.solver.advance(spectral, round(self.interval_s / step))
            states.append(self.solver.state(spectral))
        return torch.stack(states, dim=1)

    def pairs(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """State and next state, [B, 3, H, W] each."""
        state, following = self.trajectories(indices).unbind(1)
        return state, following

    def batches(self, size: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Pairs of flows `first`, `first` + 1, ... without end."""
        while True:
            yield self.pairs(range(first, first + size))
            first += size
