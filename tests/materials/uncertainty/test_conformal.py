"""Conformal intervals: the quantile by hand, exact coverage in distribution, and what survives a model card."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from common.app.errors import CheckpointError, ConfigError, DataFormatError
from materials.metrics import miscalibration_area
from materials.uncertainty.conformal import WEIGHTS, Conformal, score_rank


def column(*values: float) -> np.ndarray:
    return np.array(values, float)[:, None]


def draws(n: int, seed: int = 0, graded: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, mean and std of a model whose true std is 0.2 + 3 std; [n, 1] each."""
    rng = np.random.default_rng(seed)
    std = np.exp(rng.normal(size=(n, 1))) if graded else np.full((n, 1), np.nan)
    true = 0.2 + 3 * std if graded else 1.0
    mean = rng.normal(size=(n, 1))
    return mean + true * rng.normal(size=(n, 1)), mean, std


def test_quantile_by_hand() -> None:
    # 9 residuals: of 10 places for a new one, 9 lie below the largest: the 90 % interval reaches it; 80 %, the 8th
    target, mean, std = column(1, -2, 3, -4, 5, -6, 7, -8, 9), column(*[0.0] * 9), column(*[math.nan] * 9)
    fitted = Conformal.fit(target, mean, std, (0.5, 0.8, 0.9, 0.95))
    half_widths = [fitted.interval(column(10), column(math.nan), level).upper.item() - 10 for level in (0.5, 0.8, 0.9)]
    np.testing.assert_allclose(half_widths, [5, 8, 9])
    assert fitted.interval(column(10), column(math.nan), 0.95).lower.item() == -math.inf  # nine cannot support 95 %
    assert fitted.quantile[0][-1] is None


@given(st.integers(1, 3000), st.integers(1, 99))
def test_rank_is_the_smallest_that_suffices(n: int, percent: int) -> None:
    k = score_rank(n, percent / 100)
    assert 100 * k >= percent * (n + 1) > 100 * (k - 1)


def test_coverage_is_beta_binomial_over_calibration_sets() -> None:
    """Exchangeable samples, whatever their distribution: the number covered among m new ones is exactly that law."""
    n, m, repeats, level = 40, 25, 2000, 0.9
    rng = np.random.default_rng(0)
    error = rng.standard_cauchy((repeats, n + m))
    nothing, unknown = np.zeros((n, repeats)), np.full((n, repeats), np.nan)
    fitted = Conformal.fit(error[:, :n].T, nothing, unknown, (level,))  # each repeat as a property of its own
    lower, upper = fitted.interval(np.zeros((m, repeats)), np.full((m, repeats), np.nan), level)
    new = error[:, n:].T
    covered = ((new >= lower) & (new <= upper)).sum(axis=0)
    k = score_rank(n, level)
    law = stats.betabinom(m, k, n + 1 - k)
    observed = np.bincount(covered, minlength=m + 1)
    expected = repeats * law.pmf(np.arange(m + 1))
    few = expected < 8
    observed = np.append(observed[~few], observed[few].sum())
    expected = np.append(expected[~few], expected[few].sum())
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    assert covered.mean() / m == pytest.approx(k / (n + 1), abs=4 * law.std() / m / math.sqrt(repeats))


def test_scaled_intervals_cover_too_and_are_wide_where_errors_are_large() -> None:
    covered, k = [], score_rank(60, 0.9)
    for seed in range(150):
        target, mean, std = draws(260, seed)
        fitted = Conformal.fit(target[:60], mean[:60], std[:60], (0.9,))
        lower, upper = fitted.interval(mean[60:], std[60:])
        covered.append(((target[60:] >= lower) & (target[60:] <= upper)).mean())
        assert np.corrcoef((upper - lower)[:, 0], std[60:, 0])[0, 1] > 0.5
    law = stats.betabinom(200, k, 61 - k)
    assert np.mean(covered) == pytest.approx(k / 61, abs=4 * law.std() / 200 / math.sqrt(150))


def test_std_is_brought_to_its_true_size() -> None:
    target, mean, std = draws(20_000)
    fitted = Conformal.fit(target, mean, std)
    true, found = 0.2 + 3 * std, fitted.std(std)
    assert np.abs(found / true - 1).max() < 0.1
    assert np.mean(((target - mean) / found) ** 2) == pytest.approx(1)
    assert miscalibration_area(target, mean, found).item() < 0.01 < miscalibration_area(target, mean, std).item()


def test_a_std_that_says_nothing_is_not_used() -> None:
    target, mean, _ = draws(5000, graded=False)
    std = np.exp(np.random.default_rng(1).normal(size=target.shape))
    fitted = Conformal.fit(target, mean, std)
    assert np.std(fitted.std(std)) < 0.05 * np.mean(fitted.std(std))


def test_zero_std_and_perfect_predictions_stay_finite() -> None:
    target, mean, std = draws(50)
    zero = Conformal.fit(target, mean, np.zeros_like(std))
    assert np.isfinite(zero.interval(mean, np.zeros_like(std))).all() and zero.floor[0] > 0
    some = np.where(std < 1, 0.0, std)
    assert (Conformal.fit(target, mean, some).std(some) > 0).all()
    perfect = Conformal.fit(mean, mean, std)
    assert np.allclose(np.subtract(*perfect.interval(mean, std)), 0) and np.isfinite(perfect.std(std)).all()
    assert WEIGHTS.max() < 1


def test_missing_targets_are_left_out_of_their_property() -> None:
    first, second = draws(80, 1), draws(80, 2, graded=False)
    target, mean, std = (np.concatenate(pair, axis=1) for pair in zip(first, second, strict=True))
    target[50:, 1] = np.nan
    both = Conformal.fit(target, mean, std)
    alone = Conformal.fit(*(one[:50] for one in second))
    assert both.quantile[1] == alone.quantile[0] and both.count == (80, 50)
    assert both.slope[1] == 0 and np.isfinite(both.interval(mean, std)).all()
    with pytest.raises(DataFormatError, match="no known target"):
        Conformal.fit(np.full((3, 1), np.nan), np.zeros((3, 1)), np.zeros((3, 1)))


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100), st.floats(-10, 10))
def test_intervals_move_and_scale_with_the_unit(scale: float, shift: float) -> None:
    target, mean, std = draws(40)
    lower, upper = Conformal.fit(target, mean, std).interval(mean, std)
    other = Conformal.fit(target * scale + shift, mean * scale + shift, std * scale)
    found = other.interval(mean * scale + shift, std * scale)
    np.testing.assert_allclose(found, (lower * scale + shift, upper * scale + shift), rtol=1e-6, atol=1e-6 * scale)


def test_higher_levels_hold_lower_ones() -> None:
    target, mean, std = draws(300)
    fitted = Conformal.fit(target, mean, std)
    upper = np.stack([fitted.interval(mean, std, level).upper for level in fitted.levels])
    assert (np.diff(upper, axis=0) >= 0).all()


def test_a_model_card_holds_it() -> None:
    target, mean, std = draws(12)
    fitted = Conformal.fit(target, mean, std)
    card = json.loads(json.dumps(fitted.to_card(), allow_nan=False))
    assert Conformal.from_card(card) == fitted and None in fitted.quantile[0]
    del card["floor"]
    with pytest.raises(CheckpointError, match="floor"):
        Conformal.from_card(card)


def test_wrong_levels_and_shapes_say_so() -> None:
    target, mean, std = draws(30)
    with pytest.raises(ConfigError, match=r"0\.05, 0\.1"):
        Conformal.fit(target, mean, std).interval(mean, std, 0.91)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Conformal.fit(target, mean, std, (90,))
    with pytest.raises(DataFormatError, match=r"\(30,\)"):
        Conformal.fit(target[:, 0], mean, std)
