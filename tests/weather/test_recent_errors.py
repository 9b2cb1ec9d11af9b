"""Forecasts are corrected by what recent ones missed, of which nothing was later than the start."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import xarray as xr

from tests.weather.small import CHANNELS, forecaster, states
from weather import Forecaster
from weather.config import PredictConfig
from weather.forecast_run import predict

DAYS, DOUBT, HISTORY = 1.5, 0.5, 2
STEPS_BACK, FORECASTS_DOUBTED = 6, 2.0


def corrected(history: int = HISTORY, strength: float = 1.0) -> Forecaster:
    model = forecaster(history, strength=strength)
    model.card["recent_errors"] = {"days": DAYS, "doubt_days": DOUBT}
    return model


def values(given: xr.Dataset) -> np.ndarray:
    """The channels [C, ...] of fields or forecasts."""
    return np.stack([given[name].values if level is None else given[name].sel(level=level).values
                     for name, level in CHANNELS])  # fmt: skip


def test_a_forecast_is_corrected_by_the_shrunk_mean_of_what_recent_ones_missed() -> None:
    given, leads = states(16), 3
    plain = forecaster(HISTORY).forecast(given, 6 * leads, starts="all")
    found = corrected().forecast(given, 6 * leads, starts="all")
    truth = forecaster(HISTORY).fields(given).dataset
    for name in plain.data_vars:
        raw, seen = plain[name].values, truth[name].values.astype(np.float64)
        for start in range(len(raw)):
            now = start + HISTORY - 1
            for lead in range(1, leads + 1):
                known = [valid for valid in range(now - STEPS_BACK + 1, now + 1) if valid - lead >= HISTORY - 1]
                missed = [seen[valid] - raw[valid - lead - HISTORY + 1, lead - 1] for valid in known]
                expected = raw[start, lead - 1] + np.sum(missed, axis=0) / (len(known) + FORECASTS_DOUBTED)
                if name == "specific_humidity":
                    expected = np.maximum(expected, 0)
                np.testing.assert_allclose(found[name].values[start, lead - 1], expected, rtol=2e-5)


def test_nothing_later_than_the_start_and_nothing_too_early_is_looked_at() -> None:
    given, model = states(20), corrected()
    start = str(given["time"].values[14])
    whole = model.forecast(given, 12, starts=[start])
    first = 14 - STEPS_BACK - 2 - HISTORY + 2
    xr.testing.assert_allclose(model.forecast(given.isel(time=slice(first, 15)), 12, starts=[start]), whole, rtol=1e-6)
    shorter = model.forecast(given.isel(time=slice(first + 2, 15)), 12, starts=[start])
    assert not np.allclose(values(shorter), values(whole), rtol=1e-6)


def test_without_earlier_states_a_forecast_is_as_it_was() -> None:
    given = states(12)
    first = [str(given["time"].values[HISTORY - 1])]
    expected = forecaster(HISTORY).forecast(given, 24, starts=first)
    xr.testing.assert_equal(corrected().forecast(given, 24, starts=first), expected)
    xr.testing.assert_equal(corrected().forecast(given.isel(time=slice(0, HISTORY)), 24), expected)


def test_a_lasting_error_goes_away() -> None:
    """Weather that stands still, and a network that adds the same every time."""
    model = corrected(1, strength=0.0)
    model.card["recent_errors"] = {"days": 30, "doubt_days": 0}
    one = states(1)
    still = xr.concat([one.assign_coords(time=one["time"] + np.timedelta64(6 * n, "h")) for n in range(9)], "time")
    truth = values(model.fields(one).dataset)[:, 0]
    raw, better = (
        np.abs(values(each.forecast(still, 6))[:, 0, 0] - truth).mean(axis=(1, 2))
        for each in (forecaster(1, strength=0.0), model)
    )
    assert (raw > 0).all() and (better < 0.4 * raw).all()


def test_damaged_earlier_states_are_left_out() -> None:
    given, model = states(16), corrected()
    damaged = given.copy(deep=True)
    damaged["2m_temperature"].values[9] = np.nan
    found, whole = model.forecast(damaged, 12), model.forecast(given, 12)
    assert np.isfinite(values(found)).all() and not np.allclose(values(found), values(whole), rtol=1e-6)
    np.testing.assert_allclose(values(found)[:2], values(whole)[:2], rtol=0.05)


def test_an_interrupted_forecast_goes_on_the_same() -> None:
    model = corrected()
    fields = model.fields(states(16))
    leads = np.arange(1, 6)
    start = model.start(fields, "all", leads)
    whole = dict(model.roll_out(start, leads))
    rest = dict(model.roll_out(start, leads, known={lead: whole[lead] for lead in (2, 3)}))
    assert list(rest) == [4, 5] and all(torch.equal(rest[lead], whole[lead]) for lead in rest)


def test_files_and_scripts_give_the_same(tmp_path: Path) -> None:
    model, given = corrected(), states(16)
    folder = model.save_pretrained(tmp_path / "model")
    given.to_netcdf(tmp_path / "now.nc")
    config = PredictConfig(
        model=str(folder), input=str(tmp_path / "now.nc"), output=str(tmp_path / "forecast.nc"), lead_hours=18,
        starts="all", device="cpu",
    )  # fmt: skip
    assert predict(config) == 0
    with xr.open_dataset(tmp_path / "forecast.nc") as written:
        expected = model.forecast(given, 18, starts="all")
        np.testing.assert_allclose(values(written.load()), values(expected), rtol=1e-5, atol=1e-6)
