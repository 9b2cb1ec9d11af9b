"""Daily records of European stations: a table with a column `time` and one for each STATION_variable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from common.app.errors import ConfigError, DataFormatError
from common.app.registry import did_you_mean
from common.data.datasets import fetch
from weather.data.datasets import ECAD_STATIONS

SPLITS = ("train", "val", "test")

CONVERSIONS: dict[str, tuple[str, float, float]] = {
    "temp_mean": ("K", 1.0, 273.15),
    "temp_min": ("K", 1.0, 273.15),
    "temp_max": ("K", 1.0, 273.15),
    "pressure": ("Pa", 1e5, 0.0),
    "humidity": ("1", 1.0, 0.0),
    "wind_speed": ("m s-1", 1.0, 0.0),
    "wind_gust": ("m s-1", 1.0, 0.0),
    "global_radiation": ("W m-2", 100.0, 0.0),
    "precipitation": ("m", 0.01, 0.0),
    "sunshine": ("h", 1.0, 0.0),
    "cloud_cover": ("oktas", 1.0, 0.0),
}
"""Unit, and the factor and offset that lead to it from degC, 1000 hPa, 100 W/m2, cm as the table has them."""


def load(split: str, offline: bool = False) -> xr.Dataset:
    """One period of the stations, "train", "val" or "test": variables over (time, station), NaN where not measured."""
    if split not in SPLITS:
        raise ConfigError(f"{ECAD_STATIONS.name} has no split '{split}'. {did_you_mean(split, list(SPLITS))}")
    name = f"weather/ecad_stations18_daily_{split}.csv.gz"
    return read_stations(fetch(ECAD_STATIONS, [name], offline)[name])


def read_stations(path: Path) -> xr.Dataset:
    """Raises DataFormatError for a table without time, with a column of an unknown variable, or without numbers."""
    try:
        table = pd.read_csv(path, index_col="time", parse_dates=["time"]).drop(columns="MONTH", errors="ignore")
        values = table.astype(np.float64)
    except (OSError, ValueError, EOFError) as error:
        raise DataFormatError(f"{path}: {error}; expected a CSV table with a column `time` and numbers") from error
    columns = {column: _split_name(column, path) for column in map(str, table.columns)}
    stations = sorted({station for station, _ in columns.values()})
    fields: dict[str, xr.DataArray] = {}
    for variable in dict.fromkeys(variable for _, variable in columns.values()):
        unit, factor, offset = CONVERSIONS[variable]
        numbers = np.full((len(values), len(stations)), np.nan)
        for column, (station, measured) in columns.items():
            if measured == variable:
                numbers[:, stations.index(station)] = values[column] * factor + offset
        fields[variable] = xr.DataArray(numbers, dims=("time", "station"), attrs={"units": unit})
    times = table.index.to_numpy().astype("datetime64[ns]")
    return xr.Dataset(fields, {"time": times, "station": stations})


def _split_name(column: str, path: Path) -> tuple[str, str]:
    for variable in CONVERSIONS:
        if column.endswith(f"_{variable}"):
            return column.removesuffix(f"_{variable}"), variable
    raise DataFormatError(f"{path} has a column '{column}'; expected STATION_variable with {', '.join(CONVERSIONS)}")
