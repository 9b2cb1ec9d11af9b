"""Mean and standard deviation of what an ensemble predicts.

Shapes: B samples, M members, T properties.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """[B, T] each; `std` is NaN where one model predicts values only."""

    mean: Tensor
    std: Tensor


def regression_moments(output: Tensor, unit: Tensor | None = None) -> Moments:
    """Of the uniform mixture of the members' Gaussians, by the law of total variance:

        mean = E_m[mu_m],    std^2 = E_m[sigma_m^2] + Var_m[mu_m]

    (Lakshminarayanan et al., arXiv:1612.01474). output [B, M, T] holds the members' values mu alone, with `unit` given
    [B, M, 2 T]: values, then log variances in units of `unit` [T], the spread of each property.
    """
    if unit is None:
        return Moments(output.mean(dim=1), _disagreement(output))
    value, log_variance = output.chunk(2, dim=2)
    variance = log_variance.exp() * unit.square()
    total = variance.mean(dim=1) + value.var(dim=1, correction=0)
    return Moments(value.mean(dim=1), total.sqrt())


def class_moments(logits: Tensor) -> Moments:
    """Mean probability of class 1 and how far the members disagree about it; logits [B, M, T].

    The whole variance of the class, p (1 - p), is this disagreement and the mean of the members' own p_m (1 - p_m).
    """
    probability = logits.sigmoid()
    return Moments(probability.mean(dim=1), _disagreement(probability))


def _disagreement(value: Tensor) -> Tensor:
    """Of the members, [B, M, T] -> [B, T]; NaN for a single one, which cannot disagree."""
    if value.shape[1] == 1:
        return torch.full_like(value[:, 0], torch.nan)
    return value.std(dim=1, correction=0)
