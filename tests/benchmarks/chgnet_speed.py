"""CHGNet 0.3.0, energy, forces, stress and moments: structures a second of CPU time, ours and the chgnet package's.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.chgnet_speed [structures] [repeats]

Both get the same ase.Atoms, build their own graphs and use one thread; the peer in its batches of 16. Without the
chgnet package only ours is measured. Structures: random crystals of MP-2018 validation of at most 20 atoms.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from common.data.datasets import fetch
from materials.data.crystals import Crystals
from materials.data.datasets import DATASETS
from materials.potential import Potential

VALIDATION = "materials/mp2018_val.npz"


def structures(count: int) -> list[Atoms]:
    path: Path = fetch(DATASETS["mp2018"], [VALIDATION])[VALIDATION]
    crystals = Crystals.from_npz(path)
    chosen = np.random.default_rng(1).permutation(np.flatnonzero(crystals.n_atoms <= 20))[:count]
    return [crystals.atoms(int(index)) for index in chosen]


def rate(run: Callable[[list[Atoms]], object], atoms: list[Atoms], repeats: int) -> float:
    """The best of several runs: others on the machine only ever slow one down."""
    run(atoms[:16])
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run(atoms)
        times.append(time.process_time() - start)
    return len(atoms) / min(times)


def peer() -> Callable[[list[Atoms]], object] | None:
    try:
        from chgnet.model.model import CHGNet
        from pymatgen.io.ase import AseAtomsAdaptor
    except ImportError:
        return None
    model = CHGNet.load(model_name="0.3.0", use_device="cpu", verbose=False)
    return lambda atoms: model.predict_structure([AseAtomsAdaptor.get_structure(one) for one in atoms], task="efsm")


def main(count: int = 100, repeats: int = 3) -> None:
    torch.set_num_threads(1)
    atoms = structures(count)
    potential = Potential.from_pretrained("chgnet-0.3.0", device="cpu")
    ours = rate(lambda batch: list(potential.evaluate(batch)), atoms, repeats)
    print(f"trifold  {ours:7.1f} structures/s of CPU time")
    if other := peer():
        theirs = rate(other, atoms, repeats)
        print(f"chgnet   {theirs:7.1f} structures/s of CPU time   trifold is {ours / theirs:.1f} times as fast")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
