"""All heavy atoms from backbone frames and torsions, and the frames of rigid groups from atoms.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.8.4 and algorithms 24, 25.
Shapes: ... batch, N residues, 8 rigid groups (see `ideal_geometry`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.geometry.frames import Frames
from protein.geometry.ideal_geometry import GROUPS
from protein.geometry.residue_tables import look_up


def frames_of_torsions(types: Tensor, backbone: Frames, torsions: Tensor) -> Frames:
    """Global frames [..., N, 8] of all groups.

    types     [..., N] int64
    backbone  [..., N]
    torsions  [..., N, 7, 2] sine and cosine, of length 1
    """
    still = torch.stack([torch.zeros_like(torsions[..., :1, 0]), torch.ones_like(torsions[..., :1, 0])], -1)
    sine, cosine = torch.cat([still, torsions], -2).unbind(-1)
    zero, one = torch.zeros_like(sine), torch.ones_like(sine)
    about_x = torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], -1).unflatten(-1, (3, 3))
    at_zero = _ideal_frames(types, torsions.dtype)
    local = Frames(at_zero.rotation @ about_x, at_zero.translation)
    # Groups 0-4 hang on the backbone, each later chi on the one before it.
    rotation, translation = [local.rotation[..., :5, :, :]], [local.translation[..., :5, :]]
    inner = _group(local, 4)
    for group in range(5, GROUPS):
        inner = inner.compose(_group(local, group))
        rotation.append(inner.rotation.unsqueeze(-3))
        translation.append(inner.translation.unsqueeze(-2))
    return backbone.unsqueeze(-1).compose(Frames(torch.cat(rotation, -3), torch.cat(translation, -2)))


def place_atoms(types: Tensor, groups: Frames) -> Tensor:
    """Atoms [..., N, 14, 3] in Å at their ideal places in the groups [..., N, 8]; zero where there is no atom."""
    carrier = look_up("group_of_atom14", types)
    rotation = groups.rotation.gather(-3, carrier[..., None, None].expand(*carrier.shape, 3, 3))
    translation = groups.translation.gather(-2, carrier[..., None].expand(*carrier.shape, 3))
    positions = Frames(rotation, translation).apply(look_up("position14", types, translation.dtype))
    return positions * look_up("has_atom14", types)[..., None]


def frames_of_atoms(types: Tensor, atom37: Tensor, mask: Tensor) -> tuple[Frames, Tensor]:
    """Frames [..., N, 8] that the atoms define, and which are defined [..., N, 8].

    atom37  [..., N, 37, 3] in Å
    mask    [..., N, 37] bool

    The omega and phi groups hold no heavy atom and are never defined. Undefined ones are the identity.
    """
    columns = look_up("group_columns37", types)
    flat = columns.flatten(-2)
    first, origin, plane = (
        atom37.gather(-2, flat[..., None].expand(*flat.shape, 3)).unflatten(-2, (GROUPS, 3)).unbind(-2)
    )
    towards = torch.ones(GROUPS, 1, dtype=atom37.dtype, device=atom37.device)
    towards[0] = -1  # of the backbone the first atom, C, lies ahead on the x axis
    frames = Frames.from_axes(origin, (origin - first) * towards, plane - origin)
    defined = mask.gather(-1, flat).unflatten(-1, (GROUPS, 3)).all(-1) & look_up("has_group", types)
    identity = Frames.identity(frames.shape, atom37)
    return Frames(
        torch.where(defined[..., None, None], frames.rotation, identity.rotation),
        torch.where(defined[..., None], frames.translation, identity.translation),
    ), defined


def other_naming_of_frames(types: Tensor, frames: Frames) -> tuple[Frames, Tensor]:
    """The frames [..., N, 8] under the other naming of symmetric side chains, and which differ [..., N, 8]."""
    symmetric = look_up("chi_is_symmetric", types)
    turned = torch.cat([torch.zeros_like(symmetric), symmetric], -1)
    flip = torch.tensor([1.0, -1.0, -1.0], dtype=frames.rotation.dtype, device=types.device)
    rotation = torch.where(turned[..., None, None], frames.rotation * flip, frames.rotation)
    return Frames(rotation, frames.translation), turned


def _ideal_frames(types: Tensor, dtype: torch.dtype) -> Frames:
    return Frames(look_up("group_rotation", types, dtype), look_up("group_translation", types, dtype))


def _group(frames: Frames, group: int) -> Frames:
    return Frames(frames.rotation[..., group, :, :], frames.translation[..., group, :])
