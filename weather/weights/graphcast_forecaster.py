"""GraphCast's published weights as a `Forecaster`: states in, forecasts in steps of 6 hours out.

    forecaster = convert_graphcast("GraphCast_small.npz", "stats/", constants)      # stats/: the three NetCDF files
    forecaster.save_pretrained("graphcast-small")
    forecaster.forecast("two_states.nc", lead_hours=240)

The network stays as it is. What the official code does to its inputs before, and in another order, is linear, and goes
into the first layer: inputs here are normalised states and this package's forcings.

I, J official and own input channels, C channels of the state, K states of history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from common.app.errors import CheckpointError
from weather.data.canonical import canonical, grid_of
from weather.data.fields import Channel
from weather.data.forcings import CONSTANTS, TROPICAL_YEAR_DAYS, Forcings
from weather.data.grid import Grid
from weather.data.solar import J2000, SOLAR_CONSTANT
from weather.forecaster import Forecaster
from weather.models.mesh_gnn import MeshGNN
from weather.stepper import PAST
from weather.weights.graphcast import STEP_HOURS, Task, load_graphcast
from weather.weights.graphcast_step import statistic

STATISTICS = {"mean": "mean_by_level.nc", "std": "stddev_by_level.nc", "change": "diffs_stddev_by_level.nc"}
"""Names of the official files."""

FORCINGS = ("solar_hour", "year_progress", "day_progress", "orography", "land_sea_mask")

SEEN = 10.0
"""Standard deviations around the mean that stand for the range seen in training, which no file tells."""


def convert_graphcast(
    checkpoint: str | Path, statistics: str | Path, constants: xr.Dataset, device: str = "cpu"
) -> Forecaster:
    """A forecaster with the weights of an official checkpoint, on the grid of `constants`.

    statistics  folder of the official files mean_by_level.nc, stddev_by_level.nc and diffs_stddev_by_level.nc
    constants   geopotential_at_surface and land_sea_mask on the grid of the weights

    What is forecast but no input, such as the precipitation of the operational weights, is left out.
    Raises CheckpointError where the files do not fit each other or want an input that is not known here.
    """
    constants = canonical(constants, "constants", list(CONSTANTS.values()))
    grid = grid_of(constants, "constants")
    network, task = load_graphcast(checkpoint, grid.latitudes, grid.longitudes)
    known = _statistics(Path(statistics))
    inputs = {(name, level) for name, level, time in task.input_channels() if time == 0}
    outputs = [number for number, channel in enumerate(task.output_channels()) if channel in inputs]
    channels = [Channel(*task.output_channels()[number]) for number in outputs]
    offsets = tuple(range(-task.history, 1))
    forcings = Forcings(FORCINGS, grid, STEP_HOURS, constants, offsets=offsets)
    matrix, shift = _own_inputs(task, channels, forcings, known, constants, checkpoint)
    card = _card(Path(checkpoint), task, channels, grid, known, offsets)
    forecaster = Forecaster(_with_inputs(network, matrix, shift, outputs), card, device)
    forecaster.keep_constants(constants)
    return forecaster


def _statistics(folder: Path) -> dict[str, xr.Dataset]:
    found = {}
    for part, name in STATISTICS.items():
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder} has no {name}; expected the official {', '.join(STATISTICS.values())}")
        found[part] = xr.load_dataset(folder / name)
    return found


def _own_inputs(
    task: Task, channels: Sequence[Channel], forcings: Forcings, known: Mapping[str, xr.Dataset],
    constants: xr.Dataset, checkpoint: str | Path,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Official normalised inputs from own ones: matrix [I, J] and shift [I].

    Own ones are the last state and what changed until each time but the first (`weather.stepper`).
    """
    changes = [(*channel, time) for time in range(2 - task.history, 1) for channel in channels]
    places: dict[Any, int] = {key: n for n, key in enumerate([*channels, *changes, *forcings.channels])}
    wanted = task.input_channels()
    matrix, shift = np.zeros((len(wanted), len(places))), np.zeros(len(wanted))
    for row, (name, level, time) in enumerate(wanted):
        std = statistic(known["std"], name, level, "spread")
        if (name, level) in channels:
            matrix[row, places[name, level]] = 1
            for later in range(time + 1, 1):
                matrix[row, places[name, level, later]] = -statistic(known["change"], name, level, "spread") / std
            continue
        terms, start = _in_own_forcings(name, time - 1, constants)
        if not terms:
            raise CheckpointError(f"{checkpoint} wants the input '{name}', which no forcing here gives")
        for forcing, factor in terms.items():
            matrix[row, places[forcing]] = factor / std
        shift[row] = (start - statistic(known["mean"], name, level, "mean")) / std
    return matrix, shift


def _in_own_forcings(name: str, offset: int, constants: xr.Dataset) -> tuple[dict[str, float], float]:
    """An official forcing as a linear function of own channels: factors and what is added; none of an unknown one."""
    # Years begin in 1970 there and in 2000 here, by that many turns.
    angle = 2 * np.pi * ((J2000 - np.datetime64(0, "ns")) / np.timedelta64(1, "D")) / TROPICAL_YEAR_DAYS
    sine, cosine = (Forcings.label(f"year_progress_{part}", offset) for part in ("sin", "cos"))
    surface = constants[CONSTANTS["orography"]].values.astype(np.float32).astype(np.float64)
    recipes: dict[str, tuple[dict[str, float], float]] = {
        "toa_incident_solar_radiation": ({Forcings.label("solar_hour", offset): SOLAR_CONSTANT * 3600}, 0.0),
        "year_progress_sin": ({sine: np.cos(angle), cosine: np.sin(angle)}, 0.0),
        "year_progress_cos": ({cosine: np.cos(angle), sine: -np.sin(angle)}, 0.0),
        "day_progress_sin": ({Forcings.label("day_progress_sin", offset): 1.0}, 0.0),
        "day_progress_cos": ({Forcings.label("day_progress_cos", offset): 1.0}, 0.0),
        "geopotential_at_surface": ({"orography": float(surface.std())}, float(surface.mean())),
        "land_sea_mask": ({"land_sea_mask": 1.0}, 0.0),
    }
    return recipes.get(name, ({}, 0.0))


@torch.no_grad()
def _with_inputs(network: MeshGNN, matrix: np.ndarray, shift: np.ndarray, outputs: Sequence[int]) -> MeshGNN:
    """The network of own inputs [J], with some of its outputs."""
    own = MeshGNN(replace(network.config, in_channels=matrix.shape[1], out_channels=len(outputs)))
    state = network.state_dict()
    weight = state["embed_grid.layers.0.weight"].double()
    fields, places = weight[:, : len(matrix)], weight[:, len(matrix) :]
    bias = state["embed_grid.layers.0.bias"].double() + fields @ torch.from_numpy(shift)
    state["embed_grid.layers.0.weight"] = torch.cat([fields @ torch.from_numpy(matrix), places], dim=1).float()
    state["embed_grid.layers.0.bias"] = bias.float()
    last = f"read_out.layers.{len(network.read_out.layers) - 1}"
    for part in ("weight", "bias"):
        state[f"{last}.{part}"] = state[f"{last}.{part}"][list(outputs)]
    own.load_state_dict(state)
    return own


def _card(
    checkpoint: Path, task: Task, channels: Sequence[Channel], grid: Grid, known: Mapping[str, xr.Dataset],
    offsets: Sequence[int],
) -> dict[str, Any]:  # fmt: skip
    mean = [statistic(known["mean"], *channel, "mean") for channel in channels]
    std, change = ([statistic(known[part], *channel, "spread") for channel in channels] for part in ("std", "change"))
    return {
        "name": checkpoint.stem.replace(" ", "_"),
        "description": f"GraphCast's published weights, {len(channels)} channels, steps of {STEP_HOURS} h",
        "architecture": "mesh_gnn",
        "grid": {"latitudes": grid.latitudes.tolist(), "longitudes": grid.longitudes.tolist()},
        "channels": [list(channel) for channel in channels],
        "history": task.history,
        "past": PAST,
        "step_h": float(STEP_HOURS),
        "steps": [1],
        "forcings": list(FORCINGS),
        "forcing_offsets": list(offsets),
        "noise": 0,
        "scales": {
            "mean": mean, "std": std, "tendency_std": [change], "nonnegative": [False] * len(channels),
            "bounds": [[m - SEEN * s, m + SEEN * s] for m, s in zip(mean, std, strict=True)],
        },
        "data": {"name": "era5-1440x721", "title": "ERA5", "citation": "Lam et al. 2023, doi:10.1126/science.adi2336"},
        "licence": "CC BY 4.0 (weights: Google DeepMind)",
        "recipe": {"data": {"name": "era5-1440x721"}},
    }  # fmt: skip
