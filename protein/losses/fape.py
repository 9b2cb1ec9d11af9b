"""Frame-aligned point error: distances of points from their true places, seen from every local frame.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.9.2 and algorithm 28. It tells
mirror images apart. Shapes: ... batch, F frames, P points, N residues.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.geometry.frames import Frames
from protein.losses.averages import masked_mean

SCALE_A = 10.0
CLAMP_A = 10.0
EPSILON = 1e-4
"""Å^2, added to squared errors."""


def fape(
    frames: Frames,
    true_frames: Frames,
    frame_mask: Tensor,
    points: Tensor,
    true_points: Tensor,
    point_mask: Tensor,
    clamp_a: float | Tensor | None = CLAMP_A,
) -> Tensor:
    """Mean error [...] in units of 10 Å.

    frames, true_frames  [..., F]
    frame_mask           [..., F] bool
    points, true_points  [..., P, 3] in Å
    point_mask           [..., P] bool
    clamp_a              larger errors count as this many Å; None: no limit; [...]: one a chain
    """
    # Coordinates that are masked may be anything, NaN too; a gradient must not see them.
    true_points = torch.where(point_mask[..., None], true_points, 0.0)
    apart = local_points(frames, points) - local_points(true_frames, true_points)
    error = torch.sqrt(apart.square().sum(-2) + EPSILON)
    if clamp_a is not None:
        limit = torch.as_tensor(clamp_a, dtype=error.dtype, device=error.device)
        error = torch.minimum(error, limit[..., None, None])
    pairs = frame_mask[..., :, None] & point_mask[..., None, :]
    return masked_mean(error, pairs, 2) / SCALE_A


def local_points(frames: Frames, points: Tensor) -> Tensor:
    """All points [..., P, 3] seen from all frames [..., F]: [..., F, 3, P] in Å, by one product of matrices."""
    back = frames.rotation.mT
    with torch.autocast(points.device.type, enabled=False):
        turned = back.flatten(-3, -2) @ points.mT
    origin = (back * frames.translation[..., None, :]).sum(-1)
    return turned.unflatten(-2, (-1, 3)) - origin[..., None]


def backbone_fape(
    frames: Frames, true_frames: Frames, mask: Tensor, clamp_a: float | Tensor | None = CLAMP_A
) -> Tensor:
    """C-alpha atoms seen from backbone frames [..., N], where mask [..., N]."""
    return fape(frames, true_frames, mask, frames.translation, true_frames.translation, mask, clamp_a)


def side_chain_fape(
    frames: Frames,
    true_frames: Frames,
    frame_mask: Tensor,
    atom14: Tensor,
    true_atom14: Tensor,
    atom_mask: Tensor,
    clamp_a: float | Tensor | None = CLAMP_A,
) -> Tensor:
    """All atoms [..., N, 14, 3] with mask [..., N, 14], seen from all rigid groups [..., N, 8] with mask [..., N, 8].

    The truth is to be named as suits the prediction, see `naming.best_naming`.
    """
    flat, true_flat = (
        Frames(one.rotation.flatten(-4, -3), one.translation.flatten(-3, -2)) for one in (frames, true_frames)
    )
    return fape(
        flat,
        true_flat,
        frame_mask.flatten(-2),
        atom14.flatten(-3, -2),
        true_atom14.flatten(-3, -2),
        atom_mask.flatten(-2),
        clamp_a,
    )


def ca_fape(
    ca: Tensor, true_ca: Tensor, mask: Tensor, follows: Tensor | None = None, clamp_a: float | Tensor | None = CLAMP_A
) -> Tensor:
    """For chains known by C-alpha atoms only: those [..., N, 3], seen from frames of three neighbours each.

    mask     [..., N] bool, known in the truth
    follows  [..., N] bool, bonded to the residue before (default: all)
    """
    frames, defined = frames_of_ca(ca, mask, follows)
    true_frames, _ = frames_of_ca(torch.where(mask[..., None], true_ca, 0.0), mask, follows)
    return fape(frames, true_frames, defined, ca, true_ca, mask, clamp_a)


def frames_of_ca(ca: Tensor, mask: Tensor, follows: Tensor | None = None) -> tuple[Frames, Tensor]:
    """Frames [..., N] at C-alpha atoms, x towards the next, the one before in the xy plane; and which are defined."""
    before, after = torch.roll(ca, 1, -2), torch.roll(ca, -1, -2)
    bonded = torch.ones_like(mask) if follows is None else follows.clone()
    bonded[..., 0] = False
    joined = bonded & mask & torch.roll(mask, 1, -1)
    return Frames.from_axes(ca, after - ca, before - ca), joined & torch.roll(joined, -1, -1)
