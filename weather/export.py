"""What a forecaster's network is outside this package: one step, physical states in, physical states out.

A forecaster that shrinks its forecasts steps without that, see `weather.shrinkage`: what is exported is the step.

Shapes: B states, K of history, C channels, F forcings, H latitudes, W longitudes; see `weather.stepper`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.app.errors import ConfigError
from common.export import Example, Exportable, Input, Output
from weather.forecaster import Forecaster
from weather.stepper import Stepper

TIMES = np.datetime64("2000-01-01T00", "ns") + np.arange(3) * np.timedelta64(2201, "h")
"""Of the examples' forcings: other seasons, other hours."""


class Step(nn.Module):
    """One step of a deterministic model."""

    def __init__(self, stepper: Stepper) -> None:
        super().__init__()
        self.stepper = stepper

    def forward(self, history: Tensor, forcings: Tensor) -> tuple[Tensor]:
        return (self.stepper(history, forcings[:, None])[:, 0],)


def exportable(name: str | Path, device: str = "cpu") -> tuple[Exportable, dict[str, Any]]:
    """A forecaster's step, ready for `common.export.export`, and its card.

    Raises ConfigError for an ensemble model, or one with several sizes of a step.
    """
    forecaster = Forecaster.from_pretrained(name, device)
    return exportable_step(forecaster), forecaster.card


def exportable_step(forecaster: Forecaster) -> Exportable:
    """One output, state [B, C, H, W]."""
    stepper, card = forecaster.stepper, forecaster.card
    if stepper.noise or len(stepper.steps) > 1 or card.get("deviations"):
        raise ConfigError(
            f"{card['name']} cannot be exported: it takes noise, a climate or several sizes of a step; a network from "
            "history and forcings to one next state can"
        )
    height, width = forecaster.grid.shape
    channels, forcings = len(forecaster.channels), len(forecaster.forcings.channels)
    labels = ", ".join(channel.label for channel in forecaster.channels)
    inputs = {
        "history": Input(
            ("states", forecaster.history, channels, height, width),
            f"states {forecaster.step_h:g} h apart, oldest first, canonical units, of {labels}; latitudes and "
            "longitudes in the order of the card's grid",
        ),
        "forcings": Input(
            ("states", forcings, height, width),
            f"at the time that is forecast: {', '.join(forecaster.forcings.channels)} (weather.data.forcings)",
        ),
    }
    outputs = {"state": Output(f"{forecaster.lead_step_h:g} h later", stepper.tendency_std[0][:, None, None])}
    examples = [_example(forecaster, times) for times in (TIMES, TIMES[:1])]
    return Exportable(Step(stepper), inputs, outputs, examples)


@torch.no_grad()
def _example(forecaster: Forecaster, times: np.ndarray) -> Example:
    """Random states of the right size: nothing but the operations is compared."""
    stepper, generator = forecaster.stepper, torch.Generator().manual_seed(0)
    shape = len(times), forecaster.history, len(forecaster.channels), *forecaster.grid.shape
    noise = torch.randn(shape, generator=generator).to(forecaster.device)
    history = stepper.mean[:, None, None] + stepper.std[:, None, None] * noise
    forcings = forecaster.forcings.at(times)
    return Example({"history": history, "forcings": forcings}, {"state": stepper(history, forcings[:, None])[:, 0]})
