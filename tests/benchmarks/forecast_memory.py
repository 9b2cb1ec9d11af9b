"""Peak memory of `trifold weather predict` over 10 days and over 100: `python -m tests.benchmarks.forecast_memory`.

    python -m tests.benchmarks.forecast_memory [height=64] [members=2] [rounds=3] [output=zarr|nc]

Each forecast runs in a process of its own, which tells its largest resident memory (getrusage); the two lengths take
turns. The network is a small U-Net whose last layer is zero, so that no number of steps leaves physical bounds; what is
written, step by step, is real. Prints the medians and their ratio. All 400 steps together would take
400 * members * 4 channels * height * 2 height * 4 bytes, printed beside it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import torch
import xarray as xr

from weather.forecaster import Forecaster
from weather.models.unet import UNet, UNetConfig

CHANNELS = {"2m_temperature": 285.0, "mean_sea_level_pressure": 101_000.0, "10m_u_component_of_wind": 2.0,
            "10m_v_component_of_wind": 1.0}  # fmt: skip
UNITS = ("K", "Pa", "m s-1", "m s-1")
CHILD = """
import resource, sys
from common.app.cli import main
status = main(["weather", "predict", *sys.argv[1:], "device=cpu"])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
sys.exit(status)
"""


def write_model(folder: Path, height: int) -> None:
    network = UNet(UNetConfig(5, 4, height, 2 * height, channels=4, levels=2, condition=2))
    with torch.no_grad():
        for parameter in list(network.parameters())[-2:]:
            parameter.zero_()
    values, latitudes = list(CHANNELS.values()), (np.arange(height) + 0.5) * 180 / height - 90
    longitudes = np.arange(2 * height) * 180 / height
    card = {
        "name": "still", "description": "nothing happens", "architecture": "unet",
        "channels": [[name, None] for name in CHANNELS], "history": 1, "step_h": 6.0, "steps": [1],
        "forcings": ["solar"], "noise": 2, "data": {},
        "grid": {"latitudes": latitudes.tolist(), "longitudes": longitudes.tolist()},
        "scales": {
            "mean": values, "std": [1.0] * 4, "tendency_std": [[1.0] * 4], "nonnegative": [False] * 4,
            "bounds": [[value - 100, value + 100] for value in values],
        },
    }  # fmt: skip
    Forecaster(network, card, "cpu").save_pretrained(folder / "model")
    places = {"time": np.array(["2020-01-01"], "datetime64[ns]"), "latitude": latitudes, "longitude": longitudes}
    fields = {
        name: (tuple(places), np.full((1, height, 2 * height), value, np.float32), {"units": unit})
        for (name, value), unit in zip(CHANNELS.items(), UNITS, strict=True)
    }
    xr.Dataset(fields, places).to_netcdf(folder / "start.nc")


def peak_mib(folder: Path, days: int, members: int, ending: str) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as out:
        arguments = [f"model={folder / 'model'}", f"input={folder / 'start.nc'}", f"output={out}/forecast.{ending}"]
        command = [sys.executable, "-c", CHILD, *arguments, f"lead_hours={24 * days}", f"members={members}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.rsplit("peak", 1)[1])


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=") for argument in arguments)
    height, members, rounds = (int(given.get(*key)) for key in (("height", 64), ("members", 2), ("rounds", 3)))
    ending = given.get("output", "zarr")
    with tempfile.TemporaryDirectory() as temporary:
        write_model(Path(temporary), height)
        peaks = {days: [] for days in (10, 100)}
        for _ in range(rounds):
            for days in peaks:
                peaks[days].append(peak_mib(Path(temporary), days, members, ending))
    short, long = (median(peaks[days]) for days in (10, 100))
    written = 400 * members * 4 * height * 2 * height * 4 / 2**20
    print(
        f"peak memory of a 100-day over that of a 10-day forecast: {long / short:.3f} ({long:.0f} and {short:.0f} MiB; "
        f"100 days are {written:.0f} MiB of fields; {ending}, {members} members, {2 * height}x{height})"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
