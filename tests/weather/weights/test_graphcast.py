"""GraphCast's official format: one step equals the official code's, and a file that does not fit is named as such.

The files are those that `make_graphcast.py` wrote with the official code, from random weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from common.app.errors import CheckpointError, DataFormatError
from weather.weights.graphcast import UNUSED, load_graphcast
from weather.weights.graphcast_step import GraphCast, forcings, stack_inputs

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKPOINT = GOLDEN / "graphcast_checkpoint.npz"
LATITUDES, LONGITUDES, LEVELS = np.linspace(-90, 90, 13), np.arange(0, 360, 15.0), [500, 850]
DIMS = {
    (): (),
    (2,): ("level",),
    (2, 3): ("batch", "time"),
    (2, 3, 24): ("batch", "time", "longitude"),
    (13, 24): ("latitude", "longitude"),
    (2, 3, 13, 24): ("batch", "time", "latitude", "longitude"),
    (2, 3, 2, 13, 24): ("batch", "time", "level", "latitude", "longitude"),
}


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(GOLDEN / "graphcast_step.npz", allow_pickle=False))


def dataset(arrays):
    return xr.Dataset({name: (DIMS[value.shape], value) for name, value in arrays.items()}, {"level": LEVELS})


def group(golden, name):
    return {key.removeprefix(f"{name}/"): value for key, value in golden.items() if key.startswith(f"{name}/")}


def inputs_of(golden):
    """State and forcings in one dataset of three times; the state is not known at the last."""
    forced = group(golden, "forcings")
    joined = {}
    for name, value in group(golden, "inputs").items():
        later = forced.get(name, np.full_like(value[:, :1], np.nan)) if value.ndim != 2 or name in forced else None
        joined[name] = value if later is None else np.concatenate([value, later], axis=1)
    return dataset(joined)


def step_of(golden):
    model, task = load_graphcast(CHECKPOINT, LATITUDES, LONGITUDES)
    return GraphCast(model, task, *(dataset(group(golden, name)) for name in ("mean", "std", "difference_std")))


def test_one_step_equals_the_official_code(golden):
    """In float32, from raw fields to raw fields: 1e-6 of the fields, 1e-4 of the change that the network predicts.

    On the prime meridian three points lie on an edge of the mesh and belong to two faces alike; which of them the
    official code takes, rounding decides. Everywhere else the graphs are the same.
    """
    step = step_of(golden)
    fields = torch.from_numpy(stack_inputs(step.task, inputs_of(golden)))
    with torch.no_grad():
        found = step(fields).numpy()
    official = group(golden, "predictions")
    expected = np.concatenate([official[name].reshape(2, -1, 13, 24) for name in sorted(official)], axis=1)
    error = np.abs(found - expected)
    change = (expected - (fields[:, step.last] * step.known).numpy()).std((0, 2, 3), keepdims=True)
    differ = (error > 1e-4 * change).any((0, 1))
    assert np.argwhere(differ).tolist() in ([], [[7, 0], [8, 0], [9, 0]])
    assert (error[:, :, ~differ].max((0, 2)) < 1e-6 * np.abs(expected).max((0, 2, 3))).all()


def test_forcings_equal_the_official_code(golden):
    times = golden["times"].astype("datetime64[s]")
    found = forcings(times, LATITUDES, LONGITUDES)
    for name in ("year_progress", "day_progress"):
        phase = 2 * np.pi * golden[name]
        assert np.abs(found[f"{name}_sin"].values - np.sin(phase)).max() < 1e-5
        assert np.abs(found[f"{name}_cos"].values - np.cos(phase)).max() < 1e-5
    # At noon of a July day on the equator, times the cosine of the declination; the hour's mean.
    noon = found["toa_incident_solar_radiation"].sel(time=times[2], latitude=0, longitude=0)
    assert float(noon) == pytest.approx(3600 * 1361 * 0.968 * np.cos(np.deg2rad(21.5)), rel=0.02)


def test_every_parameter_of_the_file_matters(golden):
    """Each array of the official file but the unread update changes the output, and is a parameter of the model."""
    model, _ = load_graphcast(CHECKPOINT, LATITUDES, LONGITUDES)
    arrays = np.load(CHECKPOINT, allow_pickle=False)
    used = [name for name in arrays.files if name.startswith("params:") and UNUSED not in name]
    assert len(used) == len(list(model.parameters()))
    step = step_of(golden)
    fields = torch.from_numpy(stack_inputs(step.task, inputs_of(golden)))
    step(fields).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in step.parameters())


def rewritten(tmp_path, **changes):
    arrays = dict(np.load(CHECKPOINT, allow_pickle=False))
    for name, value in changes.items():
        if value is None:
            del arrays[name]
        else:
            arrays[name] = value
    np.savez(tmp_path / "changed.npz", **arrays)
    return tmp_path / "changed.npz"


FIRST = "params:mesh_gnn/~_networks_builder/processor_edges_1_mesh_mlp/~/linear_0:w"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({FIRST: None}, r"no parameter 'mesh_gnn/~_networks_builder/processor_edges_1_mesh_mlp/~/linear_0:w'"),
        ({FIRST: np.zeros((8, 24), "f4")}, r"of shape \(8, 24\); expected floating-point numbers of shape \(24, 8\)"),
        ({FIRST: np.zeros((24, 8), "V2")}, r"is \|V2 of shape"),
        ({"params:mesh_gnn/more:w": np.zeros(3)}, "1 parameters .* such as 'mesh_gnn/more:w'"),
        ({"model_config:gnn_msg_steps": np.array(3)}, "no parameter .*processor_edges_2_mesh"),
        ({"model_config:gnn_msg_steps": np.array(1)}, "holds 12 parameters"),
        ({"model_config:latent_size": None}, "no model_config:latent_size"),
        ({"task_config:input_duration": None}, "expected task_config"),
    ],
)
def test_names_what_does_not_fit(tmp_path, changes, message):
    with pytest.raises(CheckpointError, match=message):
        load_graphcast(rewritten(tmp_path, **changes), LATITUDES, LONGITUDES)


def test_never_unpickles(tmp_path):
    with pytest.raises(CheckpointError, match="plain arrays"):
        load_graphcast(rewritten(tmp_path, note=np.array([{}], object)), LATITUDES, LONGITUDES)
    (tmp_path / "cut.npz").write_bytes(CHECKPOINT.read_bytes()[:30000])
    with pytest.raises(CheckpointError, match="plain arrays"):
        load_graphcast(tmp_path / "cut.npz", LATITUDES, LONGITUDES)


def test_names_the_missing_input_and_statistic(golden):
    step, inputs = step_of(golden), inputs_of(golden)
    with pytest.raises(DataFormatError, match="no 'land_sea_mask'"):
        stack_inputs(step.task, inputs.drop_vars("land_sea_mask"))
    with pytest.raises(DataFormatError, match="no 'geopotential' on 500 hPa"):
        stack_inputs(step.task, inputs.sel(level=[850]))
    with pytest.raises(DataFormatError, match="2 times"):
        stack_inputs(step.task, inputs.isel(time=slice(2)))
    statistics = [dataset(group(golden, name)) for name in ("mean", "std", "difference_std")]
    statistics[2] = statistics[2].drop_vars("temperature")
    with pytest.raises(CheckpointError, match="no single spread of 'temperature' on 500 hPa"):
        GraphCast(step.model, step.task, *statistics)
