"""Cross-entropy of predicted secondary structure."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from protein.data.states import UNKNOWN_STATE
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
