"""Parity of the scores with scikit-learn, and their rules on missing values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from common.app.errors import DataFormatError
from materials.metrics import coverage, mae, r2, rmse, roc_auc

VALUES = st.floats(-100, 100, width=32)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted values; few distinct numbers among them, so that ties and constants occur."""
    n = draw(st.integers(2, 60))
    elements = draw(st.sampled_from([VALUES, st.sampled_from([0.0, 1.0, 2.0])]))
    return draw(arrays(np.float64, n, elements=elements)), draw(arrays(np.float64, n, elements=elements))


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_errors_agree_with_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    target, predicted = pair
    assert mae(target, predicted).item() == pytest.approx(sk.mean_absolute_error(target, predicted), abs=1e-9)
    assert rmse(target, predicted).item() == pytest.approx(sk.root_mean_squared_error(target, predicted), abs=1e-9)
    if np.ptp(target) > 1e-3:
        assert r2(target, predicted).item() == pytest.approx(sk.r2_score(target, predicted), rel=1e-6, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_roc_auc_agrees_with_scikit_learn_also_on_ties(pair: tuple[np.ndarray, np.ndarray]) -> None:
    label, score = (pair[0] > np.median(pair[0])).astype(float), pair[1]
    if 0 < label.sum() < len(label):
        assert roc_auc(label, score).item() == pytest.approx(sk.roc_auc_score(label, score), abs=1e-12)
        assert roc_auc(label, -score).item() == pytest.approx(1 - roc_auc(label, score).item(), abs=1e-12)
    else:
        assert roc_auc(label, score).isnan()


@settings(max_examples=30, deadline=None)
@given(pairs(), st.data())
def test_a_missing_target_changes_nothing(pair: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    target, predicted = pair
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(target), max_size=len(target))))
    holed = np.where(keep, target, np.nan)
    for score in (mae, rmse, r2):
        np.testing.assert_allclose(score(holed, predicted), score(target[keep], predicted[keep]), rtol=1e-9)
    label = (target > 0).astype(float)
    np.testing.assert_allclose(roc_auc(np.where(keep, label, np.nan), predicted), roc_auc(label[keep], predicted[keep]))
    inside = coverage(holed, predicted - 1, predicted + 1)
    np.testing.assert_allclose(inside, np.mean(np.abs(target - predicted)[keep] <= 1) if keep.any() else math.nan)


def test_each_property_is_scored_for_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    target, score = (torch.rand(50, 3, generator=generator) > 0.5).double(), torch.rand(50, 3, generator=generator)
    target[::4, 1] = torch.nan
    for metric in (mae, rmse, r2, roc_auc):
        alone = torch.stack([metric(target[:, i], score[:, i]) for i in range(3)])
        torch.testing.assert_close(metric(target, score), alone, rtol=1e-12, atol=0)


def test_a_calibrated_interval_covers_its_level() -> None:
    target = np.random.default_rng(0).normal(size=200_000)
    half_width = 1.6448536269514722  # 95 % quantile of the standard normal distribution: a 90 % interval
    covered = coverage(target, np.full_like(target, -half_width), np.full_like(target, half_width))
    assert covered.item() == pytest.approx(0.9, abs=3e-3)
    assert coverage([1.0, 2.0], [1.0, 0.0], [1.5, 2.0]).item() == 1.0  # both ends belong to the interval


def test_a_nan_prediction_shows() -> None:
    target, predicted = [0.0, 1.0, 1.0], [0.1, math.nan, 0.9]
    assert all(score(target, predicted).isnan() for score in (mae, rmse, r2, roc_auc))
    assert coverage(target, predicted, [1.0, 1.0, 1.0]).isnan()


def test_undefined_scores_are_nan() -> None:
    assert mae([math.nan], [1.0]).isnan()
    assert r2([2.0, 2.0], [2.0, 2.0]).isnan()


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(DataFormatError, match=r"\(3, 1\)"):
        mae(np.zeros(3), np.zeros((3, 1)))
