"""Global distance test: how much of a chain one superposition after another brings close to the native.

Zemla, Nucleic Acids Res. 31, 3370 (2003), doi:10.1093/nar/gkg571. Each share is the largest over many superpositions
(see `superposition_search`); LGA searches in another way, so the last digit may differ.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protein.metrics.superposition_search import largest_sum

GDT_TS_A = (1.0, 2.0, 4.0, 8.0)
GDT_HA_A = (0.5, 1.0, 2.0, 4.0)


def gdt_ts(model: Tensor, native: Tensor, mask: Tensor | None = None, length: Tensor | float | None = None) -> Tensor:
    """Total score [...] in 0-1: mean share of residues within 1, 2, 4 and 8 Å. Arguments as of `tm_score`."""
    return shares_within(model, native, mask, length, GDT_TS_A).mean(-1)


def gdt_ha(model: Tensor, native: Tensor, mask: Tensor | None = None, length: Tensor | float | None = None) -> Tensor:
    """High accuracy [...] in 0-1: mean share of residues within 0.5, 1, 2 and 4 Å. Arguments as of `tm_score`."""
    return shares_within(model, native, mask, length, GDT_HA_A).mean(-1)


def shares_within(
    model: Tensor, native: Tensor, mask: Tensor | None, length: Tensor | float | None, thresholds_a: tuple[float, ...]
) -> Tensor:
    """The largest share of residues within each threshold [..., T]; further arguments as of `tm_score`."""
    present = torch.ones_like(native[..., 0], dtype=torch.bool) if mask is None else mask
    norm = present.sum(-1) if length is None else torch.as_tensor(length, device=native.device)
    counts = [
        largest_sum(model, native, mask, _within, native.new_tensor(threshold), sharp=True)
        for threshold in thresholds_a
    ]
    return torch.stack(counts, -1) / norm.clamp_min(1)[..., None]


def _within(squared: Tensor, scale: Tensor) -> Tensor:
    return (squared <= scale**2).to(squared.dtype)
