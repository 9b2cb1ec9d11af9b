"""Seconds and memory of our mesh network and of a plain torch-geometric one with the same weights, in one process.

    python -m tests.benchmarks.mesh_gnn_speed [height=32] [refinements=3] [channels=128] [steps=6] [batch=4]
        [threads=1] [device=cpu] [rounds=5]

The plain one concatenates edge, sender and receiver for every edge and sample, as published codes do
(`tests/weather/models/plain_mesh_gnn.py`). Forward and backward, then forward alone without gradients. The two take
turns; ratios are medians of the ratios within a round. On a GPU peak memory is printed too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from common.training.precision import keep_freed_memory
from tests.benchmarks.turns import settings, take_turns
from tests.weather.models.plain_mesh_gnn import PlainMeshGNN
from weather.models.mesh_gnn import MeshGNN, MeshGNNConfig

CHANNELS = 20


def step(model: nn.Module, state: Tensor, gradients: bool) -> Callable[[], None]:
    def run() -> None:
        model.zero_grad()
        with torch.set_grad_enabled(gradients):
            output = model(state)
        if gradients:
            output.square().mean().backward()
        if state.is_cuda:
            torch.cuda.synchronize()

    return run


def memory(run: Callable[[], None]) -> str:
    """Peak of a run on a GPU."""
    if not torch.cuda.is_available():
        return ""
    torch.cuda.reset_peak_memory_stats()
    run()
    return f", {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB"


def main() -> None:
    chosen = settings(
        height="32", refinements="3", channels="128", steps="6", batch="4", threads="1", device="cpu", rounds="5"
    )
    torch.set_num_threads(int(chosen["threads"]))
    keep_freed_memory()
    torch.manual_seed(0)
    height = int(chosen["height"])
    latitudes, longitudes = (np.arange(height) + 0.5) * 180 / height - 90, np.arange(2 * height) * 180 / height
    config = MeshGNNConfig(
        CHANNELS, CHANNELS, tuple(latitudes), tuple(longitudes), int(chosen["refinements"]), int(chosen["channels"]),
        int(chosen["steps"]),
    )  # fmt: skip
    ours = MeshGNN(config).to(chosen["device"])
    plain = PlainMeshGNN(ours)
    state = torch.randn(int(chosen["batch"]), CHANNELS, height, 2 * height, device=chosen["device"])
    with torch.no_grad():
        expected = plain(state)
        print(f"largest relative difference {float((ours(state) - expected).abs().max() / expected.abs().max()):.1e}")
    for name, gradients in (("forward and backward", True), ("forward", False)):
        runs = [step(model, state, gradients) for model in (plain, ours)]
        turns = take_turns(runs, int(chosen["rounds"]))
        found = [f"{seconds:.3f} s{memory(run)}" for seconds, run in zip(turns.seconds, runs, strict=True)]
        print(
            f"{name:20} plain {found[0]}, ours {found[1]}: {turns.ratio[1]:.2f} x "
            f"({turns.ratio_by_processor[1]:.2f} x by processor time)",
            flush=True,
        )


if __name__ == "__main__":
    main()
