"""The numbers a model sees: channels of canonical fields, read where they are needed.

T times, C channels, H latitudes, W longitudes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xarray as xr

from common.app.errors import ConfigError, DataFormatError
from weather.data.canonical import DIMS, grid_of
from weather.data.grid import Grid

READ_ERRORS = (
    OSError, ValueError, LookupError, RuntimeError, TypeError, AttributeError, EOFError, ArithmeticError, SystemError,
)  # fmt: skip
"""What the readers under xarray raise on damaged chunks and broken connections."""


class Channel(NamedTuple):
    """One variable, on one level where it has levels."""

    variable: str
    level: int | float | None = None

    @property
    def label(self) -> str:
        """As in "geopotential_500", "2m_temperature"."""
        return self.variable if self.level is None else f"{self.variable}_{self.level:g}"


@dataclass(frozen=True)
class Fields:
    """A canonical dataset over (time, latitude, longitude), as channels.

    where  names the files in errors
    """

    dataset: xr.Dataset
    channels: tuple[Channel, ...]
    where: str

    @classmethod
    def of(cls, dataset: xr.Dataset, where: str, levels: Sequence[float] | None = None) -> Fields:
        """All variables of a canonical dataset in their order, level by level from the top.

        levels  hPa, those that are wanted; by default all
        Raises DataFormatError for a level that is missing and for dimensions beside time, level and the grid.
        """
        if "time" not in dataset.dims:
            raise DataFormatError(f"{where} has no time axis; expected fields over (time, latitude, longitude)")
        if levels is not None and "level" in dataset.dims:
            held = dataset["level"].values
            if missing := sorted(set(levels) - set(held.tolist())):
                raise DataFormatError(
                    f"{where} has no level {missing[0]:g} hPa; it has {', '.join(f'{v:g}' for v in held)}"
                )
            dataset = dataset.sel(level=sorted(levels))
        channels: list[Channel] = []
        for name, field in dataset.items():
            if set(field.dims) - {"level"} != {"time", "latitude", "longitude"}:
                raise DataFormatError(
                    f"{where}: variable '{name}' has dimensions {', '.join(map(str, field.dims))}; expected time, "
                    "latitude, longitude and perhaps level. Choose one member or lead time; constants have a file apart"
                )
            levelled = field["level"].values.tolist() if "level" in field.dims else [None]
            channels += [Channel(str(name), level) for level in levelled]
        return cls(dataset, tuple(channels), where)

    @cached_property
    def grid(self) -> Grid:
        return grid_of(self.dataset, self.where)

    @cached_property
    def times(self) -> np.ndarray:
        """[T] datetime64[ns], ascending."""
        return self.dataset["time"].values

    def __len__(self) -> int:
        return len(self.times)

    @property
    def frame_bytes(self) -> int:
        """Memory of all channels at one time, float32."""
        return 4 * len(self.channels) * self.grid.shape[0] * self.grid.shape[1]

    def period(self, start: str, stop: str) -> Fields:
        """The times from `start` to `stop`, both included to their last digit ("2013-12" ends with December).

        Raises ConfigError where there are none.
        """
        chosen = replace(self, dataset=self.dataset.sel(time=slice(start, stop)))
        if not len(chosen):
            raise ConfigError(
                f"{self.where} has no times from {start} to {stop}; it runs from "
                f"{self.times[0].astype('datetime64[m]')} to {self.times[-1].astype('datetime64[m]')}"
            )
        return chosen

    def read(self, index: np.ndarray | slice) -> np.ndarray:
        """The fields at positions `index` of the time axis, [T, C, H, W] float32.

        Raises DataFormatError where the files cannot be read, or a value is missing or not finite: it names variable,
        time and place.
        """
        with self.reading():
            chosen = self.dataset.isel(time=index).compute()
        values = stack(chosen, self.channels)
        if not np.isfinite(values).all():
            self._refuse(values, chosen["time"].values)
        return values

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What goes wrong while files are read, as a DataFormatError that names them."""
        try:
            yield
        except READ_ERRORS as error:
            raise DataFormatError(
                f"{self.where}: cannot be read ({type(error).__name__}: {str(error)[:300]}); a file is damaged or cut "
                "off, or the connection broke: fetch it again"
            ) from error

    def _refuse(self, values: np.ndarray, times: np.ndarray) -> None:
        bad = ~np.isfinite(values)
        t, c, h, w = np.argwhere(bad)[0]
        raise DataFormatError(
            f"{self.where}: {self.channels[c].label} at {times[t].astype('datetime64[m]')} is {values[t, c, h, w]} at "
            f"latitude {self.grid.latitudes[h]:g}, longitude {self.grid.longitudes[w]:g} ({int(bad[t, c].sum())} "
            f"points of that field, {bad[:, c].any((1, 2)).sum()} of {len(times)} times read here); fill the values, "
            "leave the times out, or leave the variable out"
        )


def stack(dataset: xr.Dataset, channels: Sequence[Channel]) -> np.ndarray:
    """Loaded fields as [..., C, H, W] float32, with the dimensions that all variables share in front."""
    parts = []
    for channel in channels:
        field = dataset[channel.variable]
        if channel.level is not None:
            field = field.sel(level=channel.level)
        parts.append(field.values)
    return np.stack(parts, axis=-3).astype(np.float32, copy=False)


def unstack(values: np.ndarray, channels: Sequence[Channel], grid: Grid, front: Mapping[str, np.ndarray]) -> xr.Dataset:
    """The canonical dataset of `values` [..., C, H, W]; `front` names the leading dimensions with their coordinates."""
    from weather.data.quantities import quantity_of

    places = {"latitude": grid.latitudes, "longitude": grid.longitudes}
    fields: dict[str, xr.DataArray] = {}
    for variable in dict.fromkeys(channel.variable for channel in channels):
        where = [number for number, channel in enumerate(channels) if channel.variable == variable]
        levels = [channels[number].level for number in where]
        if levels == [None]:
            field = xr.DataArray(values[..., where[0], :, :], {**front, **places}, (*front, *places))
        else:
            coords = {**front, "level": np.array(levels), **places}
            field = xr.DataArray(values[..., where, :, :], coords, tuple(coords))
        quantity = quantity_of(variable)
        fields[variable] = field.transpose(*(dim for dim in DIMS if dim in field.dims)).assign_attrs(
            units=quantity.unit if quantity else ""
        )
    return xr.Dataset(fields)
