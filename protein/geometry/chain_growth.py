"""Atoms one after another from bond lengths, angles and torsions.

Parsons et al., J. Comput. Chem. 26, 1063 (2005), doi:10.1002/jcc.20237 (natural extension reference frame).
Shapes: ... batch, N residues.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from protein.geometry.frames import Frames
from protein.geometry.ideal_geometry import COS_C_N_CA, COS_CA_C_N, PEPTIDE_BOND_A
from protein.geometry.residue_tables import look_up


def next_atom(a: Tensor, b: Tensor, c: Tensor, length: Tensor, angle: Tensor, torsion: Tensor) -> Tensor:
    """The atom [..., 3] bonded to `c`: bond length, angle b-c-d and torsion a-b-c-d, radians [...]."""
    angle, torsion = torch.broadcast_tensors(angle, torsion)
    local = torch.stack(
        [-torch.cos(angle), torch.sin(angle) * torch.cos(torsion), torch.sin(angle) * torch.sin(torsion)], -1
    )
    return Frames.from_axes(c, c - b, a - b).apply(local * length[..., None])


def grow_backbone(types: Tensor, omega: Tensor, phi: Tensor, psi: Tensor) -> Frames:
    """Backbone frames [..., N] of ideal residues joined by ideal peptide bonds.

    types            [..., N] int64
    omega, phi, psi  [..., N] radians; omega and phi are those before a residue, so the first of each is not used, nor
                     the last psi

    The first residue stands at the identity. One residue after another: N steps.
    """
    ideal = look_up("position14", types, phi.dtype)[..., :3, :]  # N, CA, C in the residue's own frame
    length = phi.new_tensor(PEPTIDE_BOND_A[0])
    at_c, at_n = phi.new_tensor(math.acos(COS_CA_C_N[0])), phi.new_tensor(math.acos(COS_C_N_CA[0]))
    n_ca = ideal[..., 0, :].norm(dim=-1)
    frames = [Frames.identity(phi.shape[:-1], phi)]
    for i in range(1, types.shape[-1]):
        n, ca, c = (frames[-1].apply(ideal[..., i - 1, atom, :]) for atom in range(3))
        next_n = next_atom(n, ca, c, length, at_c, psi[..., i - 1])
        next_ca = next_atom(ca, c, next_n, n_ca[..., i], at_n, omega[..., i])
        bend = _angle(ideal[..., i, 0, :], ideal[..., i, 2, :])
        next_c = next_atom(c, next_n, next_ca, ideal[..., i, 2, :].norm(dim=-1), bend, phi[..., i])
        frames.append(Frames.of_backbone(next_n, next_ca, next_c))
    rotation = torch.stack([frame.rotation for frame in frames], -3)
    return Frames(rotation, torch.stack([frame.translation for frame in frames], -2))


def _angle(first: Tensor, second: Tensor) -> Tensor:
    return torch.acos((first * second).sum(-1) / (first.norm(dim=-1) * second.norm(dim=-1)))
