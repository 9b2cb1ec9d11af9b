"""`trifold weather predict`: WeatherBench 2 layout on disk, and an interrupted run ends as an uninterrupted one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from common.app.cli import main
from common.app.errors import ConfigError
from tests.weather.small import forecaster, states
from weather.config import PredictConfig
from weather.forecast_run import predict
from weather.forecast_store import ForecastStore


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(forecaster(history=2, noise=2).save_pretrained(tmp_path / "model"))


@pytest.fixture
def given(tmp_path: Path) -> str:
    states(5).to_netcdf(tmp_path / "states.nc")
    return str(tmp_path / "states.nc")


@pytest.mark.parametrize("name", ["f.zarr", "f.nc"])
def test_files_hold_what_the_forecaster_gives(model: str, given: str, tmp_path: Path, name: str) -> None:
    arguments = [f"model={model}", f"input={given}", f"output={tmp_path / name}", "lead_hours=24", "members=2"]
    assert main(["weather", "predict", *arguments, "starts=all", "batch_size=3", "device=cpu"]) == 0
    expected = forecaster(history=2, noise=2).forecast(given, 24, members=2, starts="all")
    opener = xr.open_zarr if name.endswith("zarr") else xr.open_dataset
    with opener(tmp_path / name) as found:
        assert found["temperature"].dims == ("time", "prediction_timedelta", "number", "level", "latitude", "longitude")
        xr.testing.assert_allclose(found.load(), expected, rtol=1e-5)
        assert found["prediction_timedelta"].values[0] == np.timedelta64(6, "h")
    assert not list(tmp_path.glob("*.partial"))


def test_killed_and_run_again_is_the_same_as_not_killed(
    model: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before anything is written, within a group of starts, between two, and before the last step."""

    def config(name: str) -> PredictConfig:
        return PredictConfig(
            model=model, input=given, output=str(tmp_path / name), lead_hours=24, members=2, starts="all", batch_size=4,
            device="cpu",
        )  # fmt: skip

    assert predict(config("whole.zarr")) == 0
    written, original = [], ForecastStore.write
    for stop in (0, 1, 4, 7):

        def failing(self: ForecastStore, *arguments, stop: int = stop) -> None:
            if len(written) == stop:
                raise KeyboardInterrupt
            written.append(arguments[:2])
            original(self, *arguments)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(ForecastStore, "write", failing)
            predict(config("killed.zarr"))
        assert not (tmp_path / "killed.zarr").exists()
    assert predict(config("killed.zarr")) == 0
    assert len(written) == len(set(map(str, written))) == 7  # nothing was done twice
    with xr.open_zarr(tmp_path / "killed.zarr") as found, xr.open_zarr(tmp_path / "whole.zarr") as expected:
        xr.testing.assert_identical(found.load(), expected.load())


def test_another_forecast_is_not_mixed_in(model: str, given: str, tmp_path: Path, monkeypatch) -> None:
    config = PredictConfig(model=model, input=given, output=str(tmp_path / "f.nc"), lead_hours=12, device="cpu")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ForecastStore, "finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt()))
        predict(config)
    with pytest.raises(ConfigError, match="unfinished forecast of other seed"):
        predict(config.model_copy(update={"seed": 1}))
    assert predict(config) == 0
    with pytest.raises(ConfigError, match="is there already"):
        predict(config)


def test_starts_that_cannot_be_used_are_listed(model: str, tmp_path: Path) -> None:
    bad = states(5)
    bad["2m_temperature"][2, 0, 0] = np.inf
    bad.to_netcdf(tmp_path / "bad.nc")
    base = {"model": model, "input": str(tmp_path / "bad.nc"), "lead_hours": 6, "device": "cpu"}
    assert predict(PredictConfig(**base, output=str(tmp_path / "f.nc"), starts="all")) == 0
    with xr.open_dataset(tmp_path / "f.nc") as found:
        assert found.sizes["time"] == 2
    with (tmp_path / "rejected.csv").open() as stream:
        rejected = list(csv.DictReader(stream))
    assert [row["input"] for row in rejected] == ["2020-03-01T00:00", "2020-03-01T12:00", "2020-03-01T18:00"]
    assert "is inf" in rejected[1]["reason"] and "needed are 2 times" in rejected[0]["reason"]
    assert predict(PredictConfig(**base, output=str(tmp_path / "g.nc"), starts=("2020-03-01T12",))) == 3
