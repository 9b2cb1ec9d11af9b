"""Areas are exact, grids are recognised for what they are, and a wrong one is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial.legendre import leggauss

from common.app.errors import DataFormatError
from weather.data.grid import Grid


def equiangular(rows: int, columns: int, poles: bool) -> Grid:
    half = 0 if poles else 90 / rows
    return Grid.of(np.linspace(-90 + half, 90 - half, rows), np.arange(columns) * 360 / columns)


def gaussian(rows: int, columns: int) -> Grid:
    return Grid.of(np.rad2deg(np.arcsin(leggauss(rows)[0])), np.arange(columns) * 360 / columns)


@given(rows=st.integers(4, 400), poles=st.booleans())
def test_equiangular_grids_are_recognised(rows: int, poles: bool) -> None:
    grid = equiangular(rows, 8, poles)
    assert (grid.kind, grid.periodic, grid.has_poles) == ("equiangular", True, poles)
    assert grid.shape == (rows, 8)


@pytest.mark.parametrize("rows", [8, 32, 64, 192, 320])
def test_gaussian_grids_are_recognised_also_when_rounded(rows: int) -> None:
    grid = gaussian(rows, 2 * rows)
    assert grid.kind == "gaussian"
    assert Grid.of(np.round(grid.latitudes, 3).astype(np.float32), grid.longitudes).kind == "gaussian"
    assert Grid.of(grid.latitudes[::-1], grid.longitudes).kind == "gaussian"


@pytest.mark.parametrize("grid", [equiangular(181, 4, True), equiangular(32, 4, False), gaussian(32, 4)])
def test_areas_integrate_a_parabola_over_the_sphere(grid: Grid) -> None:
    """The mean of sin(latitude)^2 over a sphere is 1/3, and weights have mean 1."""
    weights = grid.area_weights()
    assert weights.shape == grid.shape and weights.mean() == pytest.approx(1, abs=1e-12)
    mean = (weights * np.sin(np.deg2rad(grid.latitudes))[:, None] ** 2).mean()
    assert mean == pytest.approx(1 / 3, abs=1e-12 if grid.kind == "gaussian" else 0.003)


def test_cells_of_a_grid_with_poles_cover_the_sphere_once() -> None:
    """Rows of 3 degrees: the polar caps reach 1.5 degrees far; published by WeatherBench 2 as the same difference."""
    grid = equiangular(61, 120, True)
    cap = 1 - np.sin(np.deg2rad(88.5))
    row = np.sin(np.deg2rad(1.5)) * 2
    assert grid.latitude_weights[0] / grid.latitude_weights[30] == pytest.approx(cap / row)


def test_a_region_has_the_areas_of_its_cells_on_the_globe() -> None:
    globe = equiangular(72, 72, False)
    region = Grid.of(globe.latitudes[50:60], globe.longitudes[10:20])
    assert (region.kind, region.periodic) == ("regional", False)
    whole, part = globe.area_weights()[50:60, 10:20], region.area_weights()
    np.testing.assert_allclose(part / part.mean(), whole / whole.mean(), rtol=1e-12)
    uneven = Grid.of(np.array([0.0, 1, 3]), np.array([0.0, 1, 4]))
    assert uneven.area_weights()[0] == pytest.approx(uneven.area_weights()[0, 0] * np.array([1, 2, 3]))


@pytest.mark.parametrize(
    ("latitudes", "longitudes", "text"),
    [
        ([0, 10, 5], [0, 1], "latitude turns or repeats at 10, 5"),
        ([0, 10, 10], [0, 1], "latitude turns or repeats at 10, 10"),
        ([0, 10], [5, 5, 5], "longitude turns or repeats at 5, 5"),
        ([0, np.nan], [0, 1], "latitude has shape"),
        ([80, 100], [0, 1], "latitudes reach 100"),
        ([0, 10], [0], "longitude has shape"),
        ([0, 10], [0, 180, 360], "longitudes run from 0 to 360"),
    ],
)
def test_an_axis_that_is_none_is_refused(latitudes: list, longitudes: list, text: str) -> None:
    with pytest.raises(DataFormatError, match=text):
        Grid.of(np.array(latitudes, float), np.array(longitudes, float), "a.nc")


def test_the_error_of_a_mismatch_says_how_grids_differ() -> None:
    model = equiangular(32, 64, False)
    model.require(Grid.of(model.latitudes.astype(np.float32), model.longitudes), "same.nc")
    for other, text in [
        (gaussian(32, 64), "latitudes lie elsewhere: found 64x32 gaussian"),
        (equiangular(64, 64, False), "latitudes have another number of points"),
        (Grid.of(model.latitudes[::-1], model.longitudes), "latitudes run the other way"),
        (Grid.of(model.latitudes, model.longitudes + 2.8125), "longitudes are shifted by 2.8125 degrees"),
    ]:
        with pytest.raises(DataFormatError, match=rf"b\.nc: its {text}"):
            model.require(other, "b.nc")
