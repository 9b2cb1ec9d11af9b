"""Cross-entropy of predicted secondary structure, and the state that a prediction stands for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from protein.data.states import STATES, THREE_STATES, UNKNOWN_STATE
from protein.losses.averages import masked_mean


def secondary_loss(logits: Tensor, states: Tensor) -> Tensor:
    """Mean cross-entropy [...] in nats over residues whose state is known.

    logits  [..., N, 8]
    states  [..., N] int64, indices into `data.states.STATES`, -1 where unknown
    """
    errors = functional.cross_entropy(
        logits.flatten(0, -2).float(), states.flatten(), ignore_index=UNKNOWN_STATE, reduction="none"
    )
    return masked_mean(errors.reshape(states.shape), states != UNKNOWN_STATE, 1)


def most_probable(logits: Tensor) -> Tensor:
    """The state [..., N] int64 of logits [..., N, 8]: first which of helix, strand and coil, then which kind of it.

    A coil is a turn, a bend or neither, of which none need be as probable as the one kind of strand.
    """
    kinds = [THREE_STATES[state] for state in STATES]
    same = torch.tensor([[one == other for other in kinds] for one in kinds], device=logits.device)
    probability = logits.float().softmax(-1)
    by_kind = probability @ same.float()
    likeliest = by_kind >= by_kind.amax(-1, keepdim=True) * (1 - 1e-6)  # sums of one kind may differ by rounding
    return torch.where(likeliest, probability, -1.0).argmax(-1)
