"""How long training waits for fields that are read from Zarr: `python -m tests.benchmarks.loader_overlap`.

    python -m tests.benchmarks.loader_overlap [height=64] [times=200] [batch=8] [steps=40] [channels=16]

Random fields of eight channels, one chunk a time, are trained on by a U-Net with its optimiser: with all fields in
memory, with reading between steps, and with reading ahead in a thread, as a run does. Prints the share of time for
which a step waited for its batch, and what a step takes against fields in memory. A store that has just been written
is in the system's file cache: what is measured is finding, decoding and stacking chunks, not a disk.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from weather.data.fields import Fields
from weather.data.open import open_fields
from weather.data.windows import WindowBatch, Windows
from weather.models.unet import UNet, UNetConfig

LEVELS = [300, 400, 500, 600, 700, 850, 925, 1000]


def write_fields(path: Path, height: int, times: int) -> None:
    random = np.random.default_rng(0)
    places = {
        "time": np.datetime64("2020-01-01", "ns") + 6 * np.arange(times).astype("timedelta64[h]"),
        "level": LEVELS,
        "latitude": (np.arange(height) + 0.5) * 180 / height - 90,
        "longitude": np.arange(2 * height) * 180 / height,
    }
    shape = [len(axis) for axis in places.values()]
    values = 270 + 10 * random.standard_normal(shape, np.float32)
    dataset = xr.Dataset({"temperature": (tuple(places), values, {"units": "K"})}, places)
    dataset.chunk(time=1).to_zarr(path, zarr_format=2)


def trained(batches: Iterator[WindowBatch], network: UNet) -> tuple[float, float]:
    """Seconds in all, and of these waiting for batches; the first batch starts the clock."""
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    next(batches)
    started, waited = time.perf_counter(), 0.0
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        waited += time.perf_counter() - asked
        if batch is None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            return time.perf_counter() - started, waited
        state = (batch.state - 270) / 10
        loss = (network(state[:, 0]) - state[:, 1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=") for argument in arguments)
    sizes = {"height": 64, "times": 200, "batch": 8, "steps": 40, "channels": 16}
    height, times, batch, steps, channels = (int(given.get(name, default)) for name, default in sizes.items())
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        write_fields(Path(temporary) / "fields.zarr", height, times)
        fields = Fields.of(open_fields(Path(temporary) / "fields.zarr"), "random fields")
        held, lazy = (Windows.of(fields, 1, 1, 6, memory_bytes=room) for room in (None, 0))
        ids = [random.choice(len(held), batch, replace=False) for _ in range(steps + 1)]
        network = UNet(UNetConfig(8, 8, height, 2 * height, channels=channels, levels=3))
        alone, _ = trained(held.batches(ids), network)
        between, waited_between = trained(map(lazy.batch, ids), network)
        ahead, waited = trained(lazy.batches(ids), network)
    print(f"a step with fields in memory: {1000 * alone / steps:.0f} ms")
    print(f"read between steps: waits {waited_between / between:.1%} of the time, {between / alone:.2f} x as long")
    print(f"read ahead by a thread: waits {waited / ahead:.1%} of the time, {ahead / alone:.2f} x as long")


if __name__ == "__main__":
    main(sys.argv[1:])
