"""Scores of a split are those of the published baselines, and of forecasts scored by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from common.app.cli import main
from tests.weather.small import CHANNELS, GRID, forecaster, states
from weather.baselines import Climatology, PrincipalComponents, RidgeForecast
from weather.config import FlowData, GridData
from weather.data.canonical import canonical
from weather.data.fields import Channel, Fields
from weather.data.statistics import pairs
from weather.losses import fair_crps
from weather.metrics import t_test
from weather.samples import open_source
from weather.scoring import Rival, StartScores, differences, score
from weather.simulate.flow_fields import flow_splits

COLUMNS = {
    "ps": "surface_pressure", "t2m": "2m_temperature", "u10": "10m_u_component_of_wind",
    "v10": "10m_v_component_of_wind",
}  # fmt: skip


@pytest.mark.parametrize(
    "name, dataset, usual",
    [
        ("ncep-namerica-t995", "ncep_r1_t995_namerica_6h", "season"),
        ("speedy-5p625", "sim_speedy_t31_5p625deg_6h", "season"),
        ("era5-uk-t2m", "era5_t2m_uk_hourly", "hour"),
        ("gfs-wind10m", "gfs_wind10m_global_1deg", "mean"),
    ],
)
def test_persistence_and_climatology_have_their_published_errors(
    name: str, dataset: str, usual: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That table weights by the cosine of latitude; the area of cells makes no difference that it would show.

    usual  what it calls the climate: the mean of season and hour, of the hour alone, of all training times
    """
    monkeypatch.setattr("weather.baselines.WINDOW_DAYS", 15 if usual == "season" else 366)
    published = pd.read_csv(shared_data / "weather" / "baselines_public_test.csv").query("dataset == @dataset")
    source = open_source(GridData(name=name), ("train", "test"))
    test, climate = source.splits["test"].fields, Climatology(source.splits["train"].fields)
    weights, truth = torch.as_tensor(test.grid.area_weights()), torch.from_numpy(test.read(slice(None)))
    normal = torch.from_numpy(climate.at(test.times) if usual != "mean" else climate.mean).expand_as(truth)
    labels = [channel.label for channel in test.channels]
    for lead in (-1, 6, 24):
        scored, (first, second) = StartScores(), pairs(test.times, max(lead, 0))
        scored.add((normal if lead < 0 else truth)[first, None], truth[second], normal[second], weights)
        rows = published[(published["lead_hours"] == lead) & ~published["baseline"].str.startswith("ridge")]
        for variable, expected in zip(rows["variable"], rows["rmse"], strict=True):
            found = scored.scores(1)["rmse"][labels.index(COLUMNS.get(variable, variable))]
            assert found == pytest.approx(expected, rel=1e-3), (variable, lead)


def small_fields(count: int = 12) -> Fields:
    dataset = canonical(states(count), "small")
    return Fields(dataset, tuple(Channel(name, level) for name, level in CHANNELS), "small")


def test_scores_are_those_of_forecasts_scored_by_hand() -> None:
    model, fields = forecaster(noise=3), small_fields()
    scored = score(model, fields, [1, 3], Climatology(fields), members=4, every=2, say=lambda text: None)
    given = model.forecast(states(12), 18, members=4, starts="all").isel(time=slice(0, None, 2))
    weights = GRID.area_weights()
    for lead in (1, 3):
        starts = [s for s in range(0, 12, 2) if s + lead < 12]
        forecast = given["2m_temperature"].values[: len(starts), lead - 1]
        truth = fields.read(np.array(starts) + lead)[:, 3]
        frame = scored.frame.query("lead_h == 6 * @lead and channel == '2m_temperature'").set_index("metric")["value"]
        error = forecast.mean(axis=1) - truth
        assert frame["rmse"] == pytest.approx(np.sqrt((error**2 * weights).mean()), rel=1e-5)
        assert frame["bias"] == pytest.approx((error * weights).mean(), rel=1e-3)
        spread = np.sqrt((forecast.var(axis=1, ddof=1) * weights).mean())
        assert frame["spread"] == pytest.approx(spread, rel=1e-4)
        apart = np.abs(forecast[:, :, None] - forecast[:, None]).mean(axis=(1, 2)) * 4 / 3
        crps = np.abs(forecast - truth[:, None]).mean(axis=1) - apart / 2
        assert frame["crps"] == pytest.approx((crps * weights).mean(), rel=1e-4)
        usual = Climatology(fields).at(fields.times[np.array(starts) + lead])[:, 3]
        a, b = forecast.mean(axis=1) - usual, truth - usual
        product, first, second = ((x * weights).mean(axis=(1, 2)) for x in (a * b, a**2, b**2))
        assert frame["acc"] == pytest.approx((product / np.sqrt(first * second)).mean(), rel=1e-4)  # of each map
        ranks = scored.starts["small"][lead].by_start("ranks")
        below = ((forecast < truth[:, None]).sum(axis=1) * weights).mean(axis=(1, 2))
        assert (ranks[:, 3] * np.arange(5)).sum(axis=1) == pytest.approx(below, rel=1e-6)


def test_a_system_is_tested_against_the_best_of_its_rivals() -> None:
    """Of three rivals, made from the truth, the one that is off by least; who is off by twice that errs four times."""
    model, fields = forecaster(), small_fields()
    truths = dict(zip(fields.times.tolist(), torch.from_numpy(fields.read(slice(None))), strict=True))

    def off_by(size: float) -> Rival:
        pattern = torch.where(torch.arange(16) % 2 == 0, size, -size)
        return lambda initial, lead, valid: torch.stack([truths[time] for time in valid.tolist()]) + pattern

    rivals = {"far": off_by(0.8), "near": off_by(0.2), "middle": off_by(0.4)}
    scored = score(model, fields, [1, 2], Climatology(fields), rivals=rivals, say=lambda text: None)
    found = differences(scored, "middle")
    t2m = found[found["channel"] == "2m_temperature"]
    assert len(found) == 8 and t2m["rival"].tolist() == ["near", "near"]
    assert t2m["change"].tolist() == pytest.approx([3, 3], rel=1e-3)
    assert (t2m["p_value"] < 1e-6).all() and (t2m["lower"] > 0).all()
    own = differences(scored, "small").set_index(["channel", "lead_h"])
    first, second = (scored.starts[name][2].by_start("mse")[:, 3] for name in ("small", "near"))
    expected = t_test(first, second)
    assert own.loc[("2m_temperature", 12.0), "p_value"] == pytest.approx(float(expected.p_value))


def test_no_pair_of_times_is_of_two_flows() -> None:
    data = FlowData(name="shallow-water", height=8, states=5, train_flows=1, val_flows=3, time_step_s=600)
    times = flow_splits(data, ["val"])["val"].fields.times
    assert len(times) == 15
    for lead in range(1, 24 * 40):
        assert len(pairs(times, lead)[0]) == 3 * max(0, 5 - lead)


def test_fair_crps_does_not_depend_on_the_number_of_members_in_the_mean() -> None:
    torch.manual_seed(0)
    truth = torch.randn(1, 1, 1, 20_000, 1)
    means = [float(fair_crps(torch.randn(1, 1, m, 1, 20_000, 1), truth).mean()) for m in (2, 3, 8)]
    assert means == pytest.approx([means[0]] * 3, rel=0.03)  # 1 / sqrt(pi) of two normal variables
    assert means[0] == pytest.approx(1 / np.pi**0.5, rel=0.03)


def test_ridge_regression_finds_a_linear_law() -> None:
    """States that turn in a plane of two patterns: the regression is exact, whatever the lead time."""
    random = np.random.default_rng(0)
    patterns = random.standard_normal((2, 4, 8, 16))
    angle = 0.3 * np.arange(60)
    values = 280 + np.cos(angle)[:, None, None, None] * patterns[0] + np.sin(angle)[:, None, None, None] * patterns[1]
    base = canonical(states(60), "small").drop_vars(["geopotential", "temperature", "specific_humidity"])
    dataset = base.assign(
        {"2m_temperature": (("time", "latitude", "longitude"), values[:, 0].astype(np.float32))}
    ).drop_dims("level", errors="ignore")
    fields = Fields.of(dataset, "waves")
    train, val = fields.period("2020-03-01", "2020-03-11"), fields.period("2020-03-12", "2020-03-30")
    ridge = RidgeForecast.fit(train, val, [6, 18])[18]
    given = val.read(slice(0, 5))
    error = ridge(given)[:2] - val.read(slice(3, 5))
    assert np.abs(error).max() < 0.2 * np.abs(given[:2] - given[3:5]).max()
    components = PrincipalComponents.of(given, GRID.area_weights(), 4)
    assert np.abs(components.expand(components.project(given)) - given).max() < 1e-3


def test_the_verb_writes_scores_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weather.report.DRAWN", 1)
    small = [
        "model=unet", "model.channels=4", "model.levels=2", "data=shallow-water", "data.height=16",
        "data.train_flows=2", "data.val_flows=2", "data.states=6", "trainer.epochs=1", "trainer.batch_size=4",
        "trainer.device=cpu", "trainer.threads=1",
    ]  # fmt: skip
    ensemble = ["forecast.noise=2", "rollout.members=2", "loss.name=crps", f"run_dir={tmp_path / 'run'}"]
    assert main(["weather", "train", *small, *ensemble]) == 0
    where = [f"model={tmp_path / 'run' / 'model'}", f"output={tmp_path / 'scores'}", "device=cpu"]
    assert main(["weather", "evaluate", *where, "members=3", "lead_hours=[1,3]"]) == 0
    assert "ridge regression" in capsys.readouterr().out
    frame = pd.read_csv(tmp_path / "scores" / "scores.csv")
    assert set(frame["system"]) == {"unet-shallow-water", "persistence", "climatology", "ridge regression"}
    unknown = frame[frame["value"].isna()]  # the usual has no anomaly that could correlate
    assert set(zip(unknown["system"], unknown["metric"], strict=True)) == {("climatology", "acc")}
    assert {"rmse", "crps", "spread_skill_ratio"} <= set(frame["metric"])
    report = (tmp_path / "scores" / "report.html").read_text()
    assert report.count("<svg") == 6 and "The ensemble" in report and "best baseline" in report
    with Image.open(tmp_path / "scores" / "unet-shallow-water.gif") as film:
        assert getattr(film, "n_frames", 1) == 3  # up to the furthest lead time that is scored


def test_a_users_file_is_scored_as_the_split_it_holds(shared_data: Path, tmp_path: Path) -> None:
    """References are those of what the model learned from, so nothing in the scores tells where the file came from."""
    file = shared_data / "weather" / "ncep_r1_t995_namerica_6h_test.nc"
    arguments = ["weather", "evaluate", "model=ncep-namerica-t995", "lead_hours=[6]", "every=16", "baselines=false"]
    tables = []
    for name, chosen in (("set", []), ("file", ["data=grid-files", f"path={file}"])):
        assert main([*arguments, *chosen, f"output={tmp_path / name}"]) == 0
        tables.append(pd.read_csv(tmp_path / name / "scores.csv"))
    pd.testing.assert_frame_equal(*tables)
