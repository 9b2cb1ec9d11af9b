"""Scores of property predictions.

Shapes: N samples, T properties. Arguments are torch tensors or anything `torch.as_tensor` takes (NumPy arrays, lists),
(N,) or (N, T); a result is a float64 tensor, () or (T,) on the device of the targets, in the units of the targets.
A NaN target is a missing one and is left out of its property; a NaN prediction makes the score NaN.
A score without any target is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

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
    return _by_property(_roc_auc, target, score)


def coverage(target: Values, lower: Values, upper: Values) -> Tensor:
    """Share of targets inside their prediction interval [lower, upper], both ends included.

    A calibrated 90 % interval covers 0.9 of new targets.
    """
    true, low, high = _aligned(target, lower, upper)
    inside = ((true >= low) & (true <= high)).to(torch.float64)
    return _mean(torch.where(low.isnan() | high.isnan(), torch.nan, inside), ~true.isnan())


def sharpness(lower: Values, upper: Values) -> Tensor:
    """Mean width of prediction intervals: of two that cover equally often, the sharper one says more."""
    low, high = _aligned(lower, upper)
    return (high - low).mean(0)


def negative_log_likelihood(target: Values, mean: Values, std: Values) -> Tensor:
    """Mean of -log p(target) under Normal(mean, std), in nats; lower is better, in both calibration and sharpness."""
    true, centre, spread = _aligned(target, mean, std)
    value = 0.5 * ((true - centre) / spread).square() + spread.log() + 0.5 * math.log(2 * math.pi)
    return _mean(value, ~true.isnan())


def calibration_curve(target: Values, mean: Values, std: Values, levels: Values) -> Tensor:
    """Share of targets inside the central interval of Normal(mean, std) of each level, [L] or [L, T].

    A calibrated std gives the levels themselves (Kuleshov et al., arXiv:1807.00263, with intervals around the mean).
    """
    true, centre, spread = _aligned(target, mean, std)
    levels = torch.as_tensor(levels, dtype=torch.float64, device=true.device)
    reach = math.sqrt(2) * torch.erfinv(levels)
    return torch.stack([coverage(true, centre - z * spread, centre + z * spread) for z in reach])


def miscalibration_area(target: Values, mean: Values, std: Values) -> Tensor:
    """Area between the calibration curve, over all levels, and the diagonal: 0 is calibrated, 1/2 the worst."""
    return _by_property(_miscalibration_area, target, mean, std)


def error_correlation(target: Values, predicted: Values, std: Values) -> Tensor:
    """Spearman's rank correlation of the absolute error with std; NaN where one of them is constant."""
    return _by_property(_error_correlation, target, predicted, std)


def rejection_curve(target: Values, predicted: Values, uncertainty: Values) -> Tensor:
    """Mean absolute error of the n least uncertain samples, n = 1 .. N, of one property: [N known targets].

    Samples of equal uncertainty come in random order: the curve is the mean over all of them. Of classes, pass the
    class as `predicted`: the error is then the share of wrong ones. Also called sparsification or confidence curve.
    """
    true, guess, doubt = _aligned(target, predicted, uncertainty)
    known = ~true.isnan()
    error, doubt = (guess - true).abs()[known], doubt[known]
    _, group, size = torch.unique(doubt, return_inverse=True, return_counts=True)
    of_group = error.new_zeros(len(size)).index_add_(0, group, error) / size
    kept = of_group[group.sort().values].cumsum(0) / torch.arange(1, len(error) + 1, device=error.device)
    return torch.where(doubt.isnan().any(), torch.nan, kept)


def rejection_area(target: Values, predicted: Values, uncertainty: Values) -> Tensor:
    """Mean of the rejection curve; the mean absolute error itself where uncertainty says nothing."""
    return _by_property(lambda *columns: rejection_curve(*columns).mean(), target, predicted, uncertainty)


def expected_calibration_error(target: Values, probability: Values, bins: int = 15) -> Tensor:
    """Mean over samples of |share of class 1 - mean probability| in each one's bin of equal width.

    Naeini et al., doi:10.1609/aaai.v29i1.9602, for the probability of class 1.
    """
    return _by_property(partial(_expected_calibration_error, bins=bins), target, probability)


def _miscalibration_area(target: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Exact: between two sorted levels at which a sample enters its interval, the curve is constant."""
    known = ~target.isnan()
    z = ((target - mean) / std).abs()[known]
    level = torch.erf(z / math.sqrt(2)).sort().values
    edge = torch.cat([level.new_zeros(1), level, level.new_ones(1)])
    curve = torch.arange(len(edge) - 1, device=edge.device) / len(level)
    below, above = edge[:-1] - curve, edge[1:] - curve
    return 0.5 * (above * above.abs() - below * below.abs()).sum()


def _error_correlation(target: Tensor, predicted: Tensor, std: Tensor) -> Tensor:
    known = ~target.isnan()
    error, std = (predicted - target).abs()[known], std[known]
    if error.isnan().any() or std.isnan().any():
        return error.new_tensor(torch.nan)
    ranks = torch.stack([_rank(error), _rank(std)])
    ranks = ranks - ranks.mean(dim=1, keepdim=True)
    norm = ranks.square().sum(dim=1).prod().sqrt()
    return torch.where(norm > 0, ranks.prod(dim=0).sum() / norm, torch.nan)


def _expected_calibration_error(target: Tensor, probability: Tensor, bins: int) -> Tensor:
    known = ~target.isnan()
    difference, p = (target - probability)[known], probability[known]
    edges = torch.linspace(0, 1, bins + 1, dtype=p.dtype, device=p.device)
    total = p.new_zeros(bins).index_add_(0, torch.bucketize(p, edges[1:-1]), difference)
    return total.abs().sum() / len(p)


def _rank(value: Tensor) -> Tensor:
    """From 1, ties share their mean rank."""
    _, place, ties = torch.unique(value, return_inverse=True, return_counts=True)
    return (ties.cumsum(0) - (ties - 1) / 2).to(torch.float64)[place]


def _roc_auc(target: Tensor, score: Tensor) -> Tensor:
    known = ~target.isnan()
    positive, score = target[known] > 0.5, score[known]
    if score.isnan().any():
        return score.new_tensor(torch.nan)
    n_positive = positive.sum()
    n_negative = len(score) - n_positive
    return (_rank(score)[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def _mean(value: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, value, 0.0).sum(0) / known.sum(0)


def _by_property(score: Callable[..., Tensor], target: Values, *others: Values) -> Tensor:
    """A score of one property [N], of each column where there are several."""
    arrays = _aligned(target, *others)
    if arrays[0].ndim == 1:
        return score(*arrays)
    return torch.stack([score(*columns) for columns in zip(*(array.unbind(1) for array in arrays), strict=True)])


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
