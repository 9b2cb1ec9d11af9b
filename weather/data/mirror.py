"""The mirrored world: hemispheres change places, winds across the equator turn round.

The equations of motion on a turning globe hold in it as they do in ours, the sun half a year later: every state seen is
a second one to learn dynamics from, from where a hemisphere has other weather than its opposite.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from common.app.errors import ConfigError
from common.training.task import Forward
from weather.data.fields import Channel
from weather.data.forcings import Forcings
from weather.data.grid import Grid

ODD = ("v_component_of_wind", "vorticity", "v850", "v_low")
"""Variables that change sign hold one of these words: northward winds, and what turns."""

ODD_FORCINGS = ("position_z", "year_progress_sin", "year_progress_cos")
"""Sine of latitude; and half a year later sine and cosine of the year are their negatives."""


class Mirror:
    """To the mirrored world and back, the same way.

    Raises ConfigError for a grid that is not its own mirror image.
    """

    def __init__(self, grid: Grid, channels: Sequence[Channel], forcings: Forcings, device: torch.device) -> None:
        if grid.kind == "regional" or not np.allclose(grid.latitudes, -grid.latitudes[::-1], atol=1e-3):
            raise ConfigError(
                f"mirror=true needs a globe with the same latitudes north and south; the data are on {grid.name}: "
                "leave it out"
            )
        signs = [-1.0 if any(word in channel.variable for word in ODD) else 1.0 for channel in channels]
        forcing_signs = [-1.0 if label.startswith(ODD_FORCINGS) else 1.0 for label in forcings.channels]
        self._signs = torch.tensor(signs, device=device)[:, None, None]
        self._forcing_signs = torch.tensor(forcing_signs, device=device)[:, None, None]

    def fields(self, state: Tensor) -> Tensor:
        """[..., C, H, W]"""
        return state.flip(-2) * self._signs

    def forcings(self, known: Tensor) -> Tensor:
        """[..., F, H, W]"""
        return known.flip(-2) * self._forcing_signs

    def around(self, forward: Forward) -> Forward:
        """A forecast of our world, made in the mirrored one. See `Stepper.forward` for what it is given."""

        def mirrored(
            start: Tensor,
            forcings: Tensor,
            noise: Tensor | None,
            size: int | None,
            usual: Tensor | None,
            *told: Tensor | None,
        ):
            there = None if usual is None else self.fields(usual)
            return self.fields(forward(self.fields(start), self.forcings(forcings), noise, size, there, *told))

        return mirrored
