"""Memory and rate of a long screening: `python -m tests.benchmarks.screening_memory [count=100000] [workers=2]`.

Structures of four ionic prototypes with random elements, cells and displacements, 2 to 40 atoms, are written as one
extended XYZ file and predicted by `trifold materials predict`. Prints the resident memory of all its processes together
(pages that they share count for each), every tenth of the way, and what is left of it when shared pages count once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

PROTOTYPES = {
    "rocksalt": ([[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0], [0.5, 0, 0.5], [0, 0, 0.5], [0, 0.5, 0.5],
                  [0.5, 0.5, 0.5]], "ABABABAB"),
    "caesium chloride": ([[0, 0, 0], [0.5, 0.5, 0.5]], "AB"),
    "perovskite": ([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], "ABXXX"),
    "fluorite": ([[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]], "AXX"),
}  # fmt: skip
CATIONS = ["Li", "Na", "K", "Mg", "Ca", "Sr", "Ba", "Al", "Ti", "Fe", "Zn", "La", "Zr", "Mn", "Cu"]
ANIONS = ["O", "S", "F", "Cl", "Br", "N"]
VOLUME_PER_ATOM_A3 = 16.0
SAMPLE_EVERY_S = 1.0


def write_structures(path: Path, count: int) -> None:
    random = np.random.default_rng(0)
    prototypes = [(np.array(sites), letters) for sites, letters in PROTOTYPES.values()]
    with path.open("w") as stream:
        for _ in range(count):
            sites, letters = prototypes[random.integers(len(prototypes))]
            elements = {letter: str(random.choice(ANIONS if letter in "X" else CATIONS)) for letter in letters}
            repeats = [int(random.integers(1, 3)) for _ in range(3)]
            cells = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), axis=-1).reshape(-1, 1, 3)
            fractional = ((sites + cells) / repeats).reshape(-1, 3)
            side = np.cbrt(VOLUME_PER_ATOM_A3 * len(sites))
            lattice = np.diag(repeats) @ (side * (np.eye(3) + random.normal(0, 0.03, (3, 3))))
            positions = fractional @ lattice + random.normal(0, 0.03, fractional.shape)
            symbols = [elements[letter] for letter in letters] * len(cells)
            header = " ".join(f"{x:.6f}" for x in lattice.ravel())
            stream.write(f'{len(symbols)}\nLattice="{header}" Properties=species:S:1:pos:R:3 pbc="T T T"\n')
            stream.writelines(f"{s} {x:.6f} {y:.6f} {z:.6f}\n" for s, (x, y, z) in zip(symbols, positions, strict=True))


def memory_mb(process: psutil.Process) -> tuple[float, float]:
    """Resident memory of a process and all it has started: summed, and with shared pages counted once."""
    resident = shared_once = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            full = one.memory_full_info()
            resident, shared_once = resident + full.rss, shared_once + getattr(full, "pss", full.rss)
        except psutil.Error:
            continue
    return resident / 2**20, shared_once / 2**20


def rows_done(folder: Path) -> int:
    try:
        state = json.loads((folder / "predictions.csv.state").read_text())
        return state["predicted"] + state["rejected"]
    except (OSError, ValueError):
        return 0


def screen(path: Path, folder: Path, count: int, workers: str) -> None:
    command = [sys.executable, "-m", "common.app.cli", "materials", "predict", "model=mp2018-eform", "device=cpu",
               f"input={path}", f"output={folder}", f"workers={workers}"]  # fmt: skip
    started, tenth, peak = time.perf_counter(), 0, (0.0, 0.0)
    child = subprocess.Popen(command)
    process = psutil.Process(child.pid)
    while child.poll() is None:
        time.sleep(SAMPLE_EVERY_S)
        now, done = memory_mb(process), rows_done(folder)
        peak = max(peak[0], now[0]), max(peak[1], now[1])
        if 10 * done // count > tenth:
            tenth = 10 * done // count
            seconds = time.perf_counter() - started
            print(f"{done:>9,} structures, {seconds:6.0f} s: {now[0]:6,.0f} MiB resident, {now[1]:6,.0f} MiB with "
                  "shared pages counted once", flush=True)  # fmt: skip
    seconds = time.perf_counter() - started
    with (folder / "predictions.csv").open() as stream:
        rows = sum(1 for _ in stream) - 1
    print(f"{rows:,} rows of {count:,} in {seconds:.0f} s, {count / seconds:,.0f} structures/s with {workers} workers; "
          f"peak {peak[0]:,.0f} MiB resident, {peak[1]:,.0f} MiB with shared pages counted once")  # fmt: skip


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=") for argument in arguments)
    count = int(given.get("count", 100_000))
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "structures.extxyz"
        write_structures(path, count)
        print(f"{count:,} structures, {path.stat().st_size / 1e6:,.0f} MB", flush=True)
        screen(path, Path(temporary) / "predictions", count, given.get("workers", "2"))


if __name__ == "__main__":
    main(sys.argv[1:])
