"""How long the graphs of MP-2018 take: `python -m tests.benchmarks.graphs_speed [workers=2]`.

12 nearest neighbours within 8 Å of all training structures, equivalent atoms merged; then the same from the cache.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from common.data.cache import cached_arrays
from materials.data import mp2018
from materials.data.crystals import Crystals
from materials.data.graphs import CrystalGraphs, k_nearest_graphs
from materials.data.symmetry import TOLERANCE_A, equivalent_nodes

T = TypeVar("T")

NEIGHBOURS = 12
CUTOFF_A = 8.0


def main(arguments: list[str]) -> None:
    workers = int(arguments[0].removeprefix("workers=")) if arguments else 2
    crystals, seconds, _ = _timed(lambda: mp2018.load("train"))
    print(f"read {len(crystals):,} structures, {len(crystals.numbers):,} atoms: {seconds:.1f} s")

    import vesin  # noqa: F401  its import of torch is not what is measured

    graphs, seconds, cpu = _timed(lambda: k_nearest_graphs(crystals, NEIGHBOURS, CUTOFF_A, TOLERANCE_A, workers))
    print(
        f"{NEIGHBOURS} nearest within {CUTOFF_A:g} Å and merging, {workers} workers: {seconds:.1f} s "
        f"({cpu:.1f} s of CPU time), {len(crystals) / seconds:,.0f} structures/s"
    )
    print(f"nodes: {len(crystals.numbers):,} before, {len(graphs.numbers):,} after merging equivalent atoms")
    deviation = _deviation_a(crystals.subset(slice(5000)))
    print(f"largest difference of a distance between merged atoms, first 5,000 structures: {deviation:.1e} Å")
    _report_cache(graphs)


def _deviation_a(crystals: Crystals) -> float:
    """Over the sorted distances of all atoms of the structures, in Å."""
    graphs = k_nearest_graphs(crystals, NEIGHBOURS, CUTOFF_A)
    distances, node = np.sort(graphs.distances, axis=1), equivalent_nodes(graphs)
    order = np.argsort(node, kind="stable")
    starts = np.flatnonzero(np.diff(node[order], prepend=-1))
    ends = (extreme.reduceat(distances[order], starts) for extreme in (np.minimum, np.maximum))
    low, high = (np.where(np.isfinite(end), end, 0.0) for end in ends)
    return float((high - low).max())


def _report_cache(graphs: CrystalGraphs) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRIFOLD_CACHE"] = folder
        _, written, _ = _timed(lambda: cached_arrays("graphs-speed", {}, "1", graphs.to_arrays))
        _, opened, _ = _timed(lambda: cached_arrays("graphs-speed", {}, "1", graphs.to_arrays))
    size = sum(array.nbytes for array in graphs.to_arrays().values()) / 1e6
    print(f"cache of {size:.0f} MB: written in {written:.2f} s, opened and verified in {opened:.2f} s")


def _timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """Result, wall seconds, CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main(sys.argv[1:])
