"""Seconds a sample of our shallow-water solver and of torch-harmonics', equal settings, one process.

    python -m tests.benchmarks.shallow_water_speed [batch=8] [height=64] [steps=24] [threads=1] [device=cpu] [rounds=5]

The peer takes one sample at a time, as its `PdeDataset` does; setting up the solvers does not count. Both start from
the same random flow in float32, and the largest relative difference of their results is printed. They take turns;
ratios are medians of the ratios within a round, so that other work on the machine hits both alike.
"""

from __future__ import annotations

import warnings

import torch

from common.training.precision import keep_freed_memory
from tests.benchmarks.turns import settings, take_turns
from weather.simulate.initial_states import random_flows
from weather.simulate.shallow_water import ShallowWater, ShallowWaterConfig


def main() -> None:
    chosen = settings(batch="8", height="64", steps="24", threads="1", device="cpu", rounds="5")
    torch.set_num_threads(int(chosen["threads"]))
    keep_freed_memory()
    warnings.simplefilter("ignore")
    from torch_harmonics.examples.shallow_water_equations import ShallowWaterSolver

    height, batch, steps, device = int(chosen["height"]), int(chosen["batch"]), int(chosen["steps"]), chosen["device"]
    config = ShallowWaterConfig(height, 2 * height)
    ours = ShallowWater(config, torch.float32).to(device)
    sizes = {"lmax": ours.degrees, "mmax": ours.degrees, "grid": "legendre-gauss"}
    theirs = ShallowWaterSolver(height, 2 * height, config.time_step_s, **sizes).float().to(device)
    spectral = random_flows(ours, 0, range(batch))
    start = theirs.grid2spec(ours.state(spectral).flip(-2))
    results: dict[str, torch.Tensor] = {}

    def synchronise() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    def run_ours() -> None:
        results["ours"] = ours.state(ours.advance(spectral, steps))
        synchronise()

    def run_theirs() -> None:
        last = [theirs.spec2grid(theirs.timestep(sample.clone(), steps)) for sample in start]
        results["theirs"] = torch.stack(last).flip(-2)
        synchronise()

    with torch.inference_mode():
        turns = take_turns([run_theirs, run_ours], int(chosen["rounds"]))
    difference = (results["ours"] - results["theirs"]).abs().amax((0, 2, 3)) / results["theirs"].abs().amax((0, 2, 3))
    theirs_s, ours_s = turns.seconds / batch
    print(
        f"shallow water {height} x {2 * height}, {steps} steps, batch {batch}, {device}: torch-harmonics "
        f"{theirs_s:.4f} s a sample, ours {ours_s:.4f} s: {turns.ratio[1]:.1f} x "
        f"({turns.ratio_by_processor[1]:.1f} x by processor time), largest difference {float(difference.max()):.1e}"
    )


if __name__ == "__main__":
    main()
