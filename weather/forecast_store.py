"""A forecast on disk, step by step: what is written stays when the run is interrupted, and is gone on from.

While under way the fields lie in `<output>.partial/`, a Zarr store (format 2, as WeatherBench 2's) with settings.json
and, from each process that writes there, a file that says how far its starts have come; at the end they become
`<output>`, Zarr or NetCDF. Each start has chunks of its own, so that processes do not get in each other's way.

S start times, G of a group of a group, M members, C channels, H latitudes, W longitudes.
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
from filelock import FileLock

from common.app.errors import ConfigError
from common.data.shard import WHOLE, Shard
from weather.data.fields import Channel

SETTINGS = "settings.json"
SUFFIXES = (".zarr", ".nc")
REQUEST = "request"
"""Attribute of the output: the settings."""


class ForecastStore:
    """
    path      ends in .zarr or .nc
    template  the dataset that will be written, with no values needed (see `Forecaster.dataset`)
    settings  what makes it this forecast and no other: model, start times, members, seed ...
    shard     which of the processes this is that write it together

    Raises ConfigError where the output or an unfinished one there is of other settings. A shard that finds the finished
    output of its own settings has nothing to do: `complete`.
    """

    def __init__(
        self, path: Path, template: xr.Dataset, channels: Sequence[Channel], settings: Mapping[str, Any],
        shard: Shard = WHOLE,
    ) -> None:  # fmt: skip
        if path.suffix not in SUFFIXES:
            raise ConfigError(f"output={path}: expected a name that ends in {' or '.join(SUFFIXES)}")
        self.path, self.channels = path, tuple(channels)
        self.partial = path.with_name(f"{path.name}.partial")
        self.progress = self.partial / f"{shard.name}.json"
        self.settings = json.loads(json.dumps(dict(settings)))
        self.leads = template.sizes["prediction_timedelta"]
        self.dims = {str(name): template[name].dims for name in template}
        self.levels = template["level"].values if "level" in template.dims else np.empty(0)
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        with self._lock:
            self.complete = path.exists()
            if self.complete:
                self._refuse_finished(shard)
                return
            if (self.partial / SETTINGS).exists():
                self._take_up()
            else:
                self._create(template.assign_attrs({REQUEST: json.dumps(self.settings)}))
            self.done = self._all_done(template.sizes["time"])
        self.group = zarr.open_group(str(self.partial / "fields"), mode="r+")

    def _refuse_finished(self, shard: Shard) -> None:
        opener = xr.open_zarr if self.path.suffix == ".zarr" else xr.open_dataset
        if shard.count > 1:
            with opener(self.path) as finished:
                if finished.attrs.get(REQUEST) == json.dumps(self.settings):
                    return
        raise ConfigError(f"output={self.path} is there already; remove it, or choose another name")

    def _take_up(self) -> None:
        before = json.loads((self.partial / SETTINGS).read_text())
        if before != self.settings:
            other = sorted(key for key, value in self.settings.items() if before.get(key) != value)
            raise ConfigError(
                f"{self.partial} holds an unfinished forecast of other {', '.join(other)}; give the same settings to "
                "go on with it, or remove it"
            )

    def _create(self, template: xr.Dataset) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        whole = template.chunk({dim: 1 if dim in ("time", "prediction_timedelta") else -1 for dim in template.dims})
        whole.to_zarr(self.partial / "fields", zarr_format=2, consolidated=True, compute=False)
        _replace(self.partial / SETTINGS, self.settings)

    def _all_done(self, starts: int) -> np.ndarray:
        """How many lead times of each start are written [S], by whatever process."""
        found = [json.loads(file.read_text()) for file in self.partial.glob("shard-*.json")]
        return np.max([np.zeros(starts, np.int64), *found], axis=0)

    def lead_count(self, starts: slice) -> int:
        """How many lead times of all of some starts are written."""
        return int(self.done[starts].min())

    def write(self, starts: slice, lead: int, values: np.ndarray) -> None:
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
        self.done[starts] = lead + 1
        _replace(self.progress, self.done.tolist())

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

    def finish(self) -> bool:
        """Turn what is written into the output, in one step for a reader; False where other shards are still at it."""
        with self._lock:
            self.complete = self.complete or self.path.exists()  # another has just put down the last of it
            if not self.complete and int(self._all_done(len(self.done)).min()) == self.leads:
                self._publish()
                self.complete = True
        return self.complete

    def _publish(self) -> None:
        fields = self.partial / "fields"
        if self.path.suffix == ".zarr":
            os.replace(fields, self.path)
        else:
            temporary = self.partial / "fields.nc"
            with xr.open_zarr(fields) as dataset:
                dataset.to_netcdf(temporary, encoding={name: {"zlib": True, "complevel": 1} for name in dataset})
            os.replace(temporary, self.path)
        shutil.rmtree(self.partial)

    def _array(self, name: str) -> Any:
        return self.group[name]


def _replace(path: Path, content: Any) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(content))
    os.replace(temporary, path)


def empty(shape: tuple[int, ...]) -> Any:
    """Values of a template: none are computed."""
    return da.zeros(shape, dtype=np.float32, chunks=(1, 1, *shape[2:]))
