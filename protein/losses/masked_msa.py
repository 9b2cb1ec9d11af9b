"""Cross-entropy of alignment letters that were hidden from the model.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.9.9.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from protein.losses.averages import masked_mean


def masked_msa_loss(logits: Tensor, letters: Tensor, hidden: Tensor) -> Tensor:
    """Mean cross-entropy [...] in nats over hidden places.

    logits   [..., S, N, K] of S sequences
    letters  [..., S, N] int64, true letter
    hidden   [..., S, N] bool
    """
    errors = functional.cross_entropy(logits.flatten(0, -2).float(), letters.flatten(), reduction="none")
    return masked_mean(errors.reshape(letters.shape), hidden, 2)
