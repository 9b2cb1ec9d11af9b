"""Which of two names a truth's symmetric side chains get: the one that suits the prediction.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.8.5, algorithm 26.
Shapes: ... batch, N residues.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from protein.geometry.all_atom import other_naming_of_frames
from protein.geometry.frames import Frames
from protein.geometry.residue_tables import look_up


class Truth(NamedTuple):
    """A native structure, as all-atom losses compare with it.

    atom14      [..., N, 14, 3] in Å
    atom_mask   [..., N, 14] bool
    frames      [..., N, 8]
    frame_mask  [..., N, 8] bool
    """

    atom14: Tensor
    atom_mask: Tensor
    frames: Frames
    frame_mask: Tensor


@torch.no_grad()
def best_naming(predicted: Tensor, truth: Truth, types: Tensor) -> Truth:
    """The truth, renamed in each residue where distances to atoms of certain name then agree better.

    predicted  [..., N, 14, 3] in Å
    types      [..., N] int64
    """
    swap = look_up("swapped14", types)
    ambiguous = swap != torch.arange(14, device=types.device)
    other = truth.atom14.gather(-2, swap[..., None].expand_as(truth.atom14))
    other_mask = truth.atom_mask.gather(-1, swap)
    rename = torch.zeros(types.shape, dtype=torch.bool, device=types.device)
    where = torch.nonzero(ambiguous.any(-1), as_tuple=True)  # the few residues that have two namings
    chain, place = where[:-1], where[-1]
    anchors, certain = truth.atom14.flatten(-3, -2)[chain], (truth.atom_mask & ~ambiguous).flatten(-2)[chain]
    owner = torch.arange(types.shape[-1], device=types.device).repeat_interleave(14)
    counted = (truth.atom_mask & ambiguous)[where][:, :, None] & (certain & (owner != place[:, None]))[:, None]
    found = torch.cdist(predicted[where], predicted.flatten(-3, -2)[chain])
    errors = [
        ((found - torch.cdist(atoms[where], anchors)).abs() * counted).sum((-1, -2)) for atoms in (truth.atom14, other)
    ]
    rename[where] = errors[1] < errors[0]
    rename = rename[..., None]
    frames, turned = other_naming_of_frames(types, truth.frames)
    turn = (rename & turned)[..., None, None]
    return Truth(
        torch.where(rename[..., None], other, truth.atom14),
        torch.where(rename, other_mask, truth.atom_mask),
        Frames(torch.where(turn, frames.rotation, truth.frames.rotation), truth.frames.translation),
        truth.frame_mask,
    )
