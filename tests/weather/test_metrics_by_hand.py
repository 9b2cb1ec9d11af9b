"""Scores whose value is known without a program."""

import numpy as np
import pytest
import torch
import xarray as xr

from common.app.errors import DataFormatError
from weather.data.grid import Grid
from weather.metrics import (
    acc,
    area_weights,
    by_region,
    by_season,
    cosine_weights,
    crps,
    energy_score,
    power_spectrum,
    rank_histogram,
    rmse,
    seeps,
    seeps_climate,
    spread,
    spread_skill_ratio,
    zonal_spectrum,
)
from weather.metrics.crps import crps_at_points
from weather.metrics.seeps import DRY_M
from weather.metrics.weights import Box

LATITUDES, LONGITUDES = np.linspace(-90, 90, 7), np.arange(0, 360, 30.0)


def globe(values: np.ndarray, *dims: str) -> xr.DataArray:
    return xr.DataArray(values, {"latitude": LATITUDES, "longitude": LONGITUDES}, (*dims, "latitude", "longitude"))


def test_crps_of_two_members() -> None:
    """Members 0 and 2, truth 1: mean distance 1; half the distance of a pair is 1, of two draws with return 1/2."""
    members, truth = torch.tensor([0.0, 2.0]), torch.tensor(1.0)
    assert float(crps_at_points(members, truth)) == 0.0
    assert float(crps_at_points(members, truth, "ecdf")) == 0.5


@pytest.mark.parametrize("members", [2, 3, 10, 51])
def test_crps_is_that_of_all_pairs(members: int) -> None:
    random = np.random.default_rng(members)
    ensemble, truth = random.standard_normal((members, 7, 12)), random.standard_normal((7, 12))
    pairs = np.abs(ensemble[:, None] - ensemble[None]).sum((0, 1)) / 2
    error = np.abs(ensemble - truth).mean(0)
    for estimator, count in (("fair", members * (members - 1)), ("ecdf", members**2)):
        found = crps(globe(ensemble, "number"), globe(truth), keep=("latitude", "longitude"), estimator=estimator)
        np.testing.assert_allclose(found, error - pairs / count, rtol=1e-12, atol=1e-13)


def test_an_ensemble_far_from_zero_loses_no_digits() -> None:
    """Geopotential of 55000 in float32 with differences of a few m2 s-2, which float32 holds exactly."""
    random = np.random.default_rng(0)
    steps = np.round(random.standard_normal((20, 7, 12)) * 64) / 16
    near, far = (globe((base + steps).astype(np.float32), "number") for base in (0, 55_000))
    scores = [float(crps(field.isel(number=slice(1, None)), field.isel(number=0, drop=True))) for field in (near, far)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-9)


def test_members_and_truth_of_one_distribution() -> None:
    random = np.random.default_rng(1)
    drawn = random.standard_normal((10, 400, 7, 12))
    ensemble, truth = globe(drawn[1:], "number", "time"), globe(drawn[0], "time")
    assert float(spread_skill_ratio(ensemble, truth, corrected=True)) == pytest.approx(1, abs=0.02)
    assert float(spread_skill_ratio(ensemble, truth)) == pytest.approx(np.sqrt(9 / 10), abs=0.02)
    assert float(spread(ensemble)) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(rank_histogram(ensemble, truth), 0.1, atol=0.01)
    # E|x - y| - E|x - x'| / 2 of normal values is 1 / sqrt(pi)
    assert float(crps(ensemble, truth)) == pytest.approx(1 / np.sqrt(np.pi), abs=0.01)


def test_equal_members_share_the_ranks_that_the_truth_could_have() -> None:
    ensemble, truth = globe(np.ones((3, 7, 12)), "number"), globe(np.ones((7, 12)))
    ensemble[0] = 0.0
    np.testing.assert_allclose(rank_histogram(ensemble, truth), [0, 1 / 3, 1 / 3, 1 / 3])


def test_energy_score_of_fields_that_differ_by_constants() -> None:
    """The norm of a constant is its size, so the score is the CRPS of the constants."""
    ensemble, truth = globe(np.ones((2, 7, 12)) * [[[0.0]], [[3.0]]], "number"), globe(np.full((7, 12), 1.0))
    assert float(energy_score(ensemble, truth)) == pytest.approx((1 + 2) / 2 - 3 / 2, abs=1e-12)
    assert float(energy_score(ensemble, truth, estimator="ecdf")) == pytest.approx((1 + 2) / 2 - 3 / 4)


def test_anomaly_correlation_knows_no_scale_but_the_sign() -> None:
    random = np.random.default_rng(2)
    climate, anomaly = globe(random.standard_normal((7, 12))), globe(random.standard_normal((7, 12)))
    assert float(acc(climate + 3 * anomaly, climate + anomaly, climate)) == pytest.approx(1)
    assert float(acc(climate - anomaly, climate + anomaly, climate)) == pytest.approx(-1)


def test_seeps_of_a_constant_forecast_is_one_in_the_climate_of_its_own_days() -> None:
    """Over all times of a window around one day; the season of each place comes out, across the turn of the year."""
    random = np.random.default_rng(0)
    times = np.arange("2010-01-01", "2022-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    day = xr.DataArray(times, dims="time", coords={"time": times}).dt.dayofyear
    wet = random.random((len(times), 3)) < 0.5 + 0.3 * np.cos(2 * np.pi * day.values / 366)[:, None]
    size = random.gamma(1.0, 0.004, wet.shape) * [1, 2, 3] + DRY_M
    amounts = xr.DataArray(np.where(wet, size, 0.0), {"time": times, "place": [0, 1, 2]}, ("time", "place"))
    amounts[5, 0] = np.nan
    climate = seeps_climate(amounts, days=[1, 183], window=20)
    assert np.abs(climate["dry_share"] - xr.DataArray([0.2, 0.8], dims="dayofyear")).max() < 0.1
    lazy = seeps_climate(amounts.chunk({"place": 1, "time": 900}), days=[1, 183], window=20)
    xr.testing.assert_allclose(lazy.compute(), climate)
    for number, chosen in enumerate([1, 183]):
        apart = np.abs(day - chosen)
        near = amounts[(np.minimum(apart, 366 - apart) <= 20).values]
        here = climate.sel(dayofyear=chosen)
        for constant in (0.0, 10.0):  # dry, heavy
            forecast = xr.full_like(near, constant)
            found = seeps(
                forecast, near, here["dry_share"], here["heavy_from"], keep=["place"], weights=xr.DataArray(1.0)
            )
            assert found.values == pytest.approx([1, 1, 1], abs=0.03), number
    with pytest.raises(DataFormatError, match="no amount within 5 days of day 200"):
        seeps_climate(amounts[:30], days=[200], window=5)


def test_a_constant_forecast_has_seeps_of_one() -> None:
    """Over a climate of its own: dry with p, light twice as often as heavy; Rodwell et al. 2010."""
    amounts = np.repeat([0.0, 1.0, 5.0], [4, 4, 2])  # p = 0.4; a third of the wet days is heavy
    truth = globe(np.broadcast_to(amounts[:, None, None], (10, 7, 12)).copy(), "time")
    dry_share, heavy_from = globe(np.full((7, 12), 0.4)), globe(np.full((7, 12), 3.0))
    for constant in (0.0, 1.0, 5.0):
        assert float(seeps(xr.full_like(truth, constant), truth, dry_share, heavy_from)) == pytest.approx(1)
    assert float(seeps(truth, truth, dry_share, heavy_from)) == 0


def test_regions_and_seasons_score_their_own_points() -> None:
    error = globe(np.where(LATITUDES > 0, 3.0, 1.0)[:, None] * np.ones((7, 12)))
    halves = {"north": Box(1, 90), "south": Box(-90, -1), "greenwich": Box(-90, -1, 330, 30)}
    found = rmse(error, xr.zeros_like(error), weights=by_region(error, halves))
    assert found["region"].values.tolist() == list(halves)
    np.testing.assert_allclose(found, [3, 1, 1])
    time = np.array(["2020-01-15", "2020-07-15"], "datetime64[ns]")
    both = xr.concat([error * 0 + 2, error * 0 + 5], xr.Variable("time", time))
    found = rmse(both, xr.zeros_like(both), weights=by_season(both))
    assert float(found.sel(season="DJF")) == pytest.approx(2) and float(found.sel(season="JJA")) == pytest.approx(5)
    assert found.sel(season=["MAM", "SON"]).isnull().all()


def test_cells_at_the_poles_count_by_area_and_not_at_all_by_cosine() -> None:
    field = globe(np.zeros((7, 12)))
    area = area_weights(field)
    np.testing.assert_allclose(area[0, 0] / area.sum(), (1 - np.sin(np.deg2rad(75))) / 2 / 12)
    assert float(cosine_weights(field)[0, 0]) == pytest.approx(0, abs=1e-15)


def test_spectra_hold_the_power_of_the_field() -> None:
    latitudes = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(16)[0]))
    grid = Grid.of(latitudes, np.arange(32) * 11.25)
    sine, cosine = np.sin(np.deg2rad(latitudes))[:, None], np.cos(np.deg2rad(latitudes))[:, None]
    angle = np.deg2rad(grid.longitudes)
    # Integrals over the sphere: of sin^2 4 pi / 3; of (sin cos cos(longitude))^2 4 pi / 15
    field = torch.from_numpy(2 * sine + 3 * sine * cosine * np.cos(angle))
    expected = np.zeros(16)
    expected[1:3] = 4 * 4 * np.pi / 3, 9 * 4 * np.pi / 15
    np.testing.assert_allclose(power_spectrum(field, grid), expected, atol=1e-12)
    np.testing.assert_allclose(power_spectrum(field.flip(0), grid), expected, atol=1e-12)
    waves = zonal_spectrum(field, keep=(0,))
    np.testing.assert_allclose(waves.sum(-1), field.square().mean(-1), rtol=1e-12)
    np.testing.assert_allclose(waves[:, 1], 9 / 2 * (sine * cosine)[:, 0] ** 2, atol=1e-14)
