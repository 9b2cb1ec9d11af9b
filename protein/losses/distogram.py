"""Cross-entropy of predicted distances between C-beta atoms (C-alpha of glycine, and where C-beta is unknown).

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.9.8. Bin 0 holds all below 2.3125 Å,
the last all above 21.6875 Å. Shapes: ... batch, N residues, K bins.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from protein.losses.averages import masked_mean
from protein.metrics.contacts import CONTACT_A

FIRST_EDGE_A, LAST_EDGE_A, BINS = 2.3125, 21.6875, 64


def edges(bins: int = BINS, like: Tensor | None = None) -> Tensor:
    """Upper edges [K - 1] of all bins but the last, Å."""
    device = None if like is None else like.device
    return torch.linspace(FIRST_EDGE_A, LAST_EDGE_A, bins - 1, device=device)


def distogram_loss(logits: Tensor, points: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy [...] over pairs of different residues, nats.

    logits  [..., N, N, K]
    points  [..., N, 3] C-beta atoms in Å
    mask    [..., N] bool
    """
    points = torch.where(mask[..., None], points, 0.0)
    distance = torch.cdist(points, points)
    target = torch.bucketize(distance, edges(logits.shape[-1], logits).to(distance.dtype))
    errors = functional.cross_entropy(logits.flatten(0, -2).float(), target.flatten(), reduction="none")
    pairs = mask[..., :, None] & mask[..., None, :] & ~torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
    return masked_mean(errors.reshape(target.shape), pairs, 2)


def contact_probability(probabilities: Tensor) -> Tensor:
    """That C-beta atoms are closer than 8 Å [...], from probabilities of distance [..., K].

    Of the bin that 8 Å falls into, the share below it counts.
    """
    upper = edges(probabilities.shape[-1])
    whole = int((upper <= CONTACT_A).sum())
    share = float((CONTACT_A - upper[whole - 1]) / (upper[whole] - upper[whole - 1]))
    return probabilities[..., :whole].sum(-1) + share * probabilities[..., whole]
