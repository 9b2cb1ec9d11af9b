"""Laws of the scores: what is missing, weights, regions, laziness, and what each score is for a known case."""

import itertools

import numpy as np
import pytest
import torch
import xarray as xr

from common.app.errors import DataFormatError
from weather.data.grid import Grid
from weather.metrics import (
    REGIONS,
    acc,
    brier_score,
    by_region,
    by_season,
    crps,
    energy_score,
    mae,
    power_spectrum,
    rank_histogram,
    rmse,
    spread,
    spread_skill_ratio,
    verifying,
    zonal_spectrum,
)

LATITUDES, LONGITUDES = np.arange(-78.75, 90, 22.5), np.arange(0, 360, 22.5)
GRID = Grid.of(LATITUDES, LONGITUDES)
AXES = ("time", "prediction_timedelta", "number", "latitude", "longitude")


def forecasts(members: int = 5, times: int = 6, seed: int = 0) -> tuple[xr.DataArray, xr.DataArray]:
    """Members and truth that are draws of the same distribution, one start a fortnight."""
    random = np.random.default_rng(seed)
    places = {
        "time": np.datetime64("2020-01-01", "ns") + np.arange(times) * np.timedelta64(14, "D"),
        "prediction_timedelta": np.array([24, 48]) * np.timedelta64(1, "h").astype("timedelta64[ns]"),
        "latitude": LATITUDES,
        "longitude": LONGITUDES,
    }
    values = random.normal(280, 3, (times, 2, members + 1, *GRID.shape))
    both = xr.DataArray(values, places, AXES)
    return both.isel(number=slice(1, None)), both.isel(number=0)


def test_times_without_truth_do_not_count() -> None:
    """The last forecasts of a set reach beyond its end."""
    ensemble, truth = forecasts()
    forecast, gap, usual = ensemble.isel(number=0), truth.copy(), xr.full_like(truth, 280.0)
    gap[{"time": 0}] = np.nan
    assert float(rmse(forecast, gap)) == pytest.approx(float(rmse(forecast[1:], truth[1:])), rel=1e-12)
    assert float(acc(forecast, gap, usual)) == pytest.approx(float(acc(forecast[1:], truth[1:], usual[1:])), rel=1e-12)
    found, expected = energy_score(ensemble, gap), energy_score(ensemble[1:], truth[1:])
    assert float(found) == pytest.approx(float(expected), rel=1e-12)


def test_a_map_without_anomalies_has_no_correlation() -> None:
    ensemble, truth = forecasts()
    forecast, usual, still = ensemble.isel(number=0), ensemble.mean(("time", "number")), truth.copy()
    still[{"time": 0}] = usual
    expected = acc(forecast[1:], truth[1:], usual)
    assert float(acc(forecast, still, usual)) == pytest.approx(float(expected), rel=1e-12)


def test_correlations_by_season_are_those_of_its_maps() -> None:
    ensemble, truth = forecasts(times=12)
    forecast, usual = ensemble.isel(number=0), xr.full_like(truth, 280.0)
    found = acc(forecast, truth, usual, by_season(truth), keep=("prediction_timedelta",))
    spring = truth["time.season"] == "MAM"
    part = acc(forecast[spring], truth[spring], usual[spring], keep=("prediction_timedelta",))
    np.testing.assert_allclose(found.sel(season="MAM"), part, rtol=1e-12)
    assert found.sel(season="SON").isnull().all()


def test_tensors_and_labelled_fields_score_alike() -> None:
    ensemble, truth = forecasts()
    x, y = torch.from_numpy(ensemble.values), torch.from_numpy(truth.values)
    weights, lead = torch.from_numpy(GRID.area_weights()), ("prediction_timedelta",)
    first, usual = ensemble.isel(number=0), xr.full_like(truth, 280.0)
    circles = torch.from_numpy(GRID.latitude_weights)
    pairs = [
        (rmse(first, truth, keep=lead), rmse(x[:, :, 0], y, weights, keep=(1,))),
        (acc(first, truth, usual, keep=lead), acc(x[:, :, 0], y, torch.full_like(y, 280), weights, keep=(1,))),
        (crps(ensemble, truth, keep=lead), crps(x, y, weights, keep=(-3,), members=2)),
        (spread(ensemble, keep=lead), spread(x, weights, keep=(1,), members=2)),
        (spread_skill_ratio(ensemble, truth), spread_skill_ratio(x, y, weights, members=2)),
        (rank_histogram(ensemble, truth, keep=lead), rank_histogram(x, y, weights, keep=(1,), members=2)),
        (energy_score(ensemble, truth, keep=lead), energy_score(x, y, weights, keep=(1,), members=2)),
        (brier_score(ensemble, truth, 281.0), brier_score(x, y, 281.0, weights, members=2)),
        (zonal_spectrum(truth, keep=lead), zonal_spectrum(y, circles, keep=(1,))),
        (power_spectrum(truth), power_spectrum(y, GRID)),
    ]
    for labelled, tensor in pairs:
        np.testing.assert_allclose(tensor, labelled, rtol=1e-10)


def test_a_dataset_is_scored_variable_by_variable() -> None:
    ensemble, truth = forecasts()
    both = xr.Dataset({"t": ensemble, "u": ensemble + 1}), xr.Dataset({"t": truth, "u": truth, "v": truth})
    found = crps(*both)
    assert set(found) == {"t", "u"} and float(found["t"]) == float(crps(ensemble, truth))
    with pytest.raises(DataFormatError, match="the forecast holds 'u'"):
        crps(both[0], both[1][["t"]])


def test_cells_count_by_their_area() -> None:
    """An error of 1 north of 45 degrees only: that cap is (1 - sin 45) / 2 of the sphere."""
    truth = xr.DataArray(np.zeros(GRID.shape), {"latitude": LATITUDES, "longitude": LONGITUDES})
    forecast = truth.where(truth.latitude < 45, 1.0)
    assert float(mae(forecast, truth)) == pytest.approx((1 - np.sin(np.pi / 4)) / 2, rel=1e-12)
    assert float(mae(forecast.values, truth.values)) == pytest.approx(2 / 8)


def test_a_region_may_cross_greenwich() -> None:
    field = xr.DataArray(np.zeros((37, 72)), {"latitude": np.linspace(-90, 90, 37), "longitude": np.arange(0, 360, 5)})
    europe = by_region(field, {"europe": REGIONS["europe"]})[0]
    inside = field.longitude.values[(europe > 0).any("latitude")]
    assert set(inside) == {350, 355, *range(0, 45, 5)}


def test_one_member_has_its_absolute_error_and_no_fair_score() -> None:
    x, y = torch.randn(1, 6, 8, dtype=torch.float64), torch.randn(6, 8, dtype=torch.float64)
    assert float(crps(x, y, estimator="ecdf")) == pytest.approx(float(mae(x[0], y)))
    for score in (crps(x, y), energy_score(x, y), spread(x), spread_skill_ratio(x, y)):
        assert score.isnan()


def test_fair_scores_do_not_depend_on_the_number_of_members() -> None:
    """Of draws from the truth's own distribution; the plain ones do. 1 / sqrt(pi) is the CRPS of a Gaussian's own."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(200_000, generator=generator)
    for count in (2, 8):
        x = torch.randn(count, 200_000, generator=generator)
        assert float(crps(x, y)) == pytest.approx(np.pi**-0.5, rel=0.01)
        assert float(crps(x, y, estimator="ecdf")) == pytest.approx(np.pi**-0.5 * (1 + 1 / count), rel=0.01)
        assert float(brier_score(x, y, 0.0, fair=True)) == pytest.approx(0.25, rel=0.01)
        assert float(brier_score(x, y, 0.0)) == pytest.approx(0.25 * (1 + 1 / count), rel=0.01)
        assert float(spread_skill_ratio(x, y, corrected=True)) == pytest.approx(1, rel=0.01)
        assert float(spread_skill_ratio(x, y)) == pytest.approx((count / (count + 1)) ** 0.5, rel=0.01)
        np.testing.assert_allclose(rank_histogram(x, y), 1 / (count + 1), rtol=0.02)


def test_the_energy_score_sees_how_points_go_together() -> None:
    """Members whose points are shuffled among members have the same CRPS and a worse energy score."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.randn(21, 400, 1, 1, generator=generator)
    values = scale * torch.ones(4, 4) + 0.1 * torch.randn(21, 400, 4, 4, generator=generator)
    x, y = values[1:], values[0]
    order = torch.rand(x.shape, generator=generator).argsort(dim=0)
    shuffled = x.gather(0, order)
    assert float(crps(shuffled, y)) == pytest.approx(float(crps(x, y)))
    assert float(energy_score(shuffled, y)) > 1.01 * float(energy_score(x, y))


def test_a_region_has_no_spectrum() -> None:
    field = xr.DataArray(np.zeros((5, 6)), {"latitude": np.arange(40, 65, 5.0), "longitude": np.arange(0, 30, 5.0)})
    for spectrum in (power_spectrum, zonal_spectrum):
        with pytest.raises(DataFormatError, match="does not reach around the globe"):
            spectrum(field)
    with pytest.raises(DataFormatError, match="needs the `grid`"):
        power_spectrum(torch.zeros(5, 6))


def test_forecasts_meet_the_truth_of_their_valid_times() -> None:
    ensemble, _ = forecasts()
    start = ensemble["time"].values
    times = np.unique(np.add.outer(start, ensemble["prediction_timedelta"].values))
    truth = xr.DataArray(np.arange(len(times) * 1.0), {"time": times}, "time")
    found = verifying(truth.isel(time=slice(0, -1)), ensemble)
    assert found.dims == ("time", "prediction_timedelta")
    for i, j in itertools.product(range(6), range(2)):
        valid = start[i] + ensemble["prediction_timedelta"].values[j]
        if valid == times[-1]:
            assert found[i, j].isnull()
        else:
            assert found[i, j] == truth.sel(time=valid)
    with pytest.raises(DataFormatError, match="none of the forecasts' valid times"):
        verifying(truth.assign_coords(time=times + np.timedelta64(1, "h")), ensemble)


def test_fields_that_do_not_belong_together_are_refused() -> None:
    ensemble, truth = forecasts()
    forecast = ensemble.isel(number=0)
    with pytest.raises(DataFormatError, match="different coordinates"):
        rmse(forecast, truth.assign_coords(longitude=LONGITUDES + 0.1))
    with pytest.raises(DataFormatError, match="several kinds"):
        rmse(forecast, truth.values)
    with pytest.raises(DataFormatError, match="dimension 'member'"):
        crps(ensemble, truth, members="member")
    with pytest.raises(DataFormatError, match="one axis more"):
        crps(truth.values, truth.values)
    with pytest.raises(DataFormatError, match="cannot keep 'level'"):
        rmse(forecast, truth, keep=("level",))
