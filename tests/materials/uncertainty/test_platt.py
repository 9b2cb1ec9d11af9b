"""Platt scaling against scikit-learn and a search over all slopes and biases, and what it must not lose."""

import json

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from common.app.errors import CheckpointError, DataFormatError
from materials.metrics import expected_calibration_error, roc_auc
from materials.uncertainty.platt import Platt


def overconfident(n: int, seed: int = 0, share: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Classes whose true log odds are half of what is claimed, less `share`: [n, 1] each."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=(n, 1)) * 3
    return (rng.random((n, 1)) < expit(0.5 * score - share)).astype(float), expit(score)


def test_with_many_samples_it_is_scikit_learns_logistic_regression() -> None:
    target, probability = overconfident(5000, share=0.5)
    expected = LogisticRegression(C=1e8).fit(logit(probability), target[:, 0])
    fitted = Platt.fit(target, probability)
    np.testing.assert_allclose([fitted.slope[0], fitted.bias[0]], [*expected.coef_[0], *expected.intercept_], atol=2e-3)


@pytest.mark.parametrize("n, share", [(4, 0.0), (60, 2.0)])
def test_with_few_it_is_the_most_probable_one(n: int, share: float) -> None:
    target, probability = overconfident(n, share=share)
    log_slope, bias = (axis[..., None] for axis in np.meshgrid(*[np.linspace(-3, 3, 301)] * 2))
    odds = np.exp(log_slope) * logit(probability[:, 0]) + bias
    posterior = (target[:, 0] * odds - np.logaddexp(0, odds)).sum(-1) - 0.5 * (log_slope**2 + bias**2)[..., 0]
    best = np.unravel_index(posterior.argmax(), posterior.shape)
    fitted = Platt.fit(target, probability)
    found = np.log(fitted.slope[0]), fitted.bias[0]
    np.testing.assert_allclose(found, (log_slope[best][0], bias[best][0]), atol=0.02)


def test_overconfidence_is_found_and_mended_and_ranks_stay() -> None:
    target, probability = overconfident(20_000, share=1.0)
    fitted = Platt.fit(target, probability)
    assert (fitted.slope[0], fitted.bias[0]) == (pytest.approx(0.5, abs=0.03), pytest.approx(-1, abs=0.05))
    calibrated, _ = fitted(probability, np.zeros_like(probability))
    before, after = (expected_calibration_error(target, p).item() for p in (probability, calibrated))
    assert after < 0.015 < 0.1 < before
    assert roc_auc(target, calibrated).item() == pytest.approx(roc_auc(target, probability).item(), abs=1e-12)


@pytest.mark.parametrize("only", [0.0, 1.0])
def test_one_class_alone_or_perfect_separation_keeps_the_order(only: float) -> None:
    _, probability = overconfident(30)
    for target in (np.full((30, 1), only), (probability > 0.5).astype(float), np.full((30, 1), np.nan)):
        fitted = Platt.fit(target, np.where(probability > 0.9, 1.0, probability))
        assert fitted.slope[0] > 0 and np.isfinite(fitted(probability, probability)).all()


def test_missing_classes_are_left_out_and_properties_kept_apart() -> None:
    first, second = overconfident(200, 0), overconfident(200, 1, share=1)
    target, probability = (np.concatenate(pair, axis=1) for pair in zip(first, second, strict=True))
    target[100:, 0] = np.nan
    both, alone = Platt.fit(target, probability), Platt.fit(first[0][:100], first[1][:100])
    assert both.slope[0] == pytest.approx(alone.slope[0]) and both.slope[1] != both.slope[0]


def test_std_follows_the_slope_of_the_curve() -> None:
    fitted, p, step = Platt((0.6,), (-0.4,)), np.linspace(0.05, 0.95, 19)[:, None], 1e-6
    higher, lower = (fitted(p + sign * step, p)[0] for sign in (1, -1))
    np.testing.assert_allclose(fitted(p, np.full_like(p, 0.01))[1], 0.01 * (higher - lower) / (2 * step), rtol=1e-6)
    assert np.isnan(fitted(p, np.full_like(p, np.nan))[1]).all()


def test_a_model_card_holds_it() -> None:
    fitted = Platt.fit(*overconfident(50))
    assert Platt.from_card(json.loads(json.dumps(fitted.to_card()))) == fitted
    with pytest.raises(CheckpointError, match="bias"):
        Platt.from_card({"slope": [1.0]})
    with pytest.raises(DataFormatError, match=r"\(3,\)"):
        Platt.fit(np.zeros(3), np.zeros(3))
