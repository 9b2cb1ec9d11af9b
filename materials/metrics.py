"""Scores of property predictions.

Shapes: N samples, T properties. Arguments are torch tensors or anything `torch.as_tensor` takes (NumPy arrays, lists),
(N,) or (N, T); a result is a float64 tensor, () or (T,) on the device of the targets, in the units of the targets.
A NaN target is a missing one and is left out of its property; a NaN prediction makes the score NaN.
A score without any target is NaN.
"""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from common.app.errors import DataFormatError

Values = Tensor | ArrayLike


def mae(target: Values, predicted: Values) -> Tensor:
    """Mean absolute error."""
    true, guess = _aligned(target, predicted)
    return _mean((guess - true).abs(), ~true.isnan())


def rmse(target: Values, predicted: Values) -> Tensor:
    """Root-mean-square error."""
    true, guess = _aligned(target, predicted)
    return _mean((guess - true).square(), ~true.isnan()).sqrt()


def r2(target: Values, predicted: Values) -> Tensor:
    """Coefficient of determination, 1 - SS_res / SS_tot; NaN where the targets do not vary."""
    true, guess = _aligned(target, predicted)
    known = ~true.isnan()
    residual = _mean((guess - true).square(), known)
    variance = _mean((true - _mean(true, known)).square(), known)
    return torch.where(variance > 0, 1 - residual / variance, torch.nan)


def roc_auc(target: Values, score: Values) -> Tensor:
    """Area under the ROC curve of 0/1 targets; NaN where only one class is present.

    The Mann-Whitney form: the share of (positive, negative) pairs in which the positive has the higher score, ties
    counting half (Hanley and McNeil, Radiology 1982, doi:10.1148/radiology.143.1.7063747).
    """
    true, guess = _aligned(target, score)
    if true.ndim == 1:
        return _roc_auc(true, guess)
    return torch.stack([_roc_auc(t, s) for t, s in zip(true.unbind(1), guess.unbind(1), strict=True)])


def coverage(target: Values, lower: Values, upper: Values) -> Tensor:
    """Share of targets inside their prediction interval [lower, upper], both ends included.

    A calibrated 90 % interval covers 0.9 of new targets.
    """
    true, low, high = _aligned(target, lower, upper)
    inside = ((true >= low) & (true <= high)).to(torch.float64)
    return _mean(torch.where(low.isnan() | high.isnan(), torch.nan, inside), ~true.isnan())


def _roc_auc(target: Tensor, score: Tensor) -> Tensor:
    known = ~target.isnan()
    positive, score = target[known] > 0.5, score[known]
    if score.isnan().any():
        return score.new_tensor(torch.nan)
    _, place, ties = torch.unique(score, return_inverse=True, return_counts=True)
    rank = (ties.cumsum(0) - (ties - 1) / 2).to(torch.float64)[place]  # from 1, ties share their mean rank
    n_positive = positive.sum()
    n_negative = len(score) - n_positive
    return (rank[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def _mean(value: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, value, 0.0).sum(0) / known.sum(0)


def _aligned(target: Values, *others: Values) -> tuple[Tensor, ...]:
    first = torch.as_tensor(target, dtype=torch.float64)
    rest = [torch.as_tensor(other, dtype=torch.float64, device=first.device) for other in others]
    for other in rest:
        if other.shape != first.shape or first.ndim not in (1, 2):
            raise DataFormatError(
                f"targets have shape {tuple(first.shape)} and predictions {tuple(other.shape)}; "
                "both must be (samples,) or (samples, properties)"
            )
    return first, *rest
