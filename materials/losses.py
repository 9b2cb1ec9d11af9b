"""Losses: predictions and targets in units of the targets' spread, element by element."""

from __future__ import annotations

import math
from functools import partial

import torch.nn.functional as F
from torch import Tensor

LOSSES = {
    "l1": partial(F.l1_loss, reduction="none"),
    "mse": partial(F.mse_loss, reduction="none"),
    "huber": partial(F.huber_loss, reduction="none", delta=1.0),  # doi:10.1214/aoms/1177703732
}


def gaussian_nll(mean: Tensor, log_variance: Tensor, target: Tensor, beta: float = 0.5) -> Tensor:
    """Negative log likelihood of a predicted Gaussian, weighted by its variance to the power of `beta`.

    Shapes broadcast. The weight carries no gradient. With beta = 0 (the likelihood itself) samples of large error lose
    their say as soon as the network calls them noise, and the mean is no longer learned there; beta = 1 weighs errors
    of the mean as the squared error does. Seitzer et al., arXiv:2203.09168.
    """
    nll = 0.5 * (log_variance + (target - mean).square() * (-log_variance).exp() + math.log(2 * math.pi))
    return nll * (beta * log_variance.detach()).exp()
