"""A mirrored world obeys the same laws: flows, winds, sunshine. Every other step is learned there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.app.composition import load_config
from common.app.errors import ConfigError
from weather.config import TrainConfig
from weather.data.fields import Channel
from weather.data.forcings import CHANNELS, Forcings
from weather.data.grid import Grid
from weather.data.mirror import Mirror
from weather.samples import open_source
from weather.simulate.initial_states import random_flows
from weather.simulate.shallow_water import FIELDS, ShallowWater, ShallowWaterConfig
from weather.study import make_task

CPU = torch.device("cpu")
GLOBE = Grid.of(np.linspace(-78.75, 78.75, 8), np.arange(16) * 22.5)


def mirror_of(names, grid=GLOBE, forcings=()):
    return Mirror(grid, [Channel(name) for name in names], Forcings(forcings, grid, 6.0), CPU)


def test_flows_on_a_turning_globe_are_flows_when_mirrored():
    solver = ShallowWater(ShallowWaterConfig(32, 64, time_step_s=300.0))
    start = random_flows(solver, 0, [0])
    grid = Grid.of(np.rad2deg(solver.latitudes.numpy()).reshape(-1), np.rad2deg(solver.longitudes.numpy()).reshape(-1))
    there = solver.spectral(mirror_of(FIELDS, grid).fields(solver.state(start)))
    hour = mirror_of(FIELDS, grid).fields(solver.state(solver.advance(start, 12)))
    assert torch.allclose(solver.state(solver.advance(there, 12)), hour, rtol=1e-9, atol=1e-12 * hour.abs().max())
    names = ["u_component_of_wind", "v_component_of_wind"]
    assert torch.allclose(solver.wind(there), mirror_of(names, grid).fields(solver.wind(start)), atol=1e-9)


def test_what_is_known_of_the_mirrored_world_is_that_of_half_a_year_later():
    names = ("solar", "year_progress", "day_progress", "position")
    known, mirror = Forcings(names, GLOBE, 6.0), mirror_of(["z500"], forcings=names)
    june, december = np.array(["2021-06-21T12"], "datetime64[s]"), np.array(["2021-12-21T12"], "datetime64[s]")
    here, later = mirror.forcings(known.at(june))[0], known.at(december)[0]
    steady = [known.channels.index(name) for name in (*CHANNELS["day_progress"], *CHANNELS["position"])]
    assert torch.allclose(here[steady], later[steady], atol=1e-6)
    year = [known.channels.index(name) for name in CHANNELS["year_progress"]]
    assert torch.allclose(here[year], later[year], atol=2 * torch.pi / 365)
    assert torch.corrcoef(torch.stack([here[0].flatten(), later[0].flatten()]))[0, 1] > 0.999


def test_persistence_is_the_same_from_either_side_of_the_mirror():
    state = torch.randn(2, 1, 2, 8, 16)
    mirror = mirror_of(["t850", "v850"])
    forecast = mirror.around(lambda start, forcings, noise, size, usual: start)
    assert torch.equal(forecast(state, torch.zeros(2, 1, 0, 8, 16), None, 0, None), state)


def test_every_other_step_learns_from_the_mirrored_world():
    words = ["data=shallow-water", "data.height=8", "data.train_flows=2", "data.val_flows=1", "data.states=6",
             "data.time_step_s=600", "model=unet", "model.channels=4", "model.levels=2"]  # fmt: skip
    losses = {}
    for mirror in ("true", "false"):
        config = load_config("weather", "train", [*words, f"mirror={mirror}"])
        assert isinstance(config, TrainConfig)
        task = make_task(config, open_source(config.data, ("train", "val")), CPU)
        batch = task.batch("train", np.arange(2))
        found = []
        for seed in range(16):
            task.begin(0.0, seed)
            found.append(task.loss(task.model, batch).sum().item())
        losses[mirror] = found
    assert len(set(losses["false"])) == 1 and len(set(losses["true"])) == 2
    assert losses["false"][0] in losses["true"] and 3 < losses["true"].count(losses["false"][0]) < 13


def test_a_region_has_no_mirror_image():
    with pytest.raises(ConfigError, match="globe"):
        mirror_of(["t995"], Grid.of(np.linspace(20, 60, 9), np.linspace(200, 300, 21)))
