"""A converted checkpoint forecasts what the official step gives, from the same fields."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from common.app.errors import CheckpointError
from tests.weather.weights.test_graphcast import CHECKPOINT, GOLDEN, LATITUDES, LONGITUDES, dataset, group
from weather import Forecaster
from weather.weights.graphcast import load_graphcast
from weather.weights.graphcast_forecaster import STATISTICS, convert_graphcast
from weather.weights.graphcast_step import GraphCast, forcings, stack_inputs

TIMES = np.array(["2020-02-29T18", "2020-03-01T00", "2020-03-01T06"], "datetime64[ns]")
STATE = {"geopotential": (3e4, 2e3), "temperature": (270, 20), "2m_temperature": (280, 10)}


@pytest.fixture
def statistics(tmp_path: Path) -> Path:
    golden = dict(np.load(GOLDEN / "graphcast_step.npz", allow_pickle=False))
    for part, name in zip(("mean", "std", "difference_std"), STATISTICS.values(), strict=True):
        dataset(group(golden, part)).to_netcdf(tmp_path / name)
    return tmp_path


def fields() -> tuple[xr.Dataset, xr.Dataset]:
    """States at two times, and constants."""
    random, places = np.random.default_rng(1), {"latitude": LATITUDES, "longitude": LONGITUDES}
    variables = {}
    for name, (mean, std) in STATE.items():
        coords = {"time": TIMES[:2], "level": [500, 850], **places}
        if name == "2m_temperature":
            del coords["level"]
        shape = [len(axis) for axis in coords.values()]
        values = random.normal(mean, std, shape).astype(np.float32)
        units = {"units": "m2 s-2" if name == "geopotential" else "K"}
        variables[name] = xr.DataArray(values, coords, tuple(coords), attrs=units)
    shape = (len(LATITUDES), len(LONGITUDES))
    constants = xr.Dataset(
        {
            "geopotential_at_surface": (
                tuple(places),
                random.normal(3e3, 5e3, shape).astype(np.float32),
                {"units": "m2 s-2"},
            ),
            "land_sea_mask": (tuple(places), random.uniform(0, 1, shape).astype(np.float32), {"units": "1"}),
        },
        places,
    )
    return xr.Dataset(variables), constants


def test_a_forecast_is_the_official_step(statistics: Path, tmp_path: Path) -> None:
    """The step itself is checked against the official code in test_graphcast."""
    states, constants = fields()
    network, task = load_graphcast(CHECKPOINT, LATITUDES, LONGITUDES)
    step = GraphCast(network, task, *(xr.load_dataset(statistics / name) for name in STATISTICS.values()))
    known = xr.merge([states.reindex(time=TIMES), constants, forcings(TIMES, LATITUDES, LONGITUDES)])
    with torch.no_grad():
        expected = step(torch.from_numpy(stack_inputs(task, known)))[0].numpy()
    converted = convert_graphcast(CHECKPOINT, statistics, constants)
    again = Forecaster.from_pretrained(converted.save_pretrained(tmp_path / "model"), device="cpu")
    assert [channel.variable for channel in again.channels if channel.level is None] == ["2m_temperature"]
    for forecaster in (converted, again):
        found = forecaster.forecast(states, 6).isel(time=0, prediction_timedelta=0)
        for number, (name, level) in enumerate(task.output_channels()):
            if name == "total_precipitation_6hr":
                continue
            field = found[name] if level is None else found[name].sel(level=level)
            last = (states[name] if level is None else states[name].sel(level=level)).isel(time=-1)
            change = expected[number] - last.values
            assert np.abs(change).std() > 0
            assert np.abs(field.values - expected[number]).max() < 1e-4 * change.std() + 2e-7 * np.abs(expected).max()
    assert converted.forecast(states, 24).sizes["prediction_timedelta"] == 4


def test_what_is_missing_is_named(statistics: Path) -> None:
    _, constants = fields()
    (statistics / STATISTICS["change"]).unlink()
    with pytest.raises(CheckpointError, match=r"has no diffs_stddev_by_level\.nc"):
        convert_graphcast(CHECKPOINT, statistics, constants)
