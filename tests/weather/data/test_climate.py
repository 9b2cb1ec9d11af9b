"""A climate of few waves finds what was put in, whatever the pieces, and weather does not enter it twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from common.app.errors import ConfigError
from tests.weather.small import CHANNELS, LATITUDES, LONGITUDES, UNITS
from weather.data import climate as module
from weather.data.canonical import canonical
from weather.data.climate import Climate, Deviations
from weather.data.fields import Channel, Fields
from weather.data.forcings import TROPICAL_YEAR_DAYS

NAME, LEVEL = CHANNELS[1]


def fields_of(values: np.ndarray, hours: int) -> Fields:
    """One channel, [T, H, W]."""
    time = np.datetime64("2020-01-01", "ns") + hours * np.arange(len(values)).astype("timedelta64[h]")
    places = {"time": time, "latitude": LATITUDES, "longitude": LONGITUDES}
    field = xr.DataArray(values.astype(np.float32), places, tuple(places), attrs={"units": UNITS[NAME]})
    dataset = canonical(xr.Dataset({NAME: field.expand_dims(level=[LEVEL], axis=1)}), "here")
    return Fields(dataset, (Channel(NAME, LEVEL),), "here")


def usual(times: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Season and day, stronger here than there: the day's swing is greater in summer."""
    days = ((times - np.datetime64("2020-01-01")) / np.timedelta64(1, "D"))[:, None, None]
    year, day = 2 * np.pi * days / TROPICAL_YEAR_DAYS, 2 * np.pi * days
    return 280 - 10 * np.cos(year) * strength + (2 - np.cos(year)) * np.cos(day - strength) + 0.5 * np.cos(2 * day)


@pytest.mark.parametrize("hours", [3, 6, 12])
def test_seasons_and_days_are_found(hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 12-hourly data half of the waves of the day cannot be told apart; what is there is found all the same."""
    strength = np.random.default_rng(0).random((8, 16))
    count = 450 * 24 // hours
    empty = fields_of(np.zeros((count, 8, 16)), hours)
    truth = usual(empty.times, strength)
    monkeypatch.setattr(module, "PIECE_BYTES", 100_000)
    found = Climate.fit(fields_of(truth, hours))
    later = empty.times[:200] + np.timedelta64(600, "D")
    assert np.abs(found.at(later)[:, 0].numpy() - usual(later, strength)).max() < 2e-3
    assert found.at(later.reshape(20, 10)).shape == (20, 10, 1, 8, 16)
    assert np.abs(Deviations.from_climate(fields_of(truth, hours), found).read(slice(5, 50))).max() < 2e-3


def test_what_a_period_has_by_chance_is_left_out() -> None:
    """The climate of noise is small: it has few coefficients for many times."""
    noise = np.random.default_rng(0).standard_normal((400 * 4, 8, 16))
    found = Climate.fit(fields_of(280 + noise, 6))
    assert float((found.at(fields_of(noise, 6).times) - 280).square().mean()) < 15 / 1600 * 1.2
    assert torch.isfinite(found.coefficients).all()


def test_a_short_period_has_no_climate() -> None:
    with pytest.raises(ConfigError, match="covers 100 days"):
        Climate.fit(fields_of(np.full((401, 8, 16), 280.0), 6))
