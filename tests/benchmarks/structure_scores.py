"""lDDT and TM-score against biotite and tmtools: `python -m tests.benchmarks.structure_scores [pairs=1000] [rounds=3]`.

Random walks of 200 C-alpha atoms and models of them with 2 Å of noise; one thread each, in turns: processor time of the
fastest round. tmtools also searches the alignment. Peers that are not installed are left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch

from protein.metrics import lddt, tm_score

RESIDUES, NOISE_A = 200, 2.0


def structures(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Models and natives, [count, 200, 3] float32 each."""
    random = np.random.default_rng(0)
    steps = random.normal(size=(count, RESIDUES, 3))
    native = 3.8 * np.cumsum(steps / np.linalg.norm(steps, axis=-1, keepdims=True), axis=1)
    return (native + NOISE_A * random.normal(size=native.shape)).astype(np.float32), native.astype(np.float32)


def our_lddt(models: np.ndarray, natives: np.ndarray) -> None:
    lddt(torch.from_numpy(models), torch.from_numpy(natives))


def our_tm_score(models: np.ndarray, natives: np.ndarray) -> None:
    tm_score(torch.from_numpy(models), torch.from_numpy(natives))


def biotite_lddt(models: np.ndarray, natives: np.ndarray) -> None:
    import biotite.structure as structure

    atoms = structure.AtomArray(RESIDUES)
    atoms.res_id = np.arange(RESIDUES)
    for model, native in zip(models, natives, strict=True):
        one, other = atoms.copy(), atoms.copy()
        one.coord, other.coord = native, model
        structure.lddt(one, other)


def tmtools_tm_score(models: np.ndarray, natives: np.ndarray) -> None:
    from tmtools import tm_align

    sequence = "A" * RESIDUES
    for model, native in zip(models.astype(float), natives.astype(float), strict=True):
        tm_align(model, native, sequence, sequence)


SCORES: dict[str, dict[str, Callable[[np.ndarray, np.ndarray], None]]] = {
    "lDDT": {"ours": our_lddt, "biotite": biotite_lddt},
    "TM-score": {"ours": our_tm_score, "tmtools": tmtools_tm_score},
}


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=") for argument in arguments)
    torch.set_num_threads(1)
    models, natives = structures(int(given.get("pairs", 1000)))
    for score, functions in SCORES.items():
        seconds = {name: float("inf") for name in functions if name == "ours" or find_spec(name)}
        for _ in range(int(given.get("rounds", 3))):
            for name in seconds:
                started = time.process_time()
                functions[name](models, natives)
                seconds[name] = min(seconds[name], time.process_time() - started)
        for name, time_s in seconds.items():
            print(f"{score:<9} {name:<8} {time_s:8.2f} s   {time_s / seconds['ours']:6.2f} x our time")


if __name__ == "__main__":
    main(sys.argv[1:])
