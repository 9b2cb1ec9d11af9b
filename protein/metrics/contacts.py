"""Precision of predicted contacts.

Definition of CASP: Monastyrskyy et al., Proteins 84, S1, 131 (2016), doi:10.1002/prot.24943. A contact: C-beta atoms
(C-alpha of glycine) closer than 8 Å. Ranges by separation in sequence: short 6-11, medium 12-23, long 24 and more.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

CONTACT_A = 8.0
Range = Literal["short", "medium", "long"]
SEPARATION: dict[Range, tuple[int, int]] = {"short": (6, 11), "medium": (12, 23), "long": (24, 1 << 30)}


def contact_precision(
    scores: Tensor,
    distances: Tensor,
    mask: Tensor | None = None,
    range: Range = "long",
    divisor: float = 5,
    residues: Tensor | None = None,
) -> Tensor:
    """P@L/divisor [...] in 0-1: the share of contacts among the L/divisor pairs with the highest score.

    scores     [..., N, N], the larger the likelier; the mean of both directions counts
    distances  [..., N, N] of the native, Å; NaN where unknown
    mask       [..., N] bool, residues that count (default: all)
    range      of separations in sequence
    residues   [..., N] int64, number of each residue in the sequence (default: 0, 1, ...)

    L is the number of residues that count. At least one pair is chosen, and at most as many as there are; NaN without
    any.
    """
    n = scores.shape[-1]
    known = torch.ones_like(scores[..., 0], dtype=torch.bool) if mask is None else mask
    place = torch.arange(n, device=scores.device) if residues is None else residues
    lowest, highest = SEPARATION[range]
    separation = place[..., None, :] - place[..., :, None]
    pairs = known[..., :, None] & known[..., None, :] & (separation >= lowest) & (separation <= highest)
    pairs = (pairs & ~distances.isnan()).flatten(-2)
    ranked = ((scores + scores.mT) / 2).flatten(-2).masked_fill(~pairs, -torch.inf)
    best = ranked.argsort(dim=-1, descending=True, stable=True)
    hits = ((distances < CONTACT_A).flatten(-2) & pairs).gather(-1, best)
    chosen = (known.sum(-1) / divisor).floor().clamp_min(1).minimum(pairs.sum(-1))
    first = torch.arange(n * n, device=scores.device) < chosen[..., None]
    return (hits & first).sum(-1) / chosen
