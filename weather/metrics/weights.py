"""How much each point, region and season counts.

Weights are labelled fields that broadcast with the scores; a dimension of their own gives a score for each entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from common.app.errors import DataFormatError
from weather.data.grid import Grid

SEASONS = ("DJF", "MAM", "JJA", "SON")


class Box(NamedTuple):
    """A part of the sphere, degrees north and east, ends included; a west beyond the east crosses Greenwich."""

    south: float = -90.0
    north: float = 90.0
    west: float = 0.0
    east: float = 360.0


REGIONS: dict[str, Box] = {
    "global": Box(),
    "tropics": Box(-20, 20),
    "northern extratropics": Box(20, 90),
    "southern extratropics": Box(-90, -20),
    "europe": Box(35, 75, 347.5, 42.5),
    "north america": Box(25, 60, 240, 285),
    "north atlantic": Box(25, 65, 290, 350),
    "north pacific": Box(25, 60, 145, 230),
    "east asia": Box(25, 60, 102.5, 150),
    "australia and new zealand": Box(-45, -12.5, 120, 175),
    "arctic": Box(60, 90),
    "antarctic": Box(-90, -60),
}
"""The regions of WeatherBench 2 and of ECMWF's score cards, doi:10.1029/2023MS004019."""


def grid_of(field: xr.DataArray | xr.Dataset) -> Grid:
    """The grid of a labelled field. Raises DataFormatError if it has none."""
    if not {"latitude", "longitude"} <= set(field.dims):
        raise DataFormatError(
            f"a field over ({', '.join(map(str, field.dims))}) has no cells; expected latitude and longitude. Give "
            "`weights`, or fields in canonical form"
        )
    return Grid.of(field["latitude"].values, field["longitude"].values, str(getattr(field, "name", None) or "a field"))


def area_weights(field: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Exact areas of the cells of a field, mean 1; one for fields without a grid, such as those of stations."""
    if not {"latitude", "longitude"} & set(field.dims):
        return xr.DataArray(1.0)
    return _on_grid(field, grid_of(field).area_weights())


def cosine_weights(field: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Cosine of the latitude over its mean, as in WeatherBench, doi:10.1029/2020MS002203; the poles count nothing."""
    grid = grid_of(field)
    cosine = np.cos(np.deg2rad(grid.latitudes)).clip(0)
    return _on_grid(field, np.broadcast_to((cosine / cosine.mean())[:, None], grid.shape))


def by_region(
    field: xr.DataArray | xr.Dataset, regions: Mapping[str, Box] = REGIONS, weights: xr.DataArray | None = None
) -> xr.DataArray:
    """Weights over (region, latitude, longitude): those of the cells inside, of the regions that the grid reaches.

    weights  of cells, default their area
    """
    grid = grid_of(field)
    inside = {name: _inside(grid, box) for name, box in regions.items()}
    inside = {name: mask for name, mask in inside.items() if mask.any()}
    masks = np.stack([mask.astype(float) for mask in inside.values()]) if inside else np.zeros((0, *grid.shape))
    coords = {"region": list(inside), "latitude": field["latitude"].values, "longitude": field["longitude"].values}
    return xr.DataArray(masks, coords, tuple(coords)) * (area_weights(field) if weights is None else weights)


def by_season(field: xr.DataArray | xr.Dataset, weights: xr.DataArray | None = None) -> xr.DataArray:
    """Weights over (season, time, ...): one where a time, of forecasts their start, lies in the season.

    weights  multiplied with them, default the areas of cells
    """
    season = field["time"].dt.season.values
    masks = np.stack([(season == name).astype(float) for name in SEASONS])
    inside = xr.DataArray(masks, {"season": list(SEASONS), "time": field["time"].values}, ("season", "time"))
    return inside * (area_weights(field) if weights is None else weights)


def _on_grid(field: xr.DataArray | xr.Dataset, values: np.ndarray) -> xr.DataArray:
    places = {axis: field[axis].values for axis in ("latitude", "longitude")}
    return xr.DataArray(values, places, tuple(places))


def _inside(grid: Grid, box: Box) -> np.ndarray:
    """[H, W]"""
    rows = (grid.latitudes >= box.south) & (grid.latitudes <= box.north)
    width = (box.east - box.west) % 360 or 360
    columns = (grid.longitudes - box.west) % 360 <= width
    return rows[:, None] & columns
