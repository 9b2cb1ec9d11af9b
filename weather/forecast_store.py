"""A forecast on disk, step by step: what is written stays when the run is interrupted, and is gone on from.

While under way the fields lie in `<output>.partial/`, a Zarr store (format 2, as WeatherBench 2's) with a file that
says how far each start has come; at the end they become `<output>`, Zarr or NetCDF.

G start times of a group, M members, C channels, H latitudes, W longitudes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr

from common.app.errors import ConfigError
from weather.data.fields import Channel

PROGRESS = "progress.json"
SUFFIXES = (".zarr", ".nc")


class ForecastStore:
    """
    path      ends in .zarr or .nc
    template  the dataset that will be written, with no values needed (see `Forecaster.dataset`)
    settings  what makes it this forecast and no other: model, start times, members, seed ...

    Raises ConfigError where the output or an unfinished one there is of other settings.
    """

    def __init__(
        self, path: Path, template: xr.Dataset, channels: Sequence[Channel], settings: Mapping[str, Any]
    ) -> None:
        if path.suffix not in SUFFIXES:
            raise ConfigError(f"output={path}: expected a name that ends in {' or '.join(SUFFIXES)}")
        if path.exists():
            raise ConfigError(f"output={path} is there already; remove it, or choose another name")
        self.path, self.channels = path, tuple(channels)
        self.partial = path.with_name(f"{path.name}.partial")
        self.settings = json.loads(json.dumps(dict(settings)))
        self.done: dict[str, int] = {}
        if (self.partial / PROGRESS).exists():
            self._take_up()
        else:
            self._create(template)
        self.group = zarr.open_group(str(self.partial / "fields"), mode="r+")
        self.dims = {str(name): template[name].dims for name in template}
        self.levels = template["level"].values if "level" in template.dims else np.empty(0)

    def _take_up(self) -> None:
        found = json.loads((self.partial / PROGRESS).read_text())
        if found["settings"] != self.settings:
            before = found["settings"]
            other = sorted(key for key, value in self.settings.items() if before.get(key) != value)
            raise ConfigError(
                f"{self.partial} holds an unfinished forecast of other {', '.join(other)}; give the same settings to "
                "go on with it, or remove it"
            )
        self.done = found["done"]

    def _create(self, template: xr.Dataset) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        whole = template.chunk({dim: 1 if dim in ("time", "prediction_timedelta") else -1 for dim in template.dims})
        whole.to_zarr(self.partial / "fields", zarr_format=2, consolidated=True, compute=False)
        self._say()

    def lead_count(self, group: str) -> int:
        """How many lead times of a group of starts are written."""
        return self.done.get(group, 0)

    def write(self, group: str, starts: slice, lead: int, values: np.ndarray) -> None:
        """Put down one lead time (its position) of some starts, [G, M, C, H, W], and remember it."""
        for name in self.dims:
            array = self._array(name)
            part = np.full((len(values), *array.shape[2:]), np.nan, np.float32)
            for number, channel in enumerate(self.channels):
                if channel.variable == name:
                    part[self._place(channel)] = (
                        values[:, :, number] if "number" in self.dims[name] else values[:, 0, number]
                    )
            array[starts, lead] = part
        self.done[group] = lead + 1
        self._say()

    def read(self, starts: slice, lead: int) -> np.ndarray:
        """What `write` put down, [G, M, C, H, W]."""
        columns = []
        for channel in self.channels:
            values = np.asarray(self._array(channel.variable)[starts, lead])[self._place(channel)]
            columns.append(values if "number" in self.dims[channel.variable] else values[:, None])
        return np.stack(columns, axis=2)

    def _place(self, channel: Channel) -> tuple[Any, ...]:
        """Where a channel stands in [G(, M)(, L), H, W] of its variable; levels that it lacks stay NaN."""
        at = [] if channel.level is None else [int(np.flatnonzero(self.levels == channel.level)[0])]
        return (slice(None),) * (2 if "number" in self.dims[channel.variable] else 1) + tuple(at)

    def finish(self) -> Path:
        """Turn what is written into the output, in one step for a reader."""
        fields = self.partial / "fields"
        if self.path.suffix == ".zarr":
            os.replace(fields, self.path)
        else:
            temporary = self.partial / "fields.nc"
            with xr.open_zarr(fields) as dataset:
                dataset.to_netcdf(temporary, encoding={name: {"zlib": True, "complevel": 1} for name in dataset})
            os.replace(temporary, self.path)
        shutil.rmtree(self.partial)
        return self.path

    def _array(self, name: str) -> Any:
        return self.group[name]

    def _say(self) -> None:
        temporary = self.partial / f".{PROGRESS}"
        temporary.write_text(json.dumps({"settings": self.settings, "done": self.done}))
        os.replace(temporary, self.partial / PROGRESS)


def empty(shape: tuple[int, ...]) -> Any:
    """Values of a template: none are computed."""
    return da.zeros(shape, dtype=np.float32, chunks=(1, 1, *shape[2:]))
