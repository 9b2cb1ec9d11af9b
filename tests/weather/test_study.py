"""A configuration becomes the network and the task that it says. Runs that are killed: tests/reliability."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from common.app.composition import load_config
from common.app.errors import ConfigError
from tests.weather.small import forecaster, states
from weather.config import EvaluateConfig, GridData, TrainConfig
from weather.data.forcings import Forcings
from weather.evaluation import data_of
from weather.models import MODELS
from weather.samples import Source, open_source, scales_of, windows_of
from weather.study import forecaster_of, make_task, new_network
from weather.task import Horizon

EXPERIMENTS = sorted(path.stem for path in Path(str(files("weather.conf.train"))).glob("experiment/*.yaml"))
FLOWS = ["data=shallow-water", "data.height=8", "data.train_flows=2", "data.val_flows=1", "data.states=6",
         "data.time_step_s=600"]  # fmt: skip


def config_of(*words: str) -> TrainConfig:
    config = load_config("weather", "train", words)
    assert isinstance(config, TrainConfig)
    return config


@pytest.fixture(scope="module")
def source() -> Source:
    return open_source(config_of(*FLOWS).data, ("train", "val"))


@pytest.mark.parametrize("name", list(MODELS))
def test_every_key_of_a_model_reaches_its_network(name: str, source: Source) -> None:
    ensemble = ["forecast.noise=4", "rollout.members=2", "loss.name=crps"]
    small = ["model.refinements=1"] if name == "mesh_gnn" else []
    seen = ["forecast.history=2", "forecast.forcings=[position]"]
    config = config_of(*FLOWS, f"model={name}", *seen, *ensemble, *small)
    forcings = Forcings(config.forecast.forcings, source.grid, 1.0)
    found = new_network(config, source, forcings).config
    asked = config.model.model_dump(exclude={"name"})
    assert {key: getattr(found, key) for key in asked} == asked
    assert (found.in_channels, found.out_channels, found.condition) == (2 * 3 + 3, 3, 4)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_is_a_configuration_of_its_name(experiment: str) -> None:
    assert config_of(f"experiment={experiment}").experiment == experiment


@pytest.mark.parametrize(
    "words",
    [
        ["loss.name=crps"],
        ["forecast.noise=4"],
        ["rollout.members=2", "forecast.noise=4"],
        ["forecast.steps=[1,3,2]"],
        ["forecast.steps=[2,3]"],
        ["forecast.steps=[1,2]", "forecast.history=2"],
        ["forecast.steps=[1,2,4]", "forecast.at_once=true", "rollout.targets=2"],
        ["model=none"],
        ["data=grid-files"],
        ["data=ncep-namerica-t995", "data.with_validation=true", "trainer.select=best"],
        ["forecast.recent_days=30", "forecast.shrink=true"],
        ["forecast.recent_days=30", "forecast.noise=4", "rollout.members=2", "loss.name=crps"],
    ],
)
def test_what_does_not_fit_together_is_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError):
        config_of(*words)


def test_a_last_fit_learns_from_the_validation_part_too(tmp_path: Path) -> None:
    states(24).to_netcdf(tmp_path / "states.nc")
    words = ["data=grid-files", f"data.path={tmp_path / 'states.nc'}", "data.variables=[2m_temperature]",
             "trainer.select=last", "data.splits={train:2020-03-01/2020-03-04,val:2020-03-05/2020-03-06}"]  # fmt: skip
    apart, whole = (
        open_source(config_of(*words, f"data.with_validation={choice}").data, ("train", "val"))
        for choice in ("false", "true")
    )
    times = {split: list(part.fields.times) for split, part in apart.splits.items()}
    assert (len(times["train"]), len(times["val"])) == (16, 8)
    assert list(whole.splits["train"].fields.times) == times["train"] + times["val"]
    assert list(whole.splits["val"].fields.times) == times["val"]
    length, device = 3, torch.device("cpu")
    windows = [len(windows_of(source, "train", length, device)) for source in (apart, whole)]
    assert windows == [16 - length + 1, 24 - length + 1]
    means = [scales_of(source, (1,))["mean"] for source in (apart, whole)]
    values = whole.splits["train"].fields.dataset["2m_temperature"]
    assert means[1][-1] == pytest.approx(float(values.mean()), rel=0.01) and means[0] != means[1]
    trained = forecaster()
    trained.card["recipe"] = {"data": {"name": "ncep-namerica-t995", "with_validation": True}}
    evaluated = data_of(trained, EvaluateConfig(model="small"))
    assert isinstance(evaluated, GridData) and not evaluated.with_validation, "references have to be fitted apart"


@pytest.mark.parametrize("targets, grow_until", [(1, 0.0), (4, 0.0), (4, 0.5), (3, 1.0), (8, 0.9)])
def test_the_horizon_grows_from_one_step_to_all(targets: int, grow_until: float) -> None:
    horizon = Horizon(targets, targets, grow_until)
    found = [horizon.at(progress) for progress in np.linspace(0, 1, 201)]
    assert found == sorted(found) and found[-1] == horizon.at(max(grow_until, 0.0)) == targets
    assert found[0] == (1 if grow_until else targets)
    assert set(found) == (set(range(1, targets + 1)) if grow_until else {targets})


def test_the_loss_is_that_of_the_steps_reached(source: Source) -> None:
    """A longer horizon brings in the errors of later steps, of the same roll-out, and no others."""
    config = config_of(*FLOWS, "model=unet", "model.channels=4", "model.levels=1", "rollout.targets=3",
                       "rollout.grow_until=0.6")  # fmt: skip
    task = make_task(config, source, torch.device("cpu"))
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    batch = task.batch("train", np.arange(2))

    def loss(progress: float) -> torch.Tensor:
        task.begin(progress)
        return task.loss(task.model, batch)

    forecast = task.model(batch.state[:, :1], task.forcings.at(batch.times[:, 1:].reshape(-1)).unflatten(0, (2, 3)))
    error = (forecast - batch.state[:, 1:]) / task.stepper.tendency_std[0][:, None, None]
    steps = (error.square() * task.area_weights).mean(dim=(-2, -1)).mean(dim=-1)
    assert (steps.diff(dim=1).abs() > 1e-3).all()
    for progress, count in ((0.0, 1), (0.3, 2), (0.6, 3), (1.0, 3)):
        torch.testing.assert_close(loss(progress), steps[:, :count].mean(dim=1), rtol=1e-4, atol=0)
    torch.testing.assert_close(task.metrics(task.model, batch)["loss"], steps.mean(dim=1), rtol=1e-4, atol=0)


def test_looks_in_a_row_are_scored_state_by_state(source: Source) -> None:
    """Each state of a look in units of what usually changes that far ahead."""
    config = config_of(*FLOWS, "model=unet", "model.channels=4", "model.levels=1", "forecast.steps=[1,2]",
                       "forecast.at_once=true", "rollout.targets=2")  # fmt: skip
    task = make_task(config, source, torch.device("cpu"))
    batch = task.batch("train", np.arange(2))
    forcings = task.forcings.at(batch.times[:, [1, 3]].reshape(-1)).unflatten(0, (2, 2))
    first = task.model(batch.state[:, :1], forcings[:, :1], None, None)
    second = task.model(first[:, 1:], forcings[:, 1:], None, None)
    unit = task.stepper.tendency_std[[0, 1, 0, 1], :, None, None]
    error = (torch.cat([first, second], dim=1) - batch.state[:, 1:]) / unit
    expected = (error.square() * task.area_weights).mean(dim=(1, 2, 3, 4))
    torch.testing.assert_close(task.loss(task.model, batch), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("steps", ["[1]", "[1,2]"])
def test_an_ensemble_learns_to_differ_in_all_sizes_of_a_step(steps: str, source: Source) -> None:
    ensemble = ["forecast.noise=4", "rollout.members=3", "loss.name=crps", "rollout.targets=2"]
    small = ["model=unet", "model.channels=4", "model.levels=2", "forecast.history=2", "data.states=6"]
    config = config_of(*FLOWS, *small, *ensemble, f"forecast.steps={steps}", "forecast.at_once=true")
    task = make_task(config, source, torch.device("cpu"))
    batch = task.batch("train", np.arange(2))
    before = task.loss(task.model, batch).mean()
    before.backward()
    noise = [p for name, p in task.model.named_parameters() if "modulation" in name and name.endswith("weight")]
    assert noise and all(p.grad is not None and p.grad.abs().max() > 0 for p in noise)
    optimizer = torch.optim.Adam(task.model.parameters(), 1e-2)
    for _ in range(5):
        optimizer.step()
        optimizer.zero_grad()
        task.loss(task.model, batch).mean().backward()
    assert task.loss(task.model, batch).mean() < before


def test_networks_of_several_models_start_one_in_turn(tmp_path: Path, source: Source) -> None:
    small = [*FLOWS, "model=unet", "model.channels=4", "model.levels=2", "data.states=6"]
    parts = []
    for seed, networks in ((1, 1), (2, 2)):
        config = config_of(*small, f"seed={seed}", f"model.networks={networks}")
        network = make_task(config, source, torch.device("cpu")).stepper.network
        weights = {f"network.{name}": value for name, value in network.state_dict().items()}
        forecaster_of(config, weights, source, torch.device("cpu")).save_pretrained(tmp_path / f"{seed}")
        parts.append(network)
    names = f"start_from=[{tmp_path / '1'},{tmp_path / '2'}]"
    whole = make_task(config_of(*small, "model.networks=3", names), source, torch.device("cpu")).stepper.network.eval()
    state = torch.randn(2, 3, 8, 16)
    one, two = (part.eval()(state) for part in parts)
    torch.testing.assert_close(whole(state), (one + 2 * two) / 3)
