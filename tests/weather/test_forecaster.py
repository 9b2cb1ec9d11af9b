"""What a forecast is, whatever the weights: steps add up, members are reproducible, bounds hold, inputs are checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from common.app.errors import ConfigError, DataFormatError, NumericalError
from tests.weather.small import forecaster, states
from weather import Forecaster


@pytest.mark.parametrize("history", [1, 2])
def test_a_roll_out_is_its_steps_one_after_another(history: int) -> None:
    model, given = forecaster(history), states()
    whole = model.forecast(given, lead_hours=18)
    assert whole.sizes["prediction_timedelta"] == 3 and dict(whole.sizes)["time"] == 1
    for lead in range(3):
        following = model.forecast(given, lead_hours=6)
        xr.testing.assert_equal(
            following.isel(prediction_timedelta=0, drop=True),
            whole.isel(prediction_timedelta=lead, drop=True).assign_coords(time=following.time),
        )
        new = following.isel(prediction_timedelta=0, drop=True).assign_coords(
            time=following.time + following.prediction_timedelta.values
        )
        given = xr.concat([given.sortby("latitude"), new], "time").transpose("time", "level", "latitude", "longitude")


@pytest.mark.parametrize("steps", [(1, 2, 4), (1, 4), (2, 4)])
def test_large_steps_come_first(steps: tuple[int, ...]) -> None:
    model = forecaster(steps=steps)
    for lead in range(steps[0], 25, steps[0]):
        taken, rest = [], lead
        while rest:
            taken.append(steps[model.last_size(rest)])
            rest -= taken[-1]
        assert sum(taken) == lead and taken == sorted(taken) and len(taken) <= lead // steps[-1] + len(steps) + 1
    found = model.forecast(states(), lead_hours=6.0 * 8)
    assert found.sizes["prediction_timedelta"] == 8 // steps[0]


def test_members_follow_from_seed_and_start_alone() -> None:
    model, given = forecaster(noise=5), states()
    two = model.forecast(given, 12, members=2, seed=3)
    three = model.forecast(given, 12, members=3, starts="all", seed=3, batch_size=2).isel(time=[-1])
    xr.testing.assert_allclose(two, three.isel(number=slice(2)), rtol=1e-5)
    assert float(np.abs(two.isel(number=0) - two.isel(number=1))["2m_temperature"].max()) > 0.01
    other = model.forecast(given, 12, members=2, seed=4)
    assert float(np.abs(two - other)["2m_temperature"].max()) > 0.01
    with pytest.raises(ConfigError, match="deterministic"):
        forecaster().forecast(given, 12, members=2)


def test_members_take_turns_at_several_networks() -> None:
    """A member is what its network alone would have made of it, from start to end."""
    model, given = forecaster(noise=5, networks=2), states()
    found = model.forecast(given, 18, members=3, seed=3, starts="all", batch_size=2)
    for number in range(2):
        one = forecaster(noise=5)
        one.model.networks[0].load_state_dict(model.model.networks[number].state_dict())
        alone = one.forecast(given, 18, members=3, seed=3, starts="all")
        mine = slice(number, None, 2)
        xr.testing.assert_allclose(found.isel(number=mine), alone.isel(number=mine), rtol=1e-5)


def test_what_an_ensemble_gives_in_one_look_has_one_noise() -> None:
    model = forecaster(history=2, steps=(1, 2), noise=3, at_once=True)
    start = model.start(model.fields(states()))
    found = dict(model.roll_out(start, model.leads(24), members=2, seed=1))
    past, times = start.states.repeat_interleave(2, 0), start.times
    for look in (1, 3):
        forcings = model.forcings.at(model._later(times, [look])[:, 0])[None].expand(2, -1, -1, -1, -1)
        both = model.stepper(past, forcings, model._noise(times, 2, look, seed=1), None)
        for lead, state in zip((look, look + 1), both.unbind(1), strict=True):
            torch.testing.assert_close(found[lead][0], state, rtol=1e-5, atol=1e-3)
        assert (both[0] - both[1]).abs().amax((1, 2, 3)).min() > 0.01
        past = both


@pytest.mark.parametrize(("at_once", "history", "calls"), [(True, 1, 2), (True, 3, 4), (False, 1, 2), (False, 3, 7)])
def test_lead_times_between_are_computed_only_where_needed(at_once: bool, history: int, calls: int) -> None:
    """One look gives all its lead times; a step with a history needs the states before its end."""
    model = forecaster(history, steps=(1, 2, 6), at_once=at_once)
    start = model.start(model.fields(states()))
    everything = dict(model.roll_out(start, model.leads(72)))
    seen: list[int] = []
    model.model.register_forward_hook(lambda *_: seen.append(1))
    for lead in (2, 6):
        ((found, state),) = model.roll_out(start, np.array([lead]))
        assert found == lead and torch.equal(state, everything[lead])
    assert len(seen) == 2
    seen.clear()
    ((_, state),) = model.roll_out(start, np.array([8]))
    assert torch.equal(state, everything[8]) and len(seen) == calls


def test_humidity_stays_positive_and_units_are_told() -> None:
    found = forecaster().forecast(states(), 60)
    assert float(found["specific_humidity"].min()) >= 0
    assert found["temperature"].attrs["units"] == "K" and found["temperature"].dtype == np.float32
    assert found["2m_temperature"].dims == ("time", "prediction_timedelta", "latitude", "longitude")
    assert found["temperature"].dims == ("time", "prediction_timedelta", "level", "latitude", "longitude")


def test_values_that_leave_physical_bounds_stop_the_forecast() -> None:
    with pytest.raises(NumericalError, match=r"left physical bounds after \d+ h: \w+"):
        forecaster(strength=30).forecast(states(), 600)


def test_what_does_not_fit_is_named() -> None:
    model, given = forecaster(history=2), states()
    with pytest.raises(DataFormatError, match="has no variable '2m_temperature'"):
        model.forecast(given.drop_vars("2m_temperature"), 6)
    with pytest.raises(DataFormatError, match="temperature has no level 850 hPa"):
        model.forecast(given.assign_coords(level=[500, 700, 925]), 6)
    with pytest.raises(DataFormatError, match="interpolate the file to that grid"):
        model.forecast(given.isel(latitude=slice(0, 6)), 6)
    with pytest.raises(DataFormatError, match="needs 2 times 6 h apart"):
        model.forecast(given.isel(time=[0, 2]), 6)
    with pytest.raises(ConfigError, match="no forecast can start at 2020-03-01T00:00"):
        model.forecast(given, 6, starts=["2020-03-01T00"])
    with pytest.raises(ConfigError, match="expected a multiple of 6"):
        model.forecast(given, 7)
    broken = given.copy(deep=True)
    broken["2m_temperature"][-1, 2, 3] = np.nan
    with pytest.raises(DataFormatError, match="2m_temperature at 2020-03-01T18:00 is nan"):
        model.forecast(broken, 6)


def test_a_saved_forecaster_forecasts_the_same(tmp_path: Path) -> None:
    model = forecaster(noise=3)
    again = Forecaster.from_pretrained(model.save_pretrained(tmp_path / "model"), device="cpu")
    xr.testing.assert_equal(again.forecast(states(), 12, members=2), model.forecast(states(), 12, members=2))


def test_a_turned_state_under_a_turned_sun_gives_the_turned_answer() -> None:
    """By a quarter of a turn, which the sun takes six hours for."""
    model, given = forecaster(), states(1)
    model.card["forcings"] = ["solar", "year_progress"]
    quarter = given.roll(longitude=-4, roll_coords=False)
    later = quarter.assign_coords(time=quarter.time + np.timedelta64(6, "h"))
    one, two = (model.forecast(x, 6).isel(time=0, prediction_timedelta=0) for x in (given, later))
    difference = np.abs(
        one["2m_temperature"].roll(longitude=-4, roll_coords=False).values - two["2m_temperature"].values
    )
    assert difference.max() < 0.05 and torch.isfinite(torch.tensor(difference)).all()
