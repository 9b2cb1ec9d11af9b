"""Counts the regions of protein/metrics/ramachandran.csv: `python -m tests.benchmarks.ramachandran_regions > FILE`.

Backbone torsions of the all-atom training chains of pdb5k, without chains coarser than 2.5 Å, in cells of 10 degrees
after smoothing over neighbouring cells. F: the densest cells that hold 98 % of the residues; a: the next, to 99.8 %.
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from protein.data import pdb5k
from protein.data.batches import pack, padded
from protein.data.residues import TYPE_OF_NAME
from protein.geometry.atom_layout import atom14_to_atom37
from protein.geometry.torsions import angles, torsions_of_chain
from protein.metrics.stereochemistry import CELL_DEGREES, CLASSES

COARSEST_A = 2.5
FAVOURED, ALLOWED = 0.98, 0.998
BATCH = 64


def degrees_of_training_chains() -> dict[str, np.ndarray]:
    """(phi, psi) in degrees [n, 2] by class."""
    chains = pdb5k.load("train", ["full"])
    packed = pack(chains.subset(~(chains.resolution > COARSEST_A)))
    found: dict[str, list[np.ndarray]] = {name: [] for name in CLASSES}
    for ids in torch.arange(len(packed)).split(BATCH):
        batch = padded(packed.gather(ids))
        atoms = atom14_to_atom37(batch.types, batch.atom14)
        mask = atom14_to_atom37(batch.types, batch.present[..., None])[..., 0].bool()
        torsions, defined = torsions_of_chain(batch.types, atoms, mask, batch.follows)
        known = defined[..., 1] & defined[..., 2]
        pairs, types = torch.rad2deg(angles(torsions[..., 1:3, :]))[known].numpy(), batch.types[known].numpy()
        kinds = np.where(types == TYPE_OF_NAME["GLY"], 1, np.where(types == TYPE_OF_NAME["PRO"], 2, 0))
        for number, name in enumerate(CLASSES):
            found[name].append(pairs[kinds == number])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def regions(degrees: np.ndarray) -> list[str]:
    """One line of letters for each cell of phi, over psi."""
    cells = 360 // CELL_DEGREES
    index = ((degrees + 180) // CELL_DEGREES).astype(int) % cells
    count = np.zeros((cells, cells))
    np.add.at(count, (index[:, 0], index[:, 1]), 1)
    smooth = sum(np.roll(count, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1))
    order = np.argsort(-(count + 0.1 * smooth), axis=None, kind="stable")
    held = np.cumsum(count.flat[order]) / count.sum()
    letters = np.full(cells * cells, ".")
    letters[order[held <= ALLOWED]] = "a"
    letters[order[held <= FAVOURED]] = "F"
    return ["".join(row) for row in letters.reshape(cells, cells)]


def main() -> None:
    print("class,phi_from,psi_cells")
    for name, degrees in degrees_of_training_chains().items():
        print(f"{name}: {len(degrees):,} residues", file=sys.stderr)
        for row, line in enumerate(regions(degrees)):
            print(f"{name},{row * CELL_DEGREES - 180},{line}")


if __name__ == "__main__":
    main()
