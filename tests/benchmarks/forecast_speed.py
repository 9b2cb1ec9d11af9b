"""Training samples a second and a ten-day forecast by resolution, on the CPU or a GPU, with random weights.

    python -m tests.benchmarks.forecast_speed [device=cpu] [heights=32] [channels=32] [batch=4] [steps=20] [times=48]

`heights=32,120,720` are 5.625, 1.5 and 0.25 degrees. Random temperatures on eight levels, one chunk a time, are read
ahead from Zarr by a thread while a U-Net learns from them, as a run does; what is printed last is the share of the time
that training waited for them. The forecast has forty steps of 6 h. On a GPU peak memory is printed, too.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from common.training.precision import keep_freed_memory
from tests.benchmarks.loader_overlap import LEVELS, trained, write_fields
from tests.benchmarks.turns import settings
from weather.data.fields import Fields
from weather.data.open import open_fields
from weather.data.windows import Windows
from weather.forecaster import Forecaster
from weather.models.unet import UNet, UNetConfig

STEPS, STEP_H = 40, 6.0
MEAN, STD = 270.0, 10.0


def forecast_seconds(network: UNet, fields: Fields, device: str) -> float:
    """Of the second of two, which finds everything in place."""
    count = len(LEVELS)
    card = {
        "name": "random", "description": "random weights", "architecture": "unet", "history": 1, "step_h": STEP_H,
        "steps": [1], "forcings": [], "noise": 0, "data": {}, "channels": [list(one) for one in fields.channels],
        "grid": {"latitudes": fields.grid.latitudes.tolist(), "longitudes": fields.grid.longitudes.tolist()},
        "scales": {
            "mean": [MEAN] * count, "std": [STD] * count, "tendency_std": [[0.01] * count],
            "nonnegative": [False] * count, "bounds": [[MEAN - 100 * STD, MEAN + 100 * STD]] * count,
        },
    }  # fmt: skip
    forecaster = Forecaster(network, card, device)
    start, seconds = forecaster.start(fields), 0.0
    for _ in range(2):
        began = time.perf_counter()
        for _ in forecaster.roll_out(start, np.arange(1, STEPS + 1)):
            pass
        if forecaster.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    return seconds


def main() -> None:
    chosen = settings(device="cpu", heights="32", channels="32", batch="4", steps="20", times="48")
    device, random = torch.device(chosen["device"]), np.random.default_rng(0)
    channels, batch, steps, times = (int(chosen[name]) for name in ("channels", "batch", "steps", "times"))
    keep_freed_memory()
    for height in map(int, chosen["heights"].split(",")):
        with tempfile.TemporaryDirectory() as temporary:
            write_fields(Path(temporary) / "fields.zarr", height, times)
            fields = Fields.of(open_fields(Path(temporary) / "fields.zarr"), "random fields")
            windows = Windows.of(fields, 1, 1, STEP_H, device, memory_bytes=0)
            network = UNet(UNetConfig(len(LEVELS), len(LEVELS), height, 2 * height, channels=channels)).to(device)
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            ids = [random.choice(len(windows), batch, replace=False) for _ in range(steps + 1)]
            seconds, waited = trained(windows.batches(ids), network)
            peak = f", {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB" if device.type == "cuda" else ""
            forecast = forecast_seconds(network, fields, chosen["device"])
        print(
            f"{2 * height}x{height} ({180 / height:g} degrees), {chosen['device']}: "
            f"{steps * batch / seconds:.1f} samples/s in training{peak}, ten days in {forecast:.2f} s, "
            f"waits for data {waited / seconds:.1%} of the time",
            flush=True,
        )


if __name__ == "__main__":
    main()
