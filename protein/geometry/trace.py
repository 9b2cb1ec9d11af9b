"""What a trace of C-alpha atoms tells of the atoms between them.  Shapes: ... batch, N residues."""

from __future__ import annotations

import torch
from torch import Tensor

from protein.geometry.frames import EPSILON, unit

OUTWARD_A, ACROSS_A, ALONG_A = 1.162, -0.912, 0.159
"""C-beta atoms from their C-alpha: against the sum of the directions to both neighbours, along the cross product of the
steps before and after, along the chain. Least squares over the 285,335 residues of pdb5k's all-atom training chains
whose neighbours are bonded; root mean square error 0.38 Å."""


def c_beta_of_trace(ca: Tensor, follows: Tensor) -> tuple[Tensor, Tensor]:
    """Where C-beta atoms stand [..., N, 3] in Å, and where that is known [..., N]: between two bonded neighbours.

    ca       [..., N, 3] in Å
    follows  [..., N] bool, bonded to the residue before
    """
    before, after = ca - torch.roll(ca, 1, -2), torch.roll(ca, -1, -2) - ca
    beta = (
        ca
        + OUTWARD_A * unit(before - after)
        + ACROSS_A * unit(torch.linalg.cross(before, after, dim=-1))
        + ALONG_A * unit(before + after)
    )
    next_follows = torch.roll(follows, -1, -1).clone()
    next_follows[..., -1] = False
    return beta, follows & next_follows


def c_beta_gradient(ca: Tensor, by_beta: Tensor) -> Tensor:
    """By C-alpha atoms [..., N, 3], of what has the gradient [..., N, 3] by the C-beta atoms that they place."""
    before, after = ca - torch.roll(ca, 1, -2), torch.roll(ca, -1, -2) - ca
    outward = _unit_gradient(before - after, OUTWARD_A * by_beta)
    across = _unit_gradient(torch.linalg.cross(before, after, dim=-1), ACROSS_A * by_beta)
    along = _unit_gradient(before + after, ALONG_A * by_beta)
    by_before = along + outward + torch.linalg.cross(after, across, dim=-1)
    by_after = along - outward + torch.linalg.cross(across, before, dim=-1)
    return by_beta + by_before - torch.roll(by_before, -1, -2) - by_after + torch.roll(by_after, 1, -2)


def _unit_gradient(vector: Tensor, by_unit: Tensor) -> Tensor:
    """By vectors [..., 3], of what has this gradient by their `unit`."""
    inverse = torch.rsqrt((vector * vector).sum(-1, keepdim=True) + EPSILON)
    direction = vector * inverse
    return inverse * (by_unit - direction * (direction * by_unit).sum(-1, keepdim=True))
