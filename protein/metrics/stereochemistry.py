"""Whether a model is chemically possible: clashes, backbone torsions, chain steps and bond lengths.

Shapes: ... batch, N residues.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

import torch
from torch import Tensor

from protein.data.residues import TYPE_OF_NAME
from protein.geometry.ideal_geometry import CA_CA_A
from protein.geometry.overlaps import OVERLAP_A, overlaps
from protein.geometry.residue_tables import look_up

BLOCK_RESIDUES = 16
CELL_DEGREES = 10
CLASSES = ("general", "glycine", "proline")


class Ramachandran(NamedTuple):
    """Numbers of residues [...] whose phi and psi are known, and how many of them lie where."""

    favoured: Tensor
    allowed: Tensor
    outlier: Tensor
    known: Tensor


def clashes(atom14: Tensor, mask: Tensor, types: Tensor, overlap_a: float = OVERLAP_A) -> Tensor:
    """Pairs of heavy atoms of different residues that clash, [...] int64; see `geometry.overlaps`.

    atom14     [..., N, 14, 3] in Å
    mask       [..., N, 14] bool
    types      [..., N] int64
    overlap_a  how far van der Waals spheres may reach into each other
    """
    total = torch.zeros(types.shape[:-1], dtype=torch.int64, device=types.device)
    for start in range(0, types.shape[-1], BLOCK_RESIDUES):
        total += (overlaps(atom14, mask, types, slice(start, start + BLOCK_RESIDUES), overlap_a) > 0).sum((-1, -2))
    return total // 2


def chain_steps(ca: Tensor, mask: Tensor, follows: Tensor | None = None, tolerance_a: float = 0.1) -> Tensor:
    """Share [...] of steps between neighbours whose C-alpha atoms [..., N, 3] are 3.80 Å apart, within the tolerance.

    mask     [..., N] bool
    follows  [..., N] bool, bonded to the residue before (default: all)
    """
    step = (ca[..., 1:, :] - ca[..., :-1, :]).norm(dim=-1)
    known = mask[..., 1:] & mask[..., :-1]
    if follows is not None:
        known = known & follows[..., 1:]
    total = known.sum(-1)
    right = ((step - CA_CA_A).abs() <= tolerance_a) & known
    return right.sum(-1) / total


def bond_lengths(atom14: Tensor, mask: Tensor, types: Tensor, tolerance_a: float = 0.05) -> Tensor:
    """Share [...] of covalent bonds within residues whose length is the textbook's, within the tolerance.

    Arguments as of `clashes`.
    """
    mean = look_up("bond_mean", types, atom14.dtype)
    bonds = (mean > 0) & mask[..., :, None] & mask[..., None, :]
    right = ((torch.cdist(atom14, atom14) - mean).abs() <= tolerance_a) & bonds
    total = bonds.sum((-1, -2, -3))
    return right.sum((-1, -2, -3)) / total


def ramachandran(torsions: Tensor, defined: Tensor, types: Tensor) -> Ramachandran:
    """Residues by where phi and psi lie.

    torsions  [..., N, 7, 2] sine and cosine, as of `geometry.torsions.torsions_of_chain`
    defined   [..., N, 7] bool
    types     [..., N] int64

    Favoured regions hold 98 % of the residues of well-resolved structures, allowed ones the next 1.8 %: Lovell et al.,
    Proteins 50, 437 (2003), doi:10.1002/prot.10286, counted anew in the training chains of pdb5k.
    """
    known = defined[..., 1] & defined[..., 2]
    degrees = torch.rad2deg(torch.atan2(torsions[..., 1:3, 0], torsions[..., 1:3, 1]))
    cell = ((degrees + 180) / CELL_DEGREES).floor().long() % (360 // CELL_DEGREES)
    kind = (types == TYPE_OF_NAME["GLY"]) * 1 + (types == TYPE_OF_NAME["PRO"]) * 2
    region = _regions(types.device)[kind, cell[..., 0], cell[..., 1]]
    favoured, allowed, outlier = (((region == number) & known).sum(-1) for number in range(3))
    return Ramachandran(favoured, allowed, outlier, known.sum(-1))


@cache
def _regions(device: torch.device) -> Tensor:
    """[3 classes, phi, psi]: 0 favoured, 1 allowed, 2 outlier."""
    lines = resources.files("protein.metrics").joinpath("ramachandran.csv").read_text().splitlines()
    cells = [["F", "a", "."].index(letter) for line in lines[1:] for letter in line.split(",")[2]]
    with torch.inference_mode(False):
        return torch.tensor(cells, device=device).unflatten(0, (len(CLASSES), 360 // CELL_DEGREES, -1))
