"""Deviations of forecasts are kept as far as they are right; steps go on from what they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from tests.weather.small import CHANNELS, GRID, STD, forecaster, states
from weather import Forecaster
from weather.data.canonical import canonical
from weather.data.climate import Climate
from weather.data.fields import Channel, Fields
from weather.shrinkage import fit_shrinkage
from weather.start import Start

KEPT = np.array([[0.9, 0.8, 0.7, 0.6], [0.5, 0.4, 0.3, 0.0]])


def fields(count: int = 12) -> Fields:
    return Fields(canonical(states(count), "small"), tuple(Channel(name, level) for name, level in CHANNELS), "small")


def climate() -> Climate:
    coefficients = torch.zeros(15, 4, *GRID.shape)
    coefficients[0] = torch.tensor([54e3, 280.0, 4e-3, 285.0])[:, None, None]
    coefficients[1] = torch.tensor([100.0, 3.0, 1e-3, 4.0])[:, None, None]
    return Climate(coefficients)


def rolled(model: Forecaster, leads: int, **known: dict[int, torch.Tensor]) -> dict[int, torch.Tensor]:
    start = model.start(fields(), "all")
    return dict(model.roll_out(start, np.arange(1, leads + 1), **known))  # pyright: ignore[reportArgumentType]


def test_deviations_are_shrunk_and_steps_are_not() -> None:
    plain, model = rolled(forecaster(), 4), forecaster()
    model.keep_shrinkage(climate(), KEPT)
    times = model.start(fields(), "all").times
    for lead, states_ in rolled(model, 4).items():
        usual = climate().at(times + lead * np.timedelta64(6, "h"))[:, None]
        kept = torch.tensor(KEPT[min(lead, 2) - 1], dtype=torch.float32)[:, None, None]
        torch.testing.assert_close(states_, usual + kept * (plain[lead] - usual), rtol=1e-6, atol=0)


def test_what_was_interrupted_goes_on_the_same() -> None:
    model = forecaster(history=2)
    model.keep_shrinkage(climate(), KEPT)
    whole = rolled(model, 5)
    rest = rolled(model, 5, known={lead: whole[lead] for lead in (2, 3)})
    assert list(rest) == [4, 5] and all(torch.equal(rest[lead], whole[lead]) for lead in rest)


def test_the_fit_is_the_regression_through_the_climate() -> None:
    """No other share has a smaller error on the same pairs, unless it lies beyond 0 or 1."""
    model, given = forecaster(), fields()
    kept = fit_shrinkage(model, given, climate(), [1, 2, 3])
    assert kept.shape == (3, 4) and (kept >= 0).all() and (kept <= 1).all() and 0 < kept[0, 0] < 1
    weights = torch.as_tensor(GRID.area_weights())

    def errors(shares: np.ndarray) -> np.ndarray:
        model.keep_shrinkage(climate(), shares)
        times, found = given.times[:-2], []
        for lead, states_ in model.roll_out(Start(times, torch.from_numpy(given.read(slice(0, -2)))[:, None]),
                                            np.arange(1, 3)):  # fmt: skip
            truth = torch.from_numpy(given.read(slice(lead, lead + len(times))))
            there = len(truth) if lead == 2 else len(times)
            found.append(((states_[:there, 0] - truth[:there]).double() ** 2 * weights).mean(dim=(0, 2, 3)))
        return torch.stack(found).numpy()

    best, inside = errors(kept[:2]), (kept[1] > 0.02) & (kept[1] < 0.98)
    assert inside.any()
    for change in (-0.02, 0.02):
        other = errors((kept[:2] + change).clip(0, 1))
        assert (other[1] > best[1])[inside].all()


def test_a_saved_forecaster_shrinks_the_same(tmp_path: Path) -> None:
    model = forecaster()
    model.keep_shrinkage(climate(), KEPT)
    again = Forecaster.from_pretrained(model.save_pretrained(tmp_path / "model"), device="cpu")
    xr.testing.assert_equal(again.forecast(states(), 30), model.forecast(states(), 30))


@pytest.mark.parametrize("history", [1, 2])
def test_a_model_of_deviations_repeats_the_climate_of_a_usual_state(history: int) -> None:
    """A network that says "no change" forecasts the climate from the climate, and keeps a deviation."""
    model = forecaster(history, deviations=True, strength=0.0)
    model.climate = climate()
    with torch.no_grad():
        for parameter in model.model.parameters():
            parameter.zero_()
    times = np.datetime64("2020-03-01", "ns") + 6 * np.arange(history).astype("timedelta64[h]")
    for share in (0.0, 0.2):
        deviation = share * torch.tensor(STD)[:, None, None]
        start = Start(times[-1:], climate().at(times)[None] + deviation)
        for lead, found in model.roll_out(start, np.arange(1, 4)):
            expected = climate().at(times[-1:] + lead * np.timedelta64(6, "h")) + deviation
            torch.testing.assert_close(found[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_all_sizes_at_once_are_each_of_them() -> None:
    """What the trainer sees in one look is what a forecaster gives, lead time by lead time."""
    model = forecaster(2, steps=(1, 2, 4), at_once=True, deviations=True)
    model.climate = climate()
    start = model.start(fields(), "all")
    given = dict(model.roll_out(start, np.arange(1, 5)))
    times = start.times[:, None] + np.array([-1, 0, 1, 2, 4]) * np.timedelta64(6, "h")
    with torch.no_grad():
        forcings = model.forcings.at(times[:, 2])[:, None]
        together = model.stepper(start.states, forcings, None, None, climate().at(times))
    for number, lead in enumerate((1, 2, 4)):
        torch.testing.assert_close(together[:, number], given[lead][:, 0], rtol=1e-5, atol=1e-5)
    assert (together[:, 1] - together[:, 0]).abs().amax() > 0.1


@pytest.mark.parametrize("history", [1, 2, 5])
def test_a_second_look_goes_on_from_what_the_first_gave(history: int) -> None:
    """Also where the history holds more or fewer states than a look gives."""
    model = forecaster(history, steps=(1, 2, 3), at_once=True, deviations=True)
    model.climate = climate()
    start = model.start(model.fields(states(8)), "all")
    given = dict(model.roll_out(start, np.arange(1, 7)))
    times = start.times[:, None] + np.arange(1 - history, 7) * np.timedelta64(6, "h")
    with torch.no_grad():
        forcings = torch.stack([model.forcings.at(times[:, history + first]) for first in (0, 3)], dim=1)
        together = model.stepper(start.states, forcings, None, None, climate().at(times))
    for number in range(6):
        torch.testing.assert_close(together[:, number], given[number + 1][:, 0], rtol=1e-5, atol=1e-5)
