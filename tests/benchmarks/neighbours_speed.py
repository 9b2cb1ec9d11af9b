"""Neighbour lists against the peers': `python -m tests.benchmarks.neighbours_speed [count=1000] [rounds=5]`.

The first structures of mp2018's validation split at 5 and 8 Å, every pair in both directions with distance and shift,
one thread each (OMP_NUM_THREADS=1), in turns: processor time of the fastest round. Peers that are not installed are
left out: `pip install .[peers]`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from common.training.precision import keep_freed_memory
from materials.data import mp2018
from materials.data.crystals import Crystals
from materials.data.neighbours import neighbour_list, neighbour_lists

CUTOFFS_A = (5.0, 8.0)
Structure = tuple[np.ndarray, np.ndarray]
"""Lattice [3, 3] and positions [m, 3] in Å."""


def ours_together(crystals: Crystals, structures: list[Structure], cutoff_a: float) -> int:
    return len(neighbour_lists(crystals, cutoff_a).first)


def ours_one_by_one(crystals: Crystals, structures: list[Structure], cutoff_a: float) -> int:
    return sum(len(neighbour_list(lattice, positions, cutoff_a).first) for lattice, positions in structures)


def vesin(crystals: Crystals, structures: list[Structure], cutoff_a: float) -> int:
    from vesin import NeighborList

    search = NeighborList(cutoff=cutoff_a, full_list=True, n_threads=1)
    return sum(len(search.compute(positions, lattice, True, "ijdS")[0]) for lattice, positions in structures)


def matscipy(crystals: Crystals, structures: list[Structure], cutoff_a: float) -> int:
    from matscipy.neighbours import neighbour_list as search

    return sum(
        len(search("ijdS", positions=positions, cell=lattice, pbc=np.ones(3, bool), cutoff=cutoff_a)[0])
        for lattice, positions in structures
    )


def pymatgen(crystals: Crystals, structures: list[Structure], cutoff_a: float) -> int:
    """Its own search, which also gives each atom as its own neighbour at distance 0."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    pbc = np.ones(3, np.int64)
    return sum(
        len(find_points_in_spheres(positions, positions, r=cutoff_a, pbc=pbc, lattice=lattice, tol=1e-8)[0])
        - len(positions)
        for lattice, positions in structures
    )


SEARCHES: dict[str, Callable[[Crystals, list[Structure], float], int]] = {
    "ours, all together": ours_together, "ours, one by one": ours_one_by_one,
    "vesin": vesin, "matscipy": matscipy, "pymatgen": pymatgen,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=") for argument in arguments)
    keep_freed_memory()  # as predictors do; it serves all alike
    crystals = mp2018.load("val").subset(slice(int(given.get("count", 1000))))
    positions, ends = crystals.positions, crystals.offsets
    structures = [(crystals.lattices[n].copy(), positions[ends[n] : ends[n + 1]].copy()) for n in range(len(crystals))]
    present = {name: search for name, search in SEARCHES.items() if name.startswith("ours") or find_spec(name)}
    print(f"{len(crystals):,} structures, {len(crystals.numbers):,} atoms")
    for cutoff in CUTOFFS_A:
        seconds = dict.fromkeys(present, float("inf"))
        pairs = {}
        for _ in range(int(given.get("rounds", 5))):
            for name, search in present.items():
                started = time.process_time()
                pairs[name] = search(crystals, structures, cutoff)
                seconds[name] = min(seconds[name], time.process_time() - started)
        best = min((time for name, time in seconds.items() if not name.startswith("ours")), default=float("nan"))
        for name, time_s in sorted(seconds.items(), key=lambda item: item[1]):
            print(f"{cutoff:g} Å  {name:<20} {time_s:7.3f} s  {pairs[name]:>12,} pairs  "
                  f"{best / time_s:5.2f} x the fastest peer")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
