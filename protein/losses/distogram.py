"""Cross-entropy of predicted distances between C-beta atoms (C-alpha of glycine, and where C-beta is unknown).

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.9.8. Bin 0 holds all below 2.3125 Å,
the last all above 21.6875 Å. Shapes: ... batch, N residues, K bins.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from protein.metrics.contacts import CONTACT_A
from protein.metrics.lddt import INCLUSION_A

FIRST_EDGE_A, LAST_EDGE_A, BINS = 2.3125, 21.6875, 64


def edges(bins: int = BINS, like: Tensor | None = None) -> Tensor:
    """Upper edges [K - 1] of all bins but the last, Å."""
    device = None if like is None else like.device
    return torch.linspace(FIRST_EDGE_A, LAST_EDGE_A, bins - 1, device=device)


def distogram_loss(logits: Tensor, points: Tensor, mask: Tensor, near: float = 1.0) -> Tensor:
    """Mean cross-entropy [...] over pairs of different residues, nats.

    logits  [..., N, N, K]
    points  [..., N, 3] C-beta atoms in Å
    mask    [..., N] bool
    near    how often a pair counts that lies within lDDT's 15 Å; other pairs once. Logits still learn the plain
            probabilities: for the loss they are raised by what such counting adds to them
    """
    points = torch.where(mask[..., None], points, 0.0)
    distance, upper = torch.cdist(points, points), edges(logits.shape[-1], logits)
    target = torch.bucketize(distance, upper.to(distance.dtype))
    counts = torch.where(functional.pad(upper, (0, 1), value=torch.inf) <= INCLUSION_A, near, 1.0)
    raised = logits.flatten(0, -2).float() + counts.log()
    errors = functional.cross_entropy(raised, target.flatten(), reduction="none").reshape(target.shape)
    pairs = mask[..., :, None] & mask[..., None, :] & ~torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
    weight = counts[target] * pairs
    return (errors * weight).sum((-2, -1)) / weight.sum((-2, -1)).clamp_min(1e-8)


def contact_probability(probabilities: Tensor) -> Tensor:
    """That C-beta atoms are closer than 8 Å [...], from probabilities of distance [..., K].

    Of the bin that 8 Å falls into, the share below it counts.
    """
    upper = edges(probabilities.shape[-1])
    whole = int((upper <= CONTACT_A).sum())
    share = float((CONTACT_A - upper[whole - 1]) / (upper[whole] - upper[whole - 1]))
    return probabilities[..., :whole].sum(-1) + share * probabilities[..., whole]
