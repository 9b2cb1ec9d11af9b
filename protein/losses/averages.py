"""Means over what a mask keeps."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor, axes: int) -> Tensor:
    """Mean over the last `axes` axes where `mask` (same shape, or broadcastable), zero where it keeps nothing."""
    dims = tuple(range(-axes, 0))
    weight = mask.to(values.dtype).expand_as(values)
    # What is left out may be NaN: multiplying by zero would keep it.
    return torch.where(weight > 0, values * weight, 0.0).sum(dims) / weight.sum(dims).clamp_min(1e-8)
