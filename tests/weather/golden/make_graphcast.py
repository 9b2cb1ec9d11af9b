"""Makes graphcast_checkpoint.npz and graphcast_step.npz: a small GraphCast of random weights in the official format,
and one step of the official code (google-deepmind/weathernext, commit 9c034db) with it, from raw fields to raw fields.

python -m venv venv && venv/bin/pip install chex dm-haiku dm-tree jraph "xarray<=2026.2.0" trimesh rtree dinosaur-dycore
git clone https://github.com/google-deepmind/weathernext; git clone https://github.com/google-deepmind/xarray_jax
PYTHONPATH=weathernext:xarray_jax venv/bin/python tests/weather/golden/make_graphcast.py
"""

from pathlib import Path

import haiku as hk
import jax
import numpy as np
import xarray as xr
from weathernext.utils import checkpoint, data_utils, normalization, variables
from weathernext.utils.task import TaskConfig
from weathernext.weathernext1_graph import graphcast

FORCINGS = (*variables.EXTERNAL_FORCING_VARS, *variables.TIME_FORCING_VARS)
STATE = ("2m_temperature", "temperature", "geopotential")
TARGETS = (*STATE, "total_precipitation_6hr")
TASK = TaskConfig(
    input_variables=STATE + FORCINGS + variables.STATIC_VARS,
    target_variables=TARGETS,
    forcing_variables=FORCINGS,
    pressure_levels=(500, 850),
    input_duration="12h",
)
MODEL = graphcast.ModelConfig(
    resolution=15, mesh_size=2, latent_size=8, gnn_msg_steps=2, hidden_layers=1,
    radius_query_fraction_edge_length=0.6, mesh2grid_edge_normalization_factor=0.3,
)  # fmt: skip
LATITUDES, LONGITUDES = np.linspace(-90, 90, 13), np.arange(0, 360, 15)
SIZES = {"batch": 2, "level": 2, "lat": 13, "lon": 24}
SCALES = {"temperature": (270, 20), "geopotential": (3e4, 2e3), "total_precipitation_6hr": (5e-4, 2e-3)}


def field(rng: np.random.Generator, name: str, times: int) -> xr.Variable:
    """In float32, of the dimensions that official data have."""
    dims: tuple[str, ...] = ("batch", "time", "lat", "lon")
    if name in variables.STATIC_VARS:
        dims = ("lat", "lon")
    elif name.startswith("year_progress"):
        dims = ("batch", "time")
    elif name.startswith("day_progress"):
        dims = ("batch", "time", "lon")
    elif name in variables.ALL_ATMOSPHERIC_VARS:
        dims = ("batch", "time", "level", "lat", "lon")
    mean, std = scale(name)
    values = rng.normal(mean, std, [SIZES.get(dim, times) for dim in dims])
    return xr.Variable(dims, values.astype(np.float32))


def scale(name: str) -> tuple[float, float]:
    return SCALES.get(name.removeprefix("2m_"), (0.1, 0.7))


def dataset(rng: np.random.Generator, names: tuple[str, ...], hours: list[int]) -> xr.Dataset:
    coords = {"lat": LATITUDES, "lon": LONGITUDES, "level": [500, 850], "time": np.array(hours, "timedelta64[h]")}
    return xr.Dataset({name: field(rng, name, len(hours)) for name in names}, {**coords})


def statistics(rng: np.random.Generator, part: int) -> xr.Dataset:
    """Means (part 0) or deviations (part 1), a value for each level."""
    found = {}
    for name in (*TASK.input_variables, "total_precipitation_6hr"):
        levelled = name in variables.ALL_ATMOSPHERIC_VARS
        values = scale(name)[part] * rng.uniform(0.8, 1.2, 2 if levelled else ())
        found[name] = xr.Variable(("level",) if levelled else (), values.astype(np.float32))
    return xr.Dataset(found, {"level": [500, 850]})


def main() -> None:
    rng = np.random.default_rng(0)
    inputs, forcings = dataset(rng, TASK.input_variables, [-6, 0]), dataset(rng, FORCINGS, [6])
    template = dataset(rng, TARGETS, [6])
    stats = {"mean": statistics(rng, 0), "std": statistics(rng, 1)}
    stats["difference_std"] = statistics(rng, 1) * 0.1

    @hk.transform
    def step(inputs: xr.Dataset, template: xr.Dataset, forcings: xr.Dataset) -> xr.Dataset:
        predictor = graphcast.GraphCast(MODEL, TASK)
        wrapped = normalization.InputsAndResiduals(predictor, stats["std"], stats["mean"], stats["difference_std"])
        return wrapped(inputs, targets_template=template, forcings=forcings)

    parameters = step.init(jax.random.PRNGKey(0), inputs, template, forcings)
    # Biases, scales and offsets start at zero and one; random ones tell more.
    parameters = {
        module: {
            name: value if name == "w" else value + rng.normal(0, 0.3, value.shape).astype(np.float32)
            for name, value in entries.items()
        }
        for module, entries in parameters.items()
    }
    predictions = step.apply(parameters, None, inputs, template, forcings)
    folder = Path(__file__).parent
    saved = graphcast.CheckPoint(
        params=jax.tree.map(np.asarray, parameters), model_config=MODEL, task_config=TASK,
        description="random weights", license="none",
    )  # fmt: skip
    with open(folder / "graphcast_checkpoint.npz", "wb") as file:
        checkpoint.dump(file, saved)
    groups = {"inputs": inputs, "forcings": forcings, "predictions": predictions, **stats}
    arrays = {f"{group}/{name}": np.asarray(v.data) for group, fields in groups.items() for name, v in fields.items()}
    seconds = np.array(["1990-03-01T06", "2016-12-31T18", "2023-07-15T12"], "datetime64[s]").astype(np.int64)
    arrays["times"] = seconds
    arrays["year_progress"] = data_utils.get_year_progress(seconds)
    arrays["day_progress"] = data_utils.get_day_progress(seconds, LONGITUDES)
    np.savez_compressed(folder / "graphcast_step.npz", **arrays)


if __name__ == "__main__":
    main()
