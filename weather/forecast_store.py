"""A forecast on disk, step by step: what is written stays written when the run is interrupted, and is gone on from.

While under way the fields lie in `<output>.partial/`, a Zarr store (format 2, as WeatherBench 2's) with a file that says
how far each start has come; at the end they become `<output>`, Zarr or NetCDF.

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

    def __init__(self, path: Path, template: xr.Dataset, channels: Sequence[Channel], settings: Mapping[str, Any]) -> None:
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

    def _take_up(self) -> None:
        found = json.loads((self.partial / PROGRESS).read_text())
        if found["settings"] != self.settings:
            other = sorted(key for key in self.settings if found["settings"].get(key) != self.settings[key])
            raise ConfigError(
                f"{self.partial} holds an unfinished forecast of other {', '.join(other)}; give the same settings to go "
                "on with it, or remove it"
            )
        self.done = found["done"]

    def _create(self, template: xr.Dataset) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        encoding = {
            name: {"chunks": tuple(1 if dim in ("time", "prediction_timedelta") else size for dim, size in field.sizes.items())}
            for name, field in template.items()
        }
        template.to_zarr(self.partial / "fields", zarr_format=2, consolidated=True, compute=False, encoding=encoding)
        self._say()

    def lead_count(self, group: str) -> int:
        """How many lead times of a group of starts are written."""
        return self.done.get(group, 0)

    def write(self, group: str, starts: slice, lead: int, values: np.ndarray) -> None:
        """Put down one lead time (its position) of some starts, [G, M, C, H, W], and remember it."""
        for name, dims in self.dims.items():
            part = values[:, :, [number for number, channel in enumerate(self.channels) if channel.variable == name]]
            part = part if "level" in dims else part[:, :, 0]
            part = part if "number" in dims else part[:, 0]
            self._array(name)[starts, lead] = part.astype(np.float32, copy=False)
        self.done[group] = lead + 1
        self._say()

    def read(self, starts: slice, lead: int) -> np.ndarray:
        """What `write` put down, [G, M, C, H, W]."""
        parts = []
        for name in dict.fromkeys(channel.variable for channel in self.channels):
            values = np.asarray(self._array(name)[starts, lead])
            values = values if "number" in self.dims[name] else values[:, None]
            parts.append((name, values if "level" in self.dims[name] else values[:, :, None]))
        places = {name: 0 for name, _ in parts}
        by_name, columns = dict(parts), []
        for channel in self.channels:  # channels of a variable are in the order of its levels
            columns.append(by_name[channel.variable][:, :, places[channel.variable]])
            places[channel.variable] += 1
        return np.stack(columns, axis=2)

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
