"""Parity of the scores with scikit-learn, and their rules on missing values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve as sk_calibration_curve

from common.app.errors import DataFormatError
from materials.metrics import (
    calibration_curve,
    coverage,
    error_correlation,
    expected_calibration_error,
    mae,
    miscalibration_area,
    negative_log_likelihood,
    r2,
    rejection_area,
    rejection_curve,
    rmse,
    roc_auc,
    sharpness,
)

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


def gaussians(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets drawn from their own predicted mean and std."""
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(size=n) * 5, np.exp(rng.normal(size=n))
    return mean + std * rng.normal(size=n), mean, std


def test_negative_log_likelihood_is_that_of_the_normal_distribution() -> None:
    target, mean, std = gaussians()
    expected = -stats.norm(mean, std).logpdf(target).mean()
    assert negative_log_likelihood(target, mean, std).item() == pytest.approx(expected)
    assert all(negative_log_likelihood(target, mean, std * factor) > expected for factor in (0.7, 1.4))


def test_calibration_curve_is_the_coverage_of_central_intervals() -> None:
    target, mean, std = gaussians(4000)
    levels = [0.1, 0.5, 0.9]
    ends = [stats.norm(mean, std).interval(level) for level in levels]
    expected = [coverage(target, *one).item() for one in ends]
    np.testing.assert_allclose(calibration_curve(target, mean, std, levels), expected)
    np.testing.assert_allclose(expected, levels, atol=0.03)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.floats(0.2, 5))
def test_miscalibration_area_is_the_integral_between_curve_and_diagonal(n: int, factor: float) -> None:
    target, mean, std = gaussians(n)
    levels = (np.arange(4000) + 0.5) / 4000
    lower, upper = stats.norm(mean[:, None], factor * std[:, None]).interval(levels)
    curve = ((target[:, None] >= lower) & (target[:, None] <= upper)).mean(axis=0)
    expected = np.abs(curve - levels).mean()
    assert miscalibration_area(target, mean, std * factor).item() == pytest.approx(expected, abs=2e-3)


def test_miscalibration_area_in_closed_form() -> None:
    n = 50
    evenly = stats.norm.ppf(0.5 + 0.5 * (np.arange(n) + 0.5) / n)  # one target in the middle of each 1/n of probability
    assert miscalibration_area(evenly, np.zeros(n), np.ones(n)).item() == pytest.approx(1 / (4 * n))
    assert miscalibration_area(evenly, np.zeros(n), np.full(n, 1e9)).item() == pytest.approx(0.5)
    assert miscalibration_area(evenly, np.zeros(n), np.full(n, 1e-9)).item() == pytest.approx(0.5)


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_error_correlation_is_spearmans(pair: tuple[np.ndarray, np.ndarray]) -> None:
    error, std = np.abs(pair[0]), pair[1]
    found = error_correlation(np.zeros_like(error), error, std).item()
    if np.ptp(error) and np.ptp(std):
        assert found == pytest.approx(stats.spearmanr(error, std).statistic, abs=1e-9)
    else:
        assert math.isnan(found)


def test_rejection_curve_in_closed_form() -> None:
    error = np.arange(1.0, 11.0)
    up = rejection_curve(np.zeros(10), error, error)
    down = rejection_curve(np.zeros(10), error, -error)
    np.testing.assert_allclose(up, (np.arange(10) + 2) / 2)
    np.testing.assert_allclose(down, 10 - np.arange(10) / 2)
    assert rejection_area(np.zeros(10), error, error).item() == pytest.approx(3.25)
    assert up[-1].item() == down[-1].item() == mae(np.zeros(10), error).item()


def test_rejection_takes_equal_uncertainties_in_random_order() -> None:
    rng = np.random.default_rng(0)
    error, doubt = rng.random(30), rng.integers(0, 4, 30).astype(float)
    orders = [np.lexsort((rng.random(30), doubt)) for _ in range(4000)]
    expected = np.mean([np.cumsum(error[order]) for order in orders], axis=0) / np.arange(1, 31)
    np.testing.assert_allclose(rejection_curve(np.zeros(30), error, doubt), expected, atol=0.02)
    assert rejection_area(np.zeros(30), error, np.ones(30)).item() == pytest.approx(error.mean())


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(0, 9), st.booleans())
def test_expected_calibration_error_agrees_with_scikit_learns_bins(n: int, seed: int, on_edges: bool) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.integers(0, 11, n) / 10 if on_edges else rng.random(n)
    label = (rng.random(n) < probability**2).astype(float)
    label[0], probability[0] = 1, 0.55
    share, mean = sk_calibration_curve(label, probability, n_bins=10)
    edges = np.linspace(0, 1, 11)
    count = np.bincount(np.searchsorted(edges[1:-1], probability), minlength=10)
    expected = (np.abs(share - mean) * count[count > 0]).sum() / n
    assert expected_calibration_error(label, probability, bins=10).item() == pytest.approx(expected, abs=1e-9)


def test_sharpness_is_the_mean_width() -> None:
    assert sharpness([0.0, 1.0], [1.0, 4.0]).item() == 2
    assert sharpness([0.0, math.nan], [1.0, 4.0]).isnan()


def test_scores_of_uncertainty_keep_the_rules_on_missing_values() -> None:
    scores = {
        negative_log_likelihood: gaussians(60),
        miscalibration_area: gaussians(60),
        error_correlation: gaussians(60),
        rejection_area: gaussians(60),
        expected_calibration_error: ((gaussians(60)[0] > 0).astype(float), stats.norm.cdf(gaussians(60)[1])),
    }
    for score, (target, *others) in scores.items():
        holed = np.where(np.arange(60) % 3, target, np.nan)
        kept = [one[np.arange(60) % 3 > 0] for one in (target, *others)]
        np.testing.assert_allclose(score(holed, *others), score(*kept), rtol=1e-9)
        columns = [np.stack([one, one[::-1]], axis=1) for one in (target, *others)]
        both = torch.stack([score(target, *others), score(target[::-1].copy(), *(one[::-1].copy() for one in others))])
        torch.testing.assert_close(score(*columns), both)
        spoilt = others[-1].copy()
        spoilt[5] = math.nan
        assert score(target, *others[:-1], spoilt).isnan()
