"""lDDT as a loss: the share of short native distances that a structure loses, with soft thresholds.

Abramson et al., Nature 630, 493 (2024), doi:10.1038/s41586-024-07487-w, supplement, algorithm 27. Unlike FAPE it asks
nothing of what cannot be known: a distance that is wrong by far has no gradient, so chains do not shrink to heaps.
It does not tell mirror images apart. Shapes: ... batch, N residues.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.losses.averages import masked_mean
from protein.metrics.lddt import INCLUSION_A, THRESHOLDS_A


def smooth_lddt_loss(points: Tensor, true_points: Tensor, mask: Tensor) -> Tensor:
    """1 - lDDT [...] of points [..., N, 3] in Å such as C-alpha atoms, where mask [..., N] bool."""
    true_points = torch.where(mask[..., None], true_points, 0.0)
    true = torch.cdist(true_points, true_points)
    pairs = mask[..., :, None] & mask[..., None, :] & (true < INCLUSION_A)
    pairs = pairs & ~torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
    error = (torch.cdist(points, points) - true).abs()
    kept = torch.stack([torch.sigmoid(threshold - error) for threshold in THRESHOLDS_A]).mean(0)
    return masked_mean(1 - kept, pairs, 2)
