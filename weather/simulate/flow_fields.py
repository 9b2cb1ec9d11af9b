"""Simulated shallow-water flows as splits of fields, like those of files: hourly states, flow after flow.

Flows lie about a year apart on the time axis, so that no window and no pair of a start and a valid time is of two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
import xarray as xr

from common.data.cache import cached_arrays
from weather.data.catalogue import Split
from weather.data.fields import Fields
from weather.simulate.flows import Flows
from weather.simulate.shallow_water import FIELDS, ShallowWater, ShallowWaterConfig

VERSION = "1"
SEEDS = {"train": 0, "val": 1, "test": 2}
"""Flows of different splits are independent draws."""

START = np.datetime64("2000-01-01", "ns")
"""Simulated time has no date; this one stands for it."""

APART_DAYS, SPAN_DAYS = 365, 91_000
"""From flow to flow; and what datetime64[ns] holds after START, which many flows share."""

AT_ONCE = 16


class FlowSettings(Protocol):
    """How many flows of what, see `weather.config.FlowData`."""

    height: int
    step_h: float
    spin_up_h: float
    states: int
    train_flows: int
    val_flows: int
    time_step_s: float


def flow_splits(data: FlowSettings, splits: Sequence[str]) -> dict[str, Split]:
    """Simulated, or from the cache where the same have been simulated before."""
    return {split: _flow_split(data, split) for split in splits}


def _flow_split(data: FlowSettings, split: str) -> Split:
    count = data.train_flows if split == "train" else data.val_flows
    names = ("height", "step_h", "spin_up_h", "states", "time_step_s")
    description: dict[str, Any] = {name: getattr(data, name) for name in names}
    description |= {"seed": SEEDS[split], "flows": count}
    found = cached_arrays("flows", description, VERSION, lambda: {"states": _simulate(data, SEEDS[split], count)})
    solver = ShallowWater(ShallowWaterConfig(data.height, 2 * data.height))
    times = _times(count, data.states, data.step_h)
    places = {
        "time": times,
        "latitude": np.rad2deg(solver.latitudes.numpy()).reshape(-1),
        "longitude": np.rad2deg(solver.longitudes.numpy()).reshape(-1),
    }
    states = found["states"].reshape(-1, len(FIELDS), data.height, 2 * data.height)
    dataset = xr.Dataset({name: (tuple(places), states[:, c]) for c, name in enumerate(FIELDS)}, places)
    return Split(Fields.of(dataset, f"shallow-water flows ({split})"), [[description]])


def _times(count: int, states: int, step_h: float) -> np.ndarray:
    """[count * states]"""
    days = max(min(APART_DAYS, SPAN_DAYS // count), math.ceil(2 * states * step_h / 24))
    within = np.arange(states) * round(step_h * 3600)
    return START + (within + days * 86_400 * np.arange(count)[:, None]).reshape(-1).astype("timedelta64[s]")


def _simulate(data: FlowSettings, seed: int, count: int) -> np.ndarray:
    """[flows, states, 3, H, W] float32."""
    config = ShallowWaterConfig(data.height, 2 * data.height, time_step_s=data.time_step_s)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    solver = ShallowWater(config, torch.float32 if device == "cuda" else torch.float64).to(device)
    flows = Flows(solver, data.step_h * 3600, data.spin_up_h * 3600, seed)
    parts = [
        flows.trajectories(range(start, min(start + AT_ONCE, count)), data.states).float().cpu().numpy()
        for start in range(0, count, AT_ONCE)
    ]
    return np.concatenate(parts)
