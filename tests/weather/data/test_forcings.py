"""Forcing channels are what their names say, bounded and without jumps."""

import numpy as np
import pytest
import torch
import xarray as xr

from common.app.errors import ConfigError, DataFormatError
from weather.data.forcings import CHANNELS, Forcings
from weather.data.grid import Grid

GRID = Grid.of(np.linspace(-75, 75, 6), np.arange(0, 360, 45.0))
TIMES = np.arange("2019-12-25", "2020-01-08", dtype="datetime64[h]").astype("datetime64[ns]")


def constants(grid: Grid = GRID) -> xr.Dataset:
    random = np.random.default_rng(0)
    field = ("latitude", "longitude")
    return xr.Dataset(
        {
            "geopotential_at_surface": (field, random.gamma(1, 5000, grid.shape)),
            "land_sea_mask": (field, random.random(grid.shape)),
        },
        {"latitude": grid.latitudes, "longitude": grid.longitudes},
    )


def channel(name: str, forcings: Forcings, times: np.ndarray = TIMES) -> torch.Tensor:
    return forcings.at(times)[:, forcings.channels.index(name)]


def test_all_channels_are_there_in_order_and_of_order_one() -> None:
    forcings = Forcings(list(CHANNELS), GRID, 6, constants())
    values = forcings.at(TIMES)
    assert values.shape == (len(TIMES), 11, *GRID.shape) == (len(TIMES), len(forcings.channels), *GRID.shape)
    assert values.dtype == torch.float32 and values.isfinite().all() and values.abs().max() < 6
    assert Forcings([], GRID, 6).at(TIMES).shape == (len(TIMES), 0, *GRID.shape)


def test_forcings_of_other_times_are_those_times() -> None:
    names = ["solar", "position", "year_progress", "solar_hour"]
    several, one = Forcings(names, GRID, 6, offsets=(-2, 0)), Forcings(names, GRID, 6)
    assert [name for name in several.channels if name.endswith("-2")] == [
        "solar-2", "year_progress_sin-2", "year_progress_cos-2", "solar_hour-2",
    ]  # fmt: skip
    for name in one.channels:
        assert (channel(name, several) == channel(name, one)).all()
        if not name.startswith("position"):
            assert (channel(f"{name}-2", several)[12:] == channel(name, one)[:-12]).all()
    hourly = Forcings(["solar"], GRID, 1)
    assert torch.allclose(channel("solar_hour", one), channel("solar", hourly))


def test_nothing_jumps_at_midnight_the_date_line_or_new_year() -> None:
    forcings = Forcings(["day_progress", "year_progress", "solar"], GRID, 1)
    values = forcings.at(TIMES)
    assert values.diff(dim=0).abs().max() < 2 * np.pi / 24 + 0.01
    around = torch.cat([values, values[..., :1]], dim=-1).diff(dim=-1)
    assert around.abs().max() < 1


def test_day_progress_is_local_solar_time_and_year_progress_the_season() -> None:
    forcings = Forcings(["day_progress", "year_progress"], GRID, 6)
    midnight = np.array(["2020-03-01T00:00"], "datetime64[ns]")
    sine, cosine = channel("day_progress_sin", forcings, midnight), channel("day_progress_cos", forcings, midnight)
    angle = torch.atan2(sine, cosine)[0, 0]
    np.testing.assert_allclose(np.mod(angle.numpy() / (2 * np.pi), 1), GRID.longitudes / 360, atol=1e-6)
    years = np.array([f"{year}-03-20T12:00" for year in (1980, 2000, 2020)], "datetime64[ns]")
    assert channel("year_progress_sin", forcings, years).std() < 0.02


def test_position_is_a_point_on_the_unit_sphere() -> None:
    x, y, z = Forcings(["position"], GRID, 6).at(TIMES[:1])[0]
    np.testing.assert_allclose(x**2 + y**2 + z**2, 1, atol=1e-6)
    np.testing.assert_allclose(np.rad2deg(np.arcsin(z[:, 0].numpy())), GRID.latitudes, atol=1e-4)


def test_missing_or_foreign_constants_are_named() -> None:
    with pytest.raises(DataFormatError, match="'land_sea_mask', found none"):
        Forcings(["land_sea_mask"], GRID, 6)
    other = Grid.of(GRID.latitudes[:3], GRID.longitudes)
    with pytest.raises(DataFormatError, match="field 'land_sea_mask': its latitudes have another number"):
        Forcings(["land_sea_mask"], GRID, 6, constants(other))
    with pytest.raises(ConfigError, match=r"unknown forcing 'sun'"):
        Forcings(["sun"], GRID, 6)
