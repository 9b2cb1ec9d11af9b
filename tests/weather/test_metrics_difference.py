"""Tests of a difference between two forecasters keep their error rate when scores are alike from start to start."""

import numpy as np
import pytest
import xarray as xr
from scipy import signal, stats

from common.app.errors import DataFormatError
from weather.metrics import bootstrap, t_test
from weather.metrics.difference import inflation


def process(first: float, second: float, series: int, times: int, seed: int = 0) -> np.ndarray:
    """x_t = first x_(t-1) + second x_(t-2) + noise, [series, times]."""
    noise = np.random.default_rng(seed).normal(size=(series, times + 200))
    return np.asarray(signal.lfilter([1], [1, -first, -second], noise, axis=-1))[:, 200:]


def test_the_inflation_is_that_of_the_process() -> None:
    """The standard error of the mean of a long series, over that of independent values of the same variance."""
    series = process(0.5, 0.2, 400, 4000)
    true = series.mean(-1).std() / (series.std() / np.sqrt(4000))
    assert np.median(inflation(series)) == pytest.approx(true, rel=0.08)


@pytest.mark.parametrize("test", [t_test, bootstrap])
def test_no_difference_is_found_about_as_often_as_stated(test) -> None:
    series = process(0.6, 0.1, 500, 400)
    found = test(series, np.zeros_like(series))
    uncorrected = stats.ttest_1samp(series, 0, axis=-1).pvalue
    assert (uncorrected < 0.05).mean() > 0.25
    assert 0.02 < (found.p_value < 0.05).mean() < 0.1
    outside = (found.lower > 0) | (found.upper < 0)
    assert 0.02 < outside.mean() < 0.1


@pytest.mark.parametrize("test", [t_test, bootstrap])
def test_a_difference_is_found_and_turns_its_sign(test) -> None:
    first, second = process(0.3, 0.0, 2, 500)
    found, turned = test(first + 0.5, second), test(second, first + 0.5)
    assert found.p_value < 0.01 and found.lower > 0
    assert turned.mean == pytest.approx(-found.mean) and turned.p_value == pytest.approx(found.p_value, abs=2e-3)


def test_independent_scores_have_students_p_value() -> None:
    alternating = np.random.default_rng(0).normal(size=300)
    alternating -= signal.lfilter([0, 0.5], [1], alternating)  # negative autocorrelation never narrows the interval
    found = t_test(alternating + 0.1, np.zeros(300))
    assert found.p_value == pytest.approx(stats.ttest_1samp(alternating + 0.1, 0).pvalue)


def test_scores_by_lead_time_are_tested_lead_by_lead() -> None:
    series = xr.DataArray(process(0.3, 0.0, 3, 100), dims=("prediction_timedelta", "time"))
    found = t_test(series.transpose("time", ...), 0 * series.transpose("time", ...))
    assert found.mean.dims == ("prediction_timedelta",)
    np.testing.assert_allclose(found.p_value, t_test(series.values, 0 * series.values).p_value)


def test_the_same_forecaster_twice_and_too_few_starts() -> None:
    series = process(0.3, 0.0, 1, 50)[0]
    for test in (t_test, bootstrap):
        found = test(series, series)
        assert (found.mean, found.lower, found.upper, found.p_value) == (0, 0, 0, 1)
        with pytest.raises(DataFormatError, match="4 or more"):
            test(series[:3], series[:3])
        with pytest.raises(DataFormatError, match="the same starts"):
            test(series, series[:-1])
