"""One 6-hour step of GraphCast in physical units: statistics around the network, and the inputs it wants.

Shapes: B samples, I and O channels, H latitudes, W longitudes.
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from common.app.errors import CheckpointError, DataFormatError
from weather.data.forcings import TROPICAL_YEAR_DAYS
from weather.data.solar import incident_solar_radiation
from weather.models.mesh_gnn import MeshGNN
from weather.weights.graphcast import Task

SOLAR_HOURS = 1.0
"""Radiation of the hour before is what ERA5 calls `toa_incident_solar_radiation`."""


class GraphCast(nn.Module):
    """[B, I, H, W] -> [B, O, H, W] in physical units, channels as in `task`.

    What is forecast and known now is the state plus a normalised difference; what is not known now (precipitation) is
    forecast as it is.

    mean, std, difference_std   the official statistics by variable, and `level` in hPa where it has levels; those of
                                differences are over 6 hours

    Raises CheckpointError where a statistic is missing or not positive.
    """

    mean: Tensor
    std: Tensor
    scale: Tensor
    offset: Tensor
    last: Tensor
    known: Tensor

    def __init__(
        self, model: MeshGNN, task: Task, mean: xr.Dataset, std: xr.Dataset, difference_std: xr.Dataset
    ) -> None:
        super().__init__()
        self.model, self.task = model, task
        inputs, outputs = task.input_channels(), task.output_channels()
        places = {(name, level): n for n, (name, level, time) in enumerate(inputs) if time == 0}
        known = [channel in places for channel in outputs]
        scale = [statistic(difference_std if k else std, *c, "spread") for c, k in zip(outputs, known, strict=True)]
        columns = {
            "mean": [statistic(mean, name, level, "mean") for name, level, _ in inputs],
            "std": [statistic(std, name, level, "spread") for name, level, _ in inputs],
            "scale": scale,
            "offset": [0.0 if k else statistic(mean, *c, "mean") for c, k in zip(outputs, known, strict=True)],
            "known": [float(k) for k in known],
        }
        for name, values in columns.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32)[:, None, None])
        self.register_buffer("last", torch.tensor([places.get(channel, 0) for channel in outputs]))

    def forward(self, fields: Tensor) -> Tensor:
        """fields [B, I, H, W] -> the state 6 hours later [B, O, H, W]"""
        change = self.model((fields - self.mean) / self.std)
        return change * self.scale + self.offset + fields[:, self.last] * self.known


def statistic(dataset: xr.Dataset, name: str, level: float | None, what: str) -> float:
    """One number of the official statistics, `what`: "mean" or "spread". Raises CheckpointError where it is missing."""
    try:
        field = dataset[name] if level is None else dataset[name].sel(level=level)
        value = float(field)
    except (KeyError, ValueError, TypeError):
        place = "" if level is None else f" on {level} hPa"
        raise CheckpointError(f"the statistics have no single {what} of '{name}'{place}") from None
    if not np.isfinite(value) or (what == "spread" and value <= 0):
        raise CheckpointError(f"the statistics give {value:g} as the {what} of '{name}'; expected a positive number")
    return value


def stack_inputs(task: Task, dataset: xr.Dataset) -> np.ndarray:
    """The input channels of a dataset over (time, latitude, longitude, perhaps level and batch), [B, I, H, W] float32.

    dataset   `task.history` times of the state and the time that is forecast, 6 hours apart; of the last only forcings
              are read, and constants need no time. Dimensions that a variable lacks, it is constant along.
    Raises DataFormatError for a variable or level that is missing and for another number of times.
    """
    if dataset.sizes.get("time") != task.history + 1:
        raise DataFormatError(
            f"GraphCast's inputs have {dataset.sizes.get('time', 0)} times; expected {task.history} of the state and "
            "the one that is forecast"
        )
    sizes = {dim: dataset.sizes.get(dim, 1) for dim in ("batch", "latitude", "longitude")}
    parts = []
    for name, level, time in task.input_channels():
        try:
            field = dataset[name] if level is None else dataset[name].sel(level=level)
        except KeyError:
            raise DataFormatError(
                f"GraphCast's inputs have no '{name}'{'' if level is None else f' on {level} hPa'}; they hold "
                f"{', '.join(map(str, dataset))}"
            ) from None
        if "time" in field.dims:
            field = field.isel(time=task.history - 1 + time)
        field = field.expand_dims([dim for dim in sizes if dim not in field.dims]).transpose(*sizes)
        parts.append(np.broadcast_to(field.values, tuple(sizes.values())))
    return np.stack(parts, axis=1).astype(np.float32)


def forcings(times: np.ndarray, latitudes: np.ndarray, longitudes: np.ndarray) -> xr.Dataset:
    """The official forcings at datetime64 times [T] on a grid in degrees, over (time, latitude, longitude)."""
    days = (times.astype("datetime64[ns]") - np.datetime64(0, "ns")) / np.timedelta64(1, "D")
    year = 2 * np.pi * days / TROPICAL_YEAR_DAYS
    day = 2 * np.pi * (days[:, None] + np.asarray(longitudes) / 360)
    solar = incident_solar_radiation(times, latitudes, longitudes, SOLAR_HOURS)
    return xr.Dataset(
        {
            "toa_incident_solar_radiation": (("time", "latitude", "longitude"), solar.float().cpu().numpy()),
            "year_progress_sin": ("time", np.sin(year)),
            "year_progress_cos": ("time", np.cos(year)),
            "day_progress_sin": (("time", "longitude"), np.sin(day)),
            "day_progress_cos": (("time", "longitude"), np.cos(day)),
        },
        {"time": times, "latitude": latitudes, "longitude": longitudes},
    )
