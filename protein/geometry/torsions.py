"""Torsions of a chain, as (sine, cosine).

Shapes: ... batch, N residues. Order of the seven: omega, phi, psi, chi 1-4. Omega and phi of a residue are those before
it. Signs as IUPAC-IUB, Biochemistry 9, 3471 (1970), doi:10.1021/bi00820a001. Psi is measured on O, which stands
opposite the next N, so that it is known at the last residue too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.geometry.frames import EPSILON
from protein.geometry.residue_tables import look_up

N, CA, C, O = 0, 1, 2, 4  # noqa: E741
"""Columns of the backbone in atom37."""


def torsion(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """[..., 2], sine and cosine of the torsion of points [..., 3]; (0, 0) where it is undefined."""
    first, axis, last = b - a, c - b, d - c
    before, after = torch.linalg.cross(first, axis, dim=-1), torch.linalg.cross(axis, last, dim=-1)
    length = torch.sqrt((axis * axis).sum(-1) + EPSILON)
    pair = torch.stack([length * (first * after).sum(-1), (before * after).sum(-1)], -1)
    return pair * torch.rsqrt((pair * pair).sum(-1, keepdim=True) + EPSILON)


def torsions_of_chain(
    types: Tensor, atom37: Tensor, mask: Tensor, follows: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """All seven torsions [..., N, 7, 2], and which are defined [..., N, 7].

    types    [..., N] int64
    atom37   [..., N, 37, 3] in Å
    mask     [..., N, 37] bool, atoms present
    follows  [..., N] bool, whether a residue is bonded to the one before; by default all are

    What is undefined is (0, 0).
    """
    before = torch.roll(atom37, 1, -3)
    before_mask = torch.roll(mask, 1, -2)
    bonded = torch.ones_like(types, dtype=torch.bool) if follows is None else follows.clone()
    bonded[..., 0] = False
    omega = torsion(before[..., CA, :], before[..., C, :], atom37[..., N, :], atom37[..., CA, :])
    phi = torsion(before[..., C, :], *(atom37[..., atom, :] for atom in (N, CA, C)))
    psi = -torsion(*(atom37[..., atom, :] for atom in (N, CA, C, O)))
    chi_atoms = look_up("chi_columns37", types)
    index = chi_atoms.flatten(-2)[..., None].expand(*types.shape, 16, 3)
    chi = torsion(*atom37.gather(-2, index).unflatten(-2, (4, 4)).unbind(-2))
    has_chi = mask.gather(-1, chi_atoms.flatten(-2)).unflatten(-1, (4, 4)).all(-1) & look_up("has_chi", types)
    joined = bonded & before_mask[..., C] & mask[..., N] & mask[..., CA]
    defined = torch.stack(
        [joined & before_mask[..., CA], joined & mask[..., C], mask[..., [N, CA, C, O]].all(-1)], -1
    )  # fmt: skip
    defined = torch.cat([defined, has_chi], -1)
    return torch.cat([torch.stack([omega, phi, psi], -2), chi], -2) * defined[..., None], defined


def other_naming(types: Tensor, torsions: Tensor) -> Tensor:
    """The torsions [..., N, 7, 2] with the side chains that half a turn does not change turned by it."""
    symmetric = look_up("chi_is_symmetric", types)
    turned = torch.cat([torch.zeros_like(symmetric[..., :3]), symmetric], -1)
    return torch.where(turned[..., None], -torsions, torsions)


def angles(torsions: Tensor) -> Tensor:
    """Radians in (-pi, pi] of (sine, cosine) [..., 2]."""
    return torch.atan2(torsions[..., 0], torsions[..., 1])


def sine_cosine(radians: Tensor) -> Tensor:
    """[..., 2] of angles."""
    return torch.stack([torch.sin(radians), torch.cos(radians)], -1)
