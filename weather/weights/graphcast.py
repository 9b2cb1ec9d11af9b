"""GraphCast's published weights (google-deepmind/weathernext; Lam et al. 2022, arXiv:2212.12794) in a `MeshGNN`.

An official file is an npz archive of plain arrays: parameters under their names in haiku, and the settings of model and
task, one array a value. Nothing in it is unpickled. Statistics come in three NetCDF files beside it.

Shapes: B samples, I and O channels, H latitudes from south to north, W longitudes from 0 eastwards.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from common.app.errors import CheckpointError
from weather.models.mesh_gnn import MeshGNN, MeshGNNConfig
from weather.models.message_passing import MLP

STEP_HOURS = 6

LEVELLED = frozenset({
    "potential_vorticity", "specific_rain_water_content", "specific_snow_water_content", "geopotential", "temperature",
    "u_component_of_wind", "v_component_of_wind", "specific_humidity", "vertical_velocity", "vorticity", "divergence",
    "relative_humidity", "ozone_mass_mixing_ratio", "specific_cloud_liquid_water_content",
    "specific_cloud_ice_water_content", "fraction_of_cloud_cover",
})  # fmt: skip
"""Variables that the official code knows on pressure levels; all others have none."""

UNUSED = "mesh2grid_gnn/~_networks_builder/processor_nodes_0_mesh_nodes"
"""An update of the mesh after which nothing reads it: official files hold its weights, the model here has none."""


@dataclass(frozen=True)
class Task:
    """What goes in and comes out, by name, and when.

    inputs, targets, forcings   variables in the file's order
    levels                      hPa, of every variable on levels
    history                     times of the state that go in, 6 hours apart
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    forcings: tuple[str, ...]
    levels: tuple[int, ...]
    history: int

    def input_channels(self) -> list[tuple[str, int | None, int]]:
        """(variable, level, time) of each input channel, time in steps after the state: constants and the state 0.

        Variables in alphabetical order, then times, then levels; last the forcings of the time that is forecast.
        """
        found: list[tuple[str, int | None, int]] = []
        for name in sorted(self.inputs):
            moving = name in self.targets or name in self.forcings
            times = range(1 - self.history, 1) if moving else [0]
            found += [(name, level, time) for time in times for level in self._levels(name)]
        return found + [(name, level, 1) for name in sorted(self.forcings) for level in self._levels(name)]

    def output_channels(self) -> list[tuple[str, int | None]]:
        """(variable, level) of each output channel, alphabetical, then by level."""
        return [(name, level) for name in sorted(self.targets) for level in self._levels(name)]

    def _levels(self, name: str) -> tuple[int | None, ...]:
        return self.levels if name in LEVELLED else (None,)


def load_graphcast(path: str | Path, latitudes: np.ndarray, longitudes: np.ndarray) -> tuple[MeshGNN, Task]:
    """The model of an official file on a grid, in degrees; the file tells the one of its training by `resolution`.

    Input and output channels are in the order of the task's lists and normalised: see `GraphCast` for a whole step.
    Raises CheckpointError where the file is damaged, no GraphCast, or has other parameters than its settings call for:
    it names the first that is missing, unknown or of another shape.
    """
    arrays = _read(Path(path))
    task, settings = _task(arrays, path), _group(arrays, "model_config")
    unit = settings.get("mesh2grid_edge_normalization_factor")
    try:
        config = MeshGNNConfig(
            len(task.input_channels()), len(task.output_channels()), tuple(map(float, latitudes)),
            tuple(map(float, longitudes)), refinements=int(settings["mesh_size"]),
            channels=int(settings["latent_size"]), steps=int(settings["gnn_msg_steps"]),
            hidden_layers=int(settings["hidden_layers"]), radius=float(settings["radius_query_fraction_edge_length"]),
            mesh_to_grid_unit=None if unit is None else float(unit),
        )  # fmt: skip
    except KeyError as error:
        raise CheckpointError(f"{path} is no GraphCast checkpoint: it has no model_config:{error.args[0]}") from error
    model = MeshGNN(config)
    model.load_state_dict(_converted(_group(arrays, "params"), model, path))
    return model, task


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(
            f"{path} cannot be read as an npz archive of plain arrays ({error}); fetch it again"
        ) from error


def _group(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    prefix += ":"
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _task(arrays: Mapping[str, np.ndarray], path: str | Path) -> Task:
    settings = _group(arrays, "task_config")

    def values(name: str) -> tuple[Any, ...]:
        found = {int(key): value.item() for key, value in _group(settings, name).items()}
        return tuple(found[key] for key in sorted(found))

    names = "input_variables", "target_variables", "forcing_variables", "pressure_levels"
    inputs, targets, forcings, levels = map(values, names)
    duration = settings.get("input_duration")
    if not (inputs and targets and levels) or duration is None:
        raise CheckpointError(
            f"{path} is no GraphCast checkpoint: expected task_config with {', '.join(names)}, input_duration"
        )
    hours = pd.Timedelta(str(duration)).total_seconds() / 3600
    return Task(inputs, targets, forcings, levels, round(hours / STEP_HOURS))


def _official_names(steps: int) -> dict[str, str]:
    """Our perceptrons and theirs."""
    encoder, processor, decoder = (f"{name}_gnn/~_networks_builder" for name in ("grid2mesh", "mesh", "mesh2grid"))
    names = {
        "embed_edges.grid_to_mesh": f"{encoder}/encoder_edges_grid2mesh",
        "embed_edges.within_mesh": f"{processor}/encoder_edges_mesh",
        "embed_edges.mesh_to_grid": f"{decoder}/encoder_edges_mesh2grid",
        "embed_grid": f"{encoder}/encoder_nodes_grid_nodes",
        "embed_mesh": f"{encoder}/encoder_nodes_mesh_nodes",
        "encode.edge_mlp": f"{encoder}/processor_edges_0_grid2mesh",
        "encode.node_mlp": f"{encoder}/processor_nodes_0_mesh_nodes",
        "encode_grid": f"{encoder}/processor_nodes_0_grid_nodes",
        "decode.edge_mlp": f"{decoder}/processor_edges_0_mesh2grid",
        "decode.node_mlp": f"{decoder}/processor_nodes_0_grid_nodes",
        "read_out": f"{decoder}/decoder_nodes_grid_nodes",
    }
    for step in range(steps):
        names[f"process.{step}.edge_mlp"] = f"{processor}/processor_edges_{step}_mesh"
        names[f"process.{step}.node_mlp"] = f"{processor}/processor_nodes_{step}_mesh_nodes"
    return names


def _official_parameters(theirs: str, mlp: MLP) -> Iterator[tuple[str, str]]:
    """Names within a perceptron and in the file."""
    for number in range(len(mlp.layers)):
        yield f"layers.{number}.weight", f"{theirs}_mlp/~/linear_{number}:w"
        yield f"layers.{number}.bias", f"{theirs}_mlp/~/linear_{number}:b"
    if mlp.norm is not None:
        yield "norm.weight", f"{theirs}_layer_norm:scale"
        yield "norm.bias", f"{theirs}_layer_norm:offset"


def _converted(parameters: dict[str, np.ndarray], model: MeshGNN, path: str | Path) -> dict[str, Tensor]:
    config, state = model.config, {}
    left = {name for name in parameters if not name.startswith(UNUSED)}
    for ours, theirs in _official_names(config.steps).items():
        mlp = model.get_submodule(ours)
        assert isinstance(mlp, MLP)
        for ending, name in _official_parameters(theirs, mlp):
            if name not in parameters:
                raise CheckpointError(f"{path} has no parameter '{name}', which its model_config calls for")
            value, expected = parameters[name], tuple(mlp.get_parameter(ending).shape[::-1])
            if name.endswith("encoder_nodes_mesh_nodes_mlp/~/linear_0:w"):
                # Vertices have no fields: the official code gives them zeros in place of the grid's channels.
                expected = expected[0] + config.in_channels, expected[1]
            if value.shape != expected or value.dtype.kind != "f":
                raise CheckpointError(
                    f"{path}: parameter '{name}' is {value.dtype} of shape {value.shape}; expected floating-point "
                    f"numbers of shape {expected} by its model_config and task_config"
                )
            if ours == "embed_mesh" and ending == "layers.0.weight":
                value = value[config.in_channels :]
            state[f"{ours}.{ending}"] = torch.from_numpy(np.ascontiguousarray(value.T, dtype=np.float32))
            left.discard(name)
    if left:
        raise CheckpointError(
            f"{path} holds {len(left)} parameters that no GraphCast of its model_config has, such as '{min(left)}'"
        )
    return state
