"""A sequence of equal blocks, with or without keeping their intermediate values for the backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def through(blocks: nn.ModuleList, state: tuple[Tensor, ...], *others: Any, recompute: bool) -> tuple[Tensor, ...]:
    """`state` after block(*state, *others) -> state of all blocks.

    recompute  where gradients are recorded, keep the state between blocks only and compute a block again backwards
    """
    for block in blocks:
        if recompute and torch.is_grad_enabled():
            state = checkpoint(block, *state, *others, use_reentrant=False)  # type: ignore[assignment]
        else:
            state = block(*state, *others)
    return state
