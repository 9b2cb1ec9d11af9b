"""Crystals a second of our CGCNN and of the authors' code: same weights, batch, threads and optimiser, one process.

    python -m tests.benchmarks.cgcnn_speed official=<checkout of txie-93/cgcnn> weights=<folder> [batch=64] [threads=1]

Only the model counts on the authors' side: their inputs, Gaussian-expanded distances included, lie ready in memory.
Ours begins with packed graphs and includes making the batch. A training step is forward, squared error, backward and
SGD with momentum, as the authors train. The three take turns; the figures are medians over the rounds, and ratios are
medians of the ratios within a round, so that other work on the machine hits all alike; the ratio of processor time
hardly depends on such work. All run with `keep_freed_memory`, which our trainer and predictor set and which speeds up
the authors' code as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from common.training.precision import keep_freed_memory
from materials.data.graphs import CrystalGraphs, k_nearest_graphs
from materials.data.symmetry import collapse
from materials.models.crystal_graph import CrystalGraphBatch
from materials.task import pack
from tests.benchmarks.cgcnn_parity import CHECKPOINT, Pair, official_inputs, options, val_crystals

Run = Callable[[], torch.Tensor]


def inference(model: nn.Module, forward: Run) -> Callable[[], None]:
    def run() -> None:
        model.eval()
        with torch.inference_mode():
            forward()

    return run


def training(model: nn.Module, forward: Run, target: torch.Tensor) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def run() -> None:
        model.train()
        optimizer.zero_grad()
        nn.functional.mse_loss(forward(), target).backward()
        optimizer.step()

    return run


def our_forward(model: nn.Module, graphs: CrystalGraphs) -> Run:
    packed, ids = pack(graphs), torch.arange(len(graphs))
    return lambda: model(CrystalGraphBatch.from_rows(packed.gather(ids)))


def seconds(run: Callable[[], None]) -> tuple[float, float]:
    """By the clock, and of processor time."""
    start = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def measure(title: str, runs: dict[str, Callable[[], None]], crystals: int, rounds: int) -> None:
    for run in runs.values():
        run()
    times = np.array([[seconds(run) for run in runs.values()] for _ in range(rounds)])
    ratios = np.median(times[:, :1] / times, axis=0)
    for name, clock, ratio in zip(runs, np.median(times[..., 0], axis=0), ratios, strict=True):
        print(
            f"{title:10} {name:22}{crystals / clock:8.0f} crystals/s,  {ratio[0]:5.2f} x the authors' code"
            f"  ({ratio[1]:5.2f} x by processor time)"
        )


def main() -> None:
    chosen = options(official="", weights="", batch="64", threads="1", rounds="25")
    torch.set_num_threads(int(chosen["threads"]))
    keep_freed_memory()
    crystals = val_crystals(int(chosen["batch"]))
    full = k_nearest_graphs(crystals)
    merged = collapse(full)
    pair = Pair(chosen["official"], chosen["weights"], CHECKPOINT)
    inputs = official_inputs(full, pair.atom_init)
    ours, target = pair.ours.model.requires_grad_(True), torch.from_numpy(crystals.targets["e_form"]).float()
    forwards: dict[str, tuple[nn.Module, Run]] = {
        "authors' code": (pair.theirs, lambda: pair.theirs(*inputs)[:, 0]),
        "ours, full graphs": (ours, our_forward(ours, full)),
        "ours, distinct nodes": (ours, our_forward(ours, merged)),
    }
    sizes = f"{len(crystals)} crystals, {len(full.numbers)} atoms, {len(merged.numbers)} distinct nodes"
    print(f"{sizes}, {torch.get_num_threads()} thread(s)")
    rounds = int(chosen["rounds"])
    measure("inference", {name: inference(*pair) for name, pair in forwards.items()}, len(crystals), rounds)
    measure("training", {name: training(*pair, target) for name, pair in forwards.items()}, len(crystals), rounds)


if __name__ == "__main__":
    main()
