"""A small forecaster with random weights, and states for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from weather.data.grid import Grid
from weather.forecaster import Forecaster
from weather.models.unet import UNet, UNetConfig

LATITUDES, LONGITUDES = np.linspace(-78.75, 78.75, 8), np.arange(16) * 22.5
CHANNELS = [["geopotential", 500], ["temperature", 850], ["specific_humidity", 700], ["2m_temperature", None]]
UNITS = {"geopotential": "m2 s-2", "temperature": "K", "specific_humidity": "kg kg-1", "2m_temperature": "K"}
MEAN, STD, CHANGE = [54e3, 280.0, 4e-3, 285.0], [3e3, 12.0, 2e-3, 15.0], [300.0, 2.0, 1e-4, 2.0]


def forecaster(
    history: int = 1, steps: tuple[int, ...] = (1,), noise: int = 0, strength: float = 1.0, at_once: bool = False,
    deviations: bool = False, networks: int = 1,
) -> Forecaster:  # fmt: skip
    torch.manual_seed(0)
    forcings = ["solar", "year_progress"]
    config = UNetConfig(
        4 * (history + deviations) + 3, 4 * (len(steps) if at_once else 1), 8, 16, channels=4, levels=2,
        condition=noise + (len(steps) if len(steps) > 1 and not at_once else 0), networks=networks,
    )  # fmt: skip
    model = UNet(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(strength).add_(0.05 * torch.randn_like(parameter))
    scales: dict[str, Any] = {
        "mean": MEAN, "std": STD, "tendency_std": [CHANGE] * len(steps), "nonnegative": [False, False, True, False],
        "bounds": [[m - 4 * s, m + 4 * s] for m, s in zip(MEAN, STD, strict=True)],
    }  # fmt: skip
    card = {
        "name": "small", "description": "random weights", "architecture": "unet", "channels": CHANNELS,
        "grid": {"latitudes": LATITUDES.tolist(), "longitudes": LONGITUDES.tolist()}, "history": history,
        "past": "changes", "step_h": 6.0, "steps": list(steps), "forcings": forcings, "noise": noise, "scales": scales,
        "data": {}, "at_once": at_once, "deviations": deviations,
    }  # fmt: skip
    return Forecaster(model, card, "cpu")


def states(count: int = 4) -> xr.Dataset:
    """Random fields of the channels, 6 hours apart, as files have them: latitudes from north to south."""
    random = np.random.default_rng(0)
    places = {
        "time": np.datetime64("2020-03-01", "ns") + 6 * np.arange(count).astype("timedelta64[h]"),
        "latitude": LATITUDES[::-1],
        "longitude": LONGITUDES,
    }
    fields = {}
    for (name, level), mean, std in zip(CHANNELS, MEAN, STD, strict=True):
        values = np.maximum(mean + 0.3 * std * random.standard_normal((count, 8, 16)), 0).astype(np.float32)
        field = xr.DataArray(values, places, tuple(places), attrs={"units": UNITS[name]})
        fields[name] = field if level is None else field.expand_dims(level=[level], axis=1)
    levelled = [xr.Dataset({name: field}) for name, field in fields.items()]
    return xr.merge(levelled, join="outer", compat="no_conflicts")


GRID = Grid.of(LATITUDES, LONGITUDES)
