"""How far a model is from possible chemistry: bonds and angles between residues, clashes, distances within residues.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.9.11.
Shapes: ... batch, N residues.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.data.residues import TYPE_OF_NAME
from protein.geometry.frames import unit
from protein.geometry.ideal_geometry import (
    COS_C_N_CA,
    COS_CA_C_N,
    PEPTIDE_BOND_A,
    PEPTIDE_BOND_PROLINE_A,
)
from protein.geometry.overlaps import EPSILON, OVERLAP_A, overlaps
from protein.geometry.residue_tables import look_up
from protein.losses.averages import masked_mean

DEVIATIONS_BETWEEN = 12.0
DEVIATIONS_WITHIN = 15.0
"""Standard deviations from the textbook value that are free of charge."""


def violation_loss(atom14: Tensor, mask: Tensor, types: Tensor, follows: Tensor | None = None) -> Tensor:
    """Sum [...] of the four kinds of violation: Å, and cosines of angles.

    atom14   [..., N, 14, 3] predicted, Å
    mask     [..., N, 14] bool, atoms that exist
    types    [..., N] int64
    follows  [..., N] bool, bonded to the residue before (default: all)
    """
    by_atom = overlaps(atom14, mask, types).sum(-1).unflatten(-1, (-1, 14)) + within_by_atom(atom14, mask, types)
    atoms = mask.sum((-1, -2)).clamp_min(1)
    return peptide_loss(atom14, mask, types, follows) + by_atom.sum((-1, -2)) / atoms


def peptide_loss(atom14: Tensor, mask: Tensor, types: Tensor, follows: Tensor | None = None) -> Tensor:
    """Length and angles of peptide bonds [...] outside 12 standard deviations: sum of three means."""
    n, ca, c = (atom14[..., column, :] for column in range(3))
    before = (..., slice(None, -1), slice(None))
    after = (..., slice(1, None), slice(None))
    joined = mask[..., :-1, 1] & mask[..., :-1, 2] & mask[..., 1:, 0] & mask[..., 1:, 1]
    if follows is not None:
        joined = joined & follows[..., 1:]
    proline = types[..., 1:] == TYPE_OF_NAME["PRO"]
    mean, deviation = (
        torch.where(proline, *(length_a[i] for length_a in (PEPTIDE_BOND_PROLINE_A, PEPTIDE_BOND_A))).to(atom14.dtype)
        for i in range(2)
    )
    bond = n[after] - c[before]
    length = torch.sqrt((bond * bond).sum(-1) + EPSILON)
    along = bond / length[..., None]
    at_c = (unit(ca[before] - c[before]) * along).sum(-1)
    at_n = -(unit(ca[after] - n[after]) * along).sum(-1)
    excess = [
        _beyond(length, mean, deviation),
        _beyond(at_c, *(length.new_tensor(value) for value in COS_CA_C_N)),
        _beyond(at_n, *(length.new_tensor(value) for value in COS_C_N_CA)),
    ]
    return sum((masked_mean(one, joined, 1) for one in excess[1:]), masked_mean(excess[0], joined, 1))


def within_by_atom(atom14: Tensor, mask: Tensor, types: Tensor) -> Tensor:
    """How far [..., N, 14] in Å distances to other atoms of the residue lie outside what bonds and angles allow."""
    mean, deviation = (look_up(name, types, atom14.dtype) for name in ("distance_mean", "distance_deviation"))
    radius = look_up("radius14", types, atom14.dtype)
    fixed = mean > 0
    touching = radius[..., :, None] + radius[..., None, :] - OVERLAP_A
    lowest = torch.where(fixed, mean - DEVIATIONS_WITHIN * deviation, touching)
    highest = torch.where(fixed, mean + DEVIATIONS_WITHIN * deviation, torch.inf)
    distance = _distances(atom14)
    error = torch.relu(lowest - distance) + torch.relu(distance - highest)
    different = ~torch.eye(14, dtype=torch.bool, device=types.device)
    return (error * (mask[..., :, None] & mask[..., None, :] & different)).sum(-1)


def _beyond(value: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return torch.relu(torch.sqrt((value - mean) ** 2 + EPSILON) - DEVIATIONS_BETWEEN * deviation)


def _distances(points: Tensor) -> Tensor:
    """[..., P, P], with a finite gradient where points coincide."""
    apart = points.unsqueeze(-2) - points.unsqueeze(-3)
    return torch.sqrt((apart * apart).sum(-1) + EPSILON)
