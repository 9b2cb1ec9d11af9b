"""What is known of any time and place beforehand, as further input channels of a model.

    solar            mean solar flux at the top of the atmosphere over the step that ends then, over the solar constant
    solar_hour       the same over the hour that ends then
    year_progress    sine and cosine of the time in the tropical year
    day_progress     sine and cosine of the local mean solar time
    position         sine of latitude; cosine of latitude times sine and cosine of longitude: a point on the unit sphere
    orography        surface geopotential, standardised over the grid
    land_sea_mask    land share of a cell, 0 to 1

All are of order one, and none jumps at the date line or the turn of a year.
T times, F channels, H latitudes, W longitudes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from common.app.errors import ConfigError, DataFormatError
from common.app.registry import did_you_mean
from weather.data.canonical import grid_of
from weather.data.grid import Grid
from weather.data.solar import J2000, SOLAR_CONSTANT, incident_solar_radiation

TROPICAL_YEAR_DAYS = 365.24219
"""From spring to spring: the seasons do not drift against it, as they do against calendar years."""

CHANNELS: dict[str, tuple[str, ...]] = {
    "solar": ("solar",),
    "solar_hour": ("solar_hour",),
    "year_progress": ("year_progress_sin", "year_progress_cos"),
    "day_progress": ("day_progress_sin", "day_progress_cos"),
    "position": ("position_x", "position_y", "position_z"),
    "orography": ("orography",),
    "land_sea_mask": ("land_sea_mask",),
}
"""The channels of each forcing, in order."""

CONSTANTS = {"orography": "geopotential_at_surface", "land_sea_mask": "land_sea_mask"}
"""Forcings that come from files, and their names there."""


class Forcings:
    """Forcing channels on one grid.

    names      which, of CHANNELS
    step_h     the model's step: the sun shines over that long
    constants  canonical dataset with orography or land-sea mask, where these are wanted
    offsets    times, in steps after those asked for, at which forcings that move are given, one after another

    Raises ConfigError for an unknown name, DataFormatError for a constant that is missing, of another grid or not
    finite.
    """

    def __init__(
        self,
        names: Sequence[str],
        grid: Grid,
        step_h: float,
        constants: xr.Dataset | None = None,
        device: str | torch.device = "cpu",
        offsets: Sequence[int] = (0,),
    ) -> None:
        for name in names:
            if name not in CHANNELS:
                raise ConfigError(f"unknown forcing '{name}'. {did_you_mean(name, list(CHANNELS))}")
        self.names, self.grid, self.step_h, self.device = tuple(names), grid, step_h, torch.device(device)
        self.offsets = tuple(offsets)
        self._fixed = {name: self._steady(name, constants) for name in names if name in ("position", *CONSTANTS)}
        self.channels = tuple(
            self.label(channel, offset)
            for name in names
            for offset in ((0,) if name in self._fixed else self.offsets)
            for channel in CHANNELS[name]
        )

    @staticmethod
    def label(channel: str, offset: int) -> str:
        """Of a channel at another time: "solar-2", two steps before."""
        return f"{channel}{offset:+d}" if offset else channel

    def at(self, times: np.ndarray) -> Tensor:
        """The channels at datetime64 times [T]: [T, F, H, W] float32 on the device."""
        step = np.timedelta64(round(self.step_h * 3600), "s")
        parts = []
        for name in self.names:
            if name in self._fixed:
                parts.append(self._fixed[name].expand(len(times), -1, -1, -1))
            else:
                parts += [self._moving(name, times + offset * step) for offset in self.offsets]
        return torch.cat(parts, dim=1) if parts else torch.zeros(len(times), 0, *self.grid.shape, device=self.device)

    def _moving(self, name: str, times: np.ndarray) -> Tensor:
        grid = self.grid
        if name in ("solar", "solar_hour"):
            hours = self.step_h if name == "solar" else 1.0
            energy = incident_solar_radiation(times, grid.latitudes, grid.longitudes, hours, self.device)
            return (energy / (SOLAR_CONSTANT * 3600 * hours))[:, None]
        days = (times.astype("datetime64[ns]") - J2000) / np.timedelta64(1, "D")
        if name == "year_progress":
            turn = self._tensor(np.remainder(days / TROPICAL_YEAR_DAYS, 1))[:, None]
        else:
            turn = self._tensor(np.remainder(days + 0.5, 1))[:, None] + self._tensor(grid.longitudes / 360)
        angle = 2 * np.pi * turn[:, None, None, :]
        return torch.cat([angle.sin(), angle.cos()], dim=1).float().expand(-1, -1, *grid.shape)

    def _steady(self, name: str, constants: xr.Dataset | None) -> Tensor:
        """[F, H, W]."""
        if name == "position":
            latitude, longitude = np.deg2rad(self.grid.latitudes)[:, None], np.deg2rad(self.grid.longitudes)
            x, y = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
            return self._tensor(np.stack([x, y, np.broadcast_to(np.sin(latitude), x.shape)])).float()
        values = self._constant(CONSTANTS[name], constants)
        if name == "orography":
            values = (values - values.mean()) / max(values.std(), 1e-6)
        return self._tensor(values[None]).float()

    def _constant(self, variable: str, constants: xr.Dataset | None) -> np.ndarray:
        """[H, W] float64; of a field with times, the first."""
        if constants is None or variable not in constants:
            held = ", ".join(map(str, constants)) if constants is not None else "none"
            raise DataFormatError(
                f"forcings {', '.join(self.names)} need the constant field '{variable}', found {held}; give a file "
                "that holds it, or leave that forcing out"
            )
        self.grid.require(grid_of(constants, "constants"), f"constants, field '{variable}'")
        field = constants[variable]
        values = field.isel({dim: 0 for dim in field.dims if dim not in ("latitude", "longitude")}).values
        if not np.isfinite(values).all():
            raise DataFormatError(
                f"constants: field '{variable}' has {int((~np.isfinite(values)).sum())} missing values"
            )
        return values.astype(np.float64)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float64, device=self.device)
