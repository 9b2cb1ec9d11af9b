"""What a model says about its own errors: pLDDT, predicted aligned error, pTM, atoms resolved in the experiment.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.9.6, 1.9.7, 1.9.10.
Shapes: ... batch, N residues, K bins.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from protein.geometry.frames import Frames
from protein.losses.averages import masked_mean
from protein.losses.fape import local_points
from protein.metrics.lddt import lddt
from protein.metrics.tm_score import distance_scale

LAST_ERROR_A = 31.0
"""Upper edge of the last bin but one of aligned errors."""

SHORTEST_CHAIN = 19


def plddt(logits: Tensor) -> Tensor:
    """Expected lDDT [..., N] in 0-100 from logits [..., N, K] of K equal bins."""
    return 100 * (functional.softmax(logits.float(), -1) @ _centres(logits, 1.0))


def plddt_loss(logits: Tensor, ca: Tensor, true_ca: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy [...] of the lDDT that the prediction has.

    logits  [..., N, K]
    ca      [..., N, 3] predicted, true_ca the truth, Å; no gradient goes through them
    mask    [..., N] bool
    """
    bins = logits.shape[-1]
    with torch.no_grad():
        true = torch.where(mask[..., None], true_ca, 0.0)
        score = lddt(ca.detach().float(), true.float(), mask, per_point=True)
        target = (score.nan_to_num(0.0) * bins).floor().long().clamp(0, bins - 1)
    errors = functional.cross_entropy(logits.flatten(0, -2).float(), target.flatten(), reduction="none")
    return masked_mean(errors.reshape(target.shape), mask & ~score.isnan(), 1)


def aligned_errors(frames: Frames, true_frames: Frames) -> Tensor:
    """[..., N, N] in Å: the error of residue j seen from the frame of residue i; no gradient."""
    with torch.no_grad():
        local, true_local = (local_points(one, one.translation) for one in (frames, true_frames))
        return (local - true_local).norm(dim=-2)


def aligned_error_loss(logits: Tensor, frames: Frames, true_frames: Frames, mask: Tensor) -> Tensor:
    """Mean cross-entropy [...] of aligned errors: logits [..., N, N, K], frames [..., N], mask [..., N] bool."""
    upper = torch.linspace(0, LAST_ERROR_A, logits.shape[-1] - 1, device=logits.device)
    target = torch.bucketize(aligned_errors(frames, true_frames).float().nan_to_num(0.0), upper)
    errors = functional.cross_entropy(logits.flatten(0, -2).float(), target.flatten(), reduction="none")
    return masked_mean(errors.reshape(target.shape), mask[..., :, None] & mask[..., None, :], 2)


def expected_aligned_error(logits: Tensor) -> Tensor:
    """PAE [..., N, N] in Å from logits [..., N, N, K]."""
    return functional.softmax(logits.float(), -1) @ _error_centres(logits)


def predicted_tm(logits: Tensor, mask: Tensor) -> Tensor:
    """pTM [...] in 0-1 from logits [..., N, N, K] of aligned errors, where mask [..., N] bool: the best frame's."""
    scale = distance_scale(mask.sum(-1).clamp_min(SHORTEST_CHAIN).float())
    terms = 1 / (1 + (_error_centres(logits) / scale[..., None]) ** 2)
    expected = torch.einsum("...ijk,...k->...ij", functional.softmax(logits.float(), -1), terms)
    by_frame = masked_mean(expected, mask[..., None, :], 1)
    return by_frame.masked_fill(~mask, 0.0).amax(-1)


def resolved_loss(logits: Tensor, resolved: Tensor, exists: Tensor) -> Tensor:
    """Mean binary cross-entropy [...] of whether the experiment shows an atom, over the atoms that residues have.

    logits, resolved, exists  [..., N, 37]
    """
    errors = functional.binary_cross_entropy_with_logits(logits.float(), resolved.float(), reduction="none")
    return masked_mean(errors, exists, 2)


def _centres(logits: Tensor, end: float) -> Tensor:
    bins = logits.shape[-1]
    return (torch.arange(bins, device=logits.device) + 0.5) * (end / bins)


def _error_centres(logits: Tensor) -> Tensor:
    """[K] in Å; the bins of aligned errors all have the width of the first."""
    width = LAST_ERROR_A / (logits.shape[-1] - 2)
    return (torch.arange(logits.shape[-1], device=logits.device) + 0.5) * width
