"""Passes through our networks and others', forward or also backward, on any device: time, memory, difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from common.training.precision import autocast
from tests.benchmarks.turns import take_turns
from tests.protein.allocations import Allocations

Program = Callable[[], Tensor]

OURS = "ours"


@dataclass(frozen=True)
class Pass:
    """How a network is run; precision as in trainer.precision, backward: to the gradients of all weights."""

    device: torch.device
    precision: str
    backward: bool

    def of(self, forward: Program) -> Program:
        """Run it, wait for the device, and give the output in 32 bits."""

        def run() -> Tensor:
            with torch.set_grad_enabled(self.backward), autocast(self.device, self.precision):
                found = forward()
            if self.backward:
                found.float().square().mean().backward()
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            return found.detach().float()

        return run

    def peak_mb(self, run: Program) -> float:
        """MB beyond what was there before, by the GPU's allocator; elsewhere counted tensor by tensor."""
        if self.device.type == "cuda":
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            run()
            return (torch.cuda.max_memory_allocated() - before) / 2**20
        with Allocations() as allocations:
            run()
        return allocations.peak / 2**20


def compare(label: str, forwards: Mapping[str, Program], way: Pass, rounds: int) -> None:
    """Print a line: OURS against the fastest and against the leanest of the others; who finds no memory is left out."""
    runs, first, memory = {}, {}, {}
    for name, forward in forwards.items():
        run = way.of(forward)
        try:
            run()  # gradients and workspaces stay
            first[name], memory[name], runs[name] = run(), way.peak_mb(run), run
        except torch.OutOfMemoryError:
            print(f"{label}: {name} ran out of memory", flush=True)
    turns = take_turns(list(runs.values()), rounds)
    seconds = dict(zip(runs, turns.seconds, strict=True))
    others = [name for name in runs if name != OURS]
    line = "  ".join(f"{name} {seconds[name]:.3g} s, {memory[name]:.0f} MB" for name in runs)
    if OURS in runs and others:
        places = list(runs)
        ours, fastest = places.index(OURS), places.index(min(others, key=lambda name: seconds[name]))
        ratio, by_processor = (x[ours] / x[fastest] for x in (turns.ratio, turns.ratio_by_processor))
        line += (
            f":  {ratio:.2f} x as fast ({by_processor:.2f} x by processor time),"
            f" {memory[OURS] / min(memory[name] for name in others):.2f} x the memory,"
            f" difference {float((first[others[0]] - first[OURS]).abs().max()):.1e}"
        )
    print(f"{label}:  {line}", flush=True)
