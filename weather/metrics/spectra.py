"""Power by scale: over degrees of spherical harmonics and over zonal wavenumbers.

H latitudes, W longitudes, L degrees, K wavenumbers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from common.app.errors import DataFormatError
from weather.data.grid import Grid
from weather.metrics.average import Field, Keep, aligned, average, known, of_each_variable, on_tensors
from weather.metrics.weights import grid_of
from weather.models.sphere.legendre import SphereGrid
from weather.models.sphere.spherical_transform import SphericalTransform

MAP = ("latitude", "longitude")


@of_each_variable
def power_spectrum(field: Field, grid: Grid | None = None) -> Any:
    """sum over orders m of |a(l, m)|^2 by degree l, of maps [..., H, W]: [..., L], a last dimension `degree`.

    Orthonormal spherical harmonics, orders above zero counted twice, so that on a Gaussian grid the sum over degrees is
    the integral of the square over the unit sphere; Boer and Shepherd 1983,
    doi:10.1175/1520-0469(1983)040<0164:LSTDTI>2.0.CO;2. On equiangular grids the upper half of the degrees is
    inaccurate. In float64. A map with a NaN has none.

    grid  of tensors; labelled fields know theirs

    Raises DataFormatError on a region: it has no spherical harmonics.
    """
    (field,) = aligned(field)
    grid = _globe(grid_of(field) if isinstance(field, xr.DataArray) else grid)

    def spectrum(maps: Tensor) -> Tensor:
        return power_by_degree(maps.double(), grid)

    if not isinstance(field, xr.DataArray):
        return spectrum(field)
    result = on_tensors(spectrum, field, core_dims=[MAP], new_dims={"degree": grid.shape[0]})
    return result.assign_coords(degree=np.arange(grid.shape[0]))


def power_by_degree(maps: Tensor, grid: Grid) -> Tensor:
    """`power_spectrum` of tensors [..., H, W] -> [..., L], in their own type and with gradients.

    Raises DataFormatError on a region.
    """
    grid = _globe(grid)
    kind: SphereGrid = "equiangular_with_poles" if grid.has_poles else grid.kind  # pyright: ignore[reportAssignmentType]
    transform = _transform(*grid.shape, kind, maps.dtype).to(maps.device)
    power = transform.analyse(maps.flip(-2) if grid.latitudes[0] > grid.latitudes[-1] else maps).abs().square()
    return 2 * power.sum(-1) - power[..., 0]


@of_each_variable
def zonal_spectrum(field: Field, weights: Any = None, keep: Keep = ()) -> Any:
    """Mean power by zonal wavenumber k, a last dimension `wavenumber` of W // 2 + 1.

    c_0^2 and 2 |c_k|^2 of each circle of latitude, with f = sum_k c_k exp(i k longitude); their sum over k is the mean
    of f^2 (Parseval). WeatherBench 2 (doi:10.1029/2023MS004019) multiplies by the length of the circle. Means over all
    but `keep` (of tensors, axes of the field; the last may not be kept) with the weights of circles.

    weights  [H] or over latitude; by default those of area in labelled fields, equal ones in tensors

    Raises DataFormatError where labelled longitudes do not close the circle.
    """
    (field,) = aligned(field)
    if not isinstance(field, xr.DataArray):
        waves = _zonal(field)
        there = known(field).all(-1).expand(waves.shape[:-1])
        parts = [average(part, there, weights, [axis % field.ndim for axis in keep]) for part in waves.unbind(-1)]
        return torch.stack(parts, dim=-1)
    grid = _globe(grid_of(field), whole=False)
    count = grid.shape[1] // 2 + 1
    waves = on_tensors(_zonal, field, core_dims=[["longitude"]], new_dims={"wavenumber": count})
    waves = waves.assign_coords(wavenumber=np.arange(count))
    if weights is None:
        weights = xr.DataArray(grid.latitude_weights, {"latitude": field["latitude"].values}, "latitude")
    return average(waves, known(field).all("longitude"), weights, [*keep, "wavenumber"]).transpose(..., "wavenumber")


def _zonal(circles: Tensor) -> Tensor:
    """[..., W] -> [..., K]"""
    power = torch.fft.rfft(circles.double(), dim=-1, norm="forward").abs().square()
    twice = slice(1, -1) if circles.shape[-1] % 2 == 0 else slice(1, None)  # the shortest wave of even W stands alone
    power[..., twice] *= 2
    return power


@lru_cache(maxsize=4)
def _transform(height: int, width: int, kind: SphereGrid, dtype: torch.dtype) -> SphericalTransform:
    return SphericalTransform(height, width, kind, dtype=dtype)


def _globe(grid: Grid | None, whole: bool = True) -> Grid:
    if grid is None:
        raise DataFormatError(
            "a spectrum of tensors needs the `grid` they are on, such as Grid.of(latitudes, longitudes)"
        )
    if not grid.periodic or (whole and grid.kind == "regional"):
        raise DataFormatError(
            f"a {grid.name} grid does not reach around the globe, so it has no {'spherical harmonics' if whole else ''}"
            f"{'' if whole else 'zonal waves'}; give fields of a whole globe"
        )
    return grid
