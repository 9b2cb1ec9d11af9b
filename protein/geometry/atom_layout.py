"""From one layout of atoms to the other.  Shapes: ... any batch of residues, D whatever an atom carries."""

from __future__ import annotations

from torch import Tensor

from protein.geometry.residue_tables import look_up


def atom14_to_atom37(types: Tensor, atom14: Tensor) -> Tensor:
    """[..., 14, D] to [..., 37, D] for residue types [...]; zero, or False, where a residue has no such atom."""
    index = look_up("column14_of_37", types)[..., None].expand(*types.shape, 37, atom14.shape[-1])
    return atom14.gather(-2, index) * look_up("has_atom37", types)[..., None]


def atom37_to_atom14(types: Tensor, atom37: Tensor) -> Tensor:
    """[..., 37, D] to [..., 14, D] for residue types [...]; zero, or False, where a residue has no such atom."""
    index = look_up("column37_of_14", types)[..., None].expand(*types.shape, 14, atom37.shape[-1])
    return atom37.gather(-2, index) * look_up("has_atom14", types)[..., None]
