"""Heavy atoms of different residues that reach into each other.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.9.11. Shapes: ... batch, N residues,
P = 14 N atoms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.data.residues import COLUMN14, TYPE_OF_NAME
from protein.geometry.residue_tables import look_up

OVERLAP_A = 1.5
"""Atoms may be closer than the sum of their van der Waals radii by this much. Two C-alpha atoms then clash below 1.9 Å,
as in CASP."""

EPSILON = 1e-6
"""Å^2, added to squared distances: keeps gradients finite where atoms coincide."""


def overlaps(
    atom14: Tensor, mask: Tensor, types: Tensor, rows: slice = slice(None), overlap_a: float = OVERLAP_A
) -> Tensor:
    """How much closer than allowed the atoms of residues `rows` come to all atoms, [..., R, P] in Å; zero if not.

    atom14  [..., N, 14, 3] in Å
    mask    [..., N, 14] bool
    types   [..., N] int64

    Atoms of one residue, those of a peptide bond and two sulphurs of cysteines never overlap.
    """
    radius = look_up("radius14", types, atom14.dtype)
    apart = atom14[..., rows, :, :].flatten(-3, -2).unsqueeze(-2) - atom14.flatten(-3, -2).unsqueeze(-3)
    distance = torch.sqrt((apart * apart).sum(-1) + EPSILON)
    lowest = radius[..., rows, :].flatten(-2)[..., :, None] + radius.flatten(-2)[..., None, :] - overlap_a
    place = torch.arange(types.shape[-1] * 14, device=types.device).unflatten(0, (-1, 14))
    here, all_atoms = place[rows].flatten()[:, None], place.flatten()
    step = all_atoms // 14 - here // 14
    carbon, nitrogen = 2, 0
    peptide = (step == 1) & (here % 14 == carbon) & (all_atoms % 14 == nitrogen)
    peptide |= (step == -1) & (here % 14 == nitrogen) & (all_atoms % 14 == carbon)
    cysteine = TYPE_OF_NAME["CYS"]
    sulphur = (types == cysteine)[..., None] & (place[0] == COLUMN14[cysteine]["SG"])
    touching = sulphur[..., rows, :].flatten(-2)[..., :, None] & sulphur.flatten(-2)[..., None, :]
    present = mask[..., rows, :].flatten(-2)[..., :, None] & mask.flatten(-2)[..., None, :]
    return torch.relu(lowest - distance) * (present & (step != 0) & ~peptide & ~touching)
