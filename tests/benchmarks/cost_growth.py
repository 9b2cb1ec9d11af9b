"""How the cost of a prediction grows with its size: `python -m tests.benchmarks.cost_growth [domain=protein]`.

    python -m tests.benchmarks.cost_growth [domain=materials,weather,protein] [rounds=3]

Processor seconds (the least of the rounds, one thread) of one forward pass of a model of each domain: crystals of
growing cells, grids of growing resolution, chains of growing length. The exponent is the slope between two sizes in
logarithms: 1 where cost grows as the size, 2 where twice the size costs four times as much.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import numpy as np
import torch


def crystals() -> dict[int, Callable[[], object]]:
    """By atoms of a cell: mp2018-eform on a structure whose atoms are all different, so that none are merged."""
    from ase.build import bulk

    from materials import PropertyPredictor

    predictor = PropertyPredictor.from_pretrained("mp2018-eform", device="cpu")
    runs: dict[int, Callable[[], object]] = {}
    for repeat in (5, 8, 12, 18):
        atoms = bulk("NaCl", "rocksalt", a=5.64).repeat(repeat)
        atoms.rattle(0.1, seed=0)
        graphs = predictor.substance.graphs_of([atoms], predictor.card["input"])
        runs[len(atoms)] = lambda graphs=graphs: predictor.outputs(graphs)
    return runs


def grids(model: str) -> dict[int, Callable[[], object]]:
    """By points of the grid: eight channels through a U-Net or a spherical operator that resolves all degrees."""
    from weather.data.grid import Grid
    from weather.models import MODELS

    runs: dict[int, Callable[[], object]] = {}
    for height in (64, 128, 256):
        latitudes = (np.arange(height) + 0.5) * 180 / height - 90
        grid = Grid.of(latitudes, np.arange(2 * height) * 180 / height)
        kind = MODELS[model]
        values = {"in_channels": 8, "out_channels": 8, "height": height, "width": 2 * height, "channels": 16,
                  "levels": 3, "layers": 2, "latitudes": tuple(grid.latitudes.tolist()),
                  "longitudes": tuple(grid.longitudes.tolist()), "grid": grid.kind}  # fmt: skip
        known = kind.config_class.__dataclass_fields__
        network = kind(kind.config_class(**{name: value for name, value in values.items() if name in known})).eval()
        fields = torch.randn(1, 8, height, 2 * height)
        runs[2 * height * height] = lambda network=network, fields=fields: network(fields)
    return runs


def chains() -> dict[int, Callable[[], object]]:
    """By residues: the architecture of fold-small, random weights, one cycle."""
    from protein.predictor import StructurePredictor

    model = StructurePredictor.from_pretrained("fold-small", device="cpu").model.eval()
    runs: dict[int, Callable[[], object]] = {}
    for length in (128, 256, 512):
        types = torch.randint(20, (1, length), generator=torch.Generator().manual_seed(0))
        runs[length] = lambda types=types: model(types, cycles=1)
    return runs


MEASURED = {
    "materials": [("atoms of a cell, mp2018-eform", crystals)],
    "weather": [("points of a grid, U-Net", lambda: grids("unet")), ("points of a grid, SFNO", lambda: grids("sfno"))],
    "protein": [("residues, fold-small", chains)],
}


def least_seconds(run: Callable[[], object], rounds: int) -> float:
    taken = []
    with torch.inference_mode():
        run()
        for _ in range(rounds):
            started = time.process_time()
            run()
            taken.append(time.process_time() - started)
    return min(taken)


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=") for argument in arguments)
    torch.set_num_threads(1)
    for domain in given.get("domain", ",".join(MEASURED)).split(","):
        for title, runs_of in MEASURED[domain]:
            print(title)
            before: tuple[int, float] | None = None
            for size, run in runs_of().items():
                seconds = least_seconds(run, int(given.get("rounds", 3)))
                slope = "" if before is None else f"{math.log(seconds / before[1]) / math.log(size / before[0]):6.2f}"
                print(f"  {size:>7}  {1000 * seconds:>9.1f} ms  {slope}", flush=True)
                before = size, seconds


if __name__ == "__main__":
    main(sys.argv[1:])
