"""Scores of lazy fields stay lazy and equal those in memory; what is missing is left out or shows."""

from collections.abc import Callable

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from common.app.errors import DataFormatError
from weather.metrics import (
    acc,
    bias,
    brier_score,
    crps,
    energy_score,
    mae,
    power_spectrum,
    rank_histogram,
    rmse,
    seeps,
    spread,
    spread_skill_ratio,
    zonal_spectrum,
)

PLACES = {
    "time": np.datetime64("2020-01-01", "ns") + np.arange(3) * np.timedelta64(24, "h"),
    "latitude": np.linspace(-75, 75, 6),
    "longitude": np.arange(0, 360, 45.0),
}
Score = Callable[[xr.DataArray, xr.DataArray], xr.DataArray]

SCORES: dict[str, Score] = {
    "rmse": lambda ensemble, truth: rmse(ensemble.isel(number=0), truth, keep=("time",)),
    "mae": lambda ensemble, truth: mae(ensemble.isel(number=0), truth),
    "bias": lambda ensemble, truth: bias(ensemble.isel(number=0), truth),
    "acc": lambda ensemble, truth: acc(ensemble.isel(number=0), truth, xr.zeros_like(truth[0])),
    "crps": lambda ensemble, truth: crps(ensemble, truth, keep=("time",)),
    "spread_skill_ratio": spread_skill_ratio,
    "rank_histogram": rank_histogram,
    "energy_score": energy_score,
    "brier_score": lambda ensemble, truth: brier_score(ensemble, truth, 0.2),
    "seeps": lambda ensemble, truth: seeps(
        ensemble.isel(number=0), truth, xr.full_like(truth[0], 0.4), xr.full_like(truth[0], 0.8), dry_to=0.0
    ),
}
OF_ONE: dict[str, Score] = {
    "spread": lambda ensemble, _: spread(ensemble),
    "power_spectrum": lambda ensemble, _: power_spectrum(ensemble),
    "zonal_spectrum": lambda ensemble, _: zonal_spectrum(ensemble),
}


def fields() -> tuple[xr.DataArray, xr.DataArray]:
    random = np.random.default_rng(0)
    both = xr.DataArray(random.standard_normal((3, 5, 6, 8)), PLACES, ("time", "number", "latitude", "longitude"))
    return both.isel(number=slice(1, None)), both.isel(number=0)


def unreadable(field: xr.DataArray) -> xr.DataArray:
    def read(block: np.ndarray) -> np.ndarray:
        raise AssertionError("a chunk was read before the score was asked for")

    lazy = da.zeros(field.shape, chunks=(1, *field.shape[1:])).map_blocks(read, meta=np.empty((0,) * field.ndim))
    return field.copy(data=lazy)


@pytest.mark.parametrize("name", [*SCORES, *OF_ONE])
def test_nothing_is_read_before_the_score_is_asked_for(name: str) -> None:
    ensemble, truth = map(unreadable, fields())
    result = (SCORES | OF_ONE)[name](ensemble, truth)
    assert result.chunks is not None
    with pytest.raises(AssertionError, match="was read before"):
        result.compute()


@pytest.mark.parametrize("name", [*SCORES, *OF_ONE])
def test_chunks_do_not_change_a_score(name: str) -> None:
    ensemble, truth = fields()
    score = (SCORES | OF_ONE)[name]
    found = score(ensemble.chunk(number=2, latitude=4), truth.chunk(time=2))
    xr.testing.assert_allclose(found.compute(), score(ensemble, truth), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", SCORES)
def test_points_without_truth_do_not_count(name: str) -> None:
    """Whatever the forecast says there; the others count as before."""
    ensemble, truth = fields()
    unknown = truth.copy()
    unknown[:, 2, 3] = np.nan
    wild = ensemble.copy()
    wild[:, :, 2, 3] = 1e6
    score = SCORES[name]
    found = score(ensemble, unknown)
    assert np.isfinite(found).all()
    xr.testing.assert_allclose(score(wild, unknown), found)
    assert not np.allclose(found, score(ensemble, truth), rtol=1e-6)


@pytest.mark.parametrize("name", SCORES)
def test_a_value_that_the_forecast_lacks_shows(name: str) -> None:
    ensemble, truth = fields()
    ensemble[1, 0, 2, 3] = np.nan
    found = SCORES[name](ensemble, truth)
    assert found.isel(time=1).isnull().all() if "time" in found.dims else found.isnull().all()
    assert "time" not in found.dims or found.isel(time=0).notnull().all()


def test_fields_of_other_places_are_refused_rather_than_cut() -> None:
    ensemble, truth = fields()
    with pytest.raises(DataFormatError, match="different coordinates"):
        rmse(ensemble.isel(number=0), truth.assign_coords(longitude=truth["longitude"] - 180))
    with pytest.raises(DataFormatError, match="different coordinates"):
        crps(ensemble.isel(time=slice(1, None)), truth)
