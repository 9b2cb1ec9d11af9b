"""Cross-fitting: no sample has a say in its own calibration, and coverage is honest."""

import numpy as np
import pytest

from materials.metrics import coverage, expected_calibration_error
from materials.uncertainty.cross_fit import cross_fit_conformal, cross_fit_platt


def test_a_sample_has_no_say_in_its_own_interval() -> None:
    rng = np.random.default_rng(0)
    target, mean = rng.normal(size=(2, 60, 1))
    std = np.exp(rng.normal(size=(60, 1)))
    before = cross_fit_conformal(target, mean, std, (0.9,))
    target[7] += 1000
    after = cross_fit_conformal(target, mean, std, (0.9,))
    assert after.upper[0, 7] == before.upper[0, 7] and after.std[7] == before.std[7]
    assert (after.std != before.std).sum() > 40
    assert np.isfinite(before.lower).all() and np.isfinite(before.std).all()


def test_a_sample_has_no_say_in_its_own_probability() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random((60, 1))
    target = (rng.random((60, 1)) < probability).astype(float)
    before = cross_fit_platt(target, probability)
    target[7] = 1 - target[7]
    after = cross_fit_platt(target, probability)
    assert after[7] == before[7] and (after != before).sum() > 40


def test_each_level_covers_its_share() -> None:
    rng = np.random.default_rng(1)
    std = np.exp(rng.normal(size=(2000, 1)))
    target = std * rng.standard_t(3, size=std.shape)
    levels = (0.5, 0.9)
    crossed = cross_fit_conformal(target, np.zeros_like(std), std, levels)
    covered = [coverage(target, *ends).item() for ends in zip(crossed.lower, crossed.upper, strict=True)]
    assert covered == pytest.approx(levels, abs=0.01)


def test_overconfident_probabilities_are_mended_on_samples_not_seen() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random((2000, 1))
    target = (rng.random(probability.shape) < 0.3 + 0.4 * probability).astype(float)
    crossed = cross_fit_platt(target, probability)
    before, after = (expected_calibration_error(target, one).item() for one in (probability, crossed))
    assert after < 0.05 < before


@pytest.mark.parametrize("n", [2, 5])
def test_fewer_samples_than_folds_work(n: int) -> None:
    values = np.linspace(0.1, 0.9, n)[:, None]
    assert np.isfinite(cross_fit_conformal(values, values + 0.1, values).std).all()
    assert np.isfinite(cross_fit_platt((values > 0.5).astype(float), values)).all()
