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
    """One step of a deterministic model: of one size, or of all sizes where they come at once."""

    def __init__(self, stepper: Stepper) -> None:
        super().__init__()
        self.stepper = stepper

    def forward(self, history: Tensor, forcings: Tensor, climate: Tensor | None = None) -> tuple[Tensor]:
        size = None if self.stepper.at_once else 0
        return (self.stepper(history, forcings[:, None], None, size, climate),)


def exportable(name: str | Path, device: str = "cpu") -> tuple[Exportable, dict[str, Any]]:
    """A forecaster's step, ready for `common.export.export`, and its card.

    Raises ConfigError for an ensemble model, or one that is told which of several sizes a step has.
    """
    forecaster = Forecaster.from_pretrained(name, device)
    return exportable_step(forecaster), forecaster.card


def exportable_step(forecaster: Forecaster) -> Exportable:
    """One output, states [B, S, C, H, W] of S sizes of a step."""
    stepper, card = forecaster.stepper, forecaster.card
    if stepper.noise or (len(stepper.steps) > 1 and not stepper.at_once):
        raise ConfigError(
            f"{card['name']} cannot be exported: it takes noise or is told the size of a step; a network from history "
            "and forcings to the next states can"
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
            f"at the first time that is forecast: {', '.join(forecaster.forcings.channels)} (weather.data.forcings)",
        ),
    }
    if card.get("deviations"):
        inputs["climate"] = Input(
            ("states", forecaster.history + len(stepper.steps), channels, height, width),
            "what is usual at the times of the history and of the output (weather.data.climate)",
        )
    later = ", ".join(f"{step * forecaster.step_h:g}" for step in stepper.steps)
    outputs = {"states": Output(f"{later} h after the last of the history", stepper.tendency_std[..., None, None])}
    examples = [_example(forecaster, times) for times in (TIMES, TIMES[:1])]
    return Exportable(Step(stepper), inputs, outputs, examples)


@torch.no_grad()
def _example(forecaster: Forecaster, times: np.ndarray) -> Example:
    """Random states of the right size: nothing but the operations is compared."""
    stepper, generator = forecaster.stepper, torch.Generator().manual_seed(0)
    shape = len(times), forecaster.history, len(forecaster.channels), *forecaster.grid.shape
    noise = torch.randn(shape, generator=generator).to(forecaster.device)
    history = stepper.mean[:, None, None] + stepper.std[:, None, None] * noise
    inputs = {"history": history, "forcings": forecaster.forcings.at(times)}
    if forecaster.card.get("deviations"):
        assert forecaster.climate is not None
        steps = np.array([*range(1 - forecaster.history, 1), *stepper.steps]) - stepper.steps[0]
        seconds = steps * round(forecaster.step_h * 3600)
        inputs["climate"] = forecaster.climate.at(times[:, None] + seconds.astype("timedelta64[s]"))
    return Example(inputs, {"states": Step(stepper)(**inputs)[0]})
