"""Whether one forecaster is better than another: tests of the mean difference of two series of scores.

Scores of neighbouring starts are alike, so that T of them say less than T independent ones. Series hold one score for
each start, evenly spaced: squared errors rather than their roots (Geer 2016).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from common.app.errors import DataFormatError

LEAST = 4
"""Scores that a test needs: it estimates a mean, a variance and two autocorrelations."""


class Difference(NamedTuple):
    """Of the mean of first - second: the estimate, its confidence interval, and the p-value of no difference.

    As the series, without time.
    """

    mean: Any
    lower: Any
    upper: Any
    p_value: Any


def t_test(first: Any, second: Any, level: float = 0.95) -> Difference:
    """Student's test of paired scores [..., T] with the standard error inflated for autocorrelation.

    The differences are taken for a process of second order, as in WeatherBench 2: with autocorrelations r1, r2,
    a1 = r1 (1 - r2) / (1 - r1^2), a2 = (r2 - r1^2) / (1 - r1^2), the standard error grows by
    k = sqrt((1 - r1 a1 - r2 a2) / (1 - a1 - a2)^2), at least 1; Geer 2016, doi:10.3402/tellusa.v68.30229.

    first, second  arrays with time last, or DataArrays over `time`; a NaN makes the result NaN
    """

    def test(differences: np.ndarray) -> tuple[np.ndarray, ...]:
        count = differences.shape[-1]
        mean = differences.mean(-1)
        error = inflation(differences) * differences.std(-1, ddof=1) / np.sqrt(count)
        reach = stats.t.ppf((1 + level) / 2, count - 1) * error
        with np.errstate(invalid="ignore", divide="ignore"):
            p = 2 * stats.t.sf(np.abs(mean / error), count - 1)
        return mean, mean - reach, mean + reach, np.where((mean == 0) & (error == 0), 1.0, p)

    return _over_time(test, first, second)


def bootstrap(
    first: Any, second: Any, level: float = 0.95, samples: int = 2000, block: int | None = None, seed: int = 0
) -> Difference:
    """Percentile interval of the mean over series drawn in blocks, of paired scores [..., T].

    Blocks that wrap around the end, Politis and Romano 1992 (ISBN 0-471-53631-8, circular bootstrap); all series of a
    call are drawn alike. The p-value is twice the smaller share of means on one side of zero, at least 1 / samples.

    block  length; default T^(1/3) (sqrt(6) r / (1 - r^2))^(2/3) with r the largest lag-1 autocorrelation,
           Carlstein 1986, doi:10.1214/aos/1176350057
    """

    def test(differences: np.ndarray) -> tuple[np.ndarray, ...]:
        count = differences.shape[-1]
        length = block or _block_length(differences)
        random = np.random.default_rng(seed)
        doubled = np.concatenate([differences, differences[..., :length]], -1)
        total = np.concatenate([np.zeros_like(doubled[..., :1]), doubled.cumsum(-1)], -1)
        of_block = (total[..., length : length + count] - total[..., :count]) / length
        drawn = random.integers(0, count, (samples, max(1, round(count / length))))
        means = np.stack([of_block[..., starts].mean(-1) for starts in drawn], -1)
        lower, upper = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=-1)
        side = np.minimum((means <= 0).mean(-1), (means >= 0).mean(-1))
        p = np.where(np.isnan(means).any(-1), np.nan, np.clip(2 * side, 1 / samples, 1))
        return differences.mean(-1), lower, upper, p

    return _over_time(test, first, second)


def inflation(series: np.ndarray) -> np.ndarray:
    """k of `t_test`: how many times the standard error of the mean of [..., T] is that of independent values."""
    r1, r2 = autocorrelation(series, 1), autocorrelation(series, 2)
    a1, a2 = r1 * (1 - r2) / (1 - r1**2), (r2 - r1**2) / (1 - r1**2)
    return np.maximum(1.0, np.sqrt((1 - r1 * a1 - r2 * a2) / (1 - a1 - a2) ** 2))


def autocorrelation(series: np.ndarray, lag: int) -> np.ndarray:
    """[..., T] -> [...]; 0 of a constant series."""
    away = series - series.mean(-1, keepdims=True)
    total = (away**2).sum(-1)
    return (away[..., lag:] * away[..., :-lag]).sum(-1) / np.where(total == 0, 1.0, total)


def _block_length(differences: np.ndarray) -> int:
    count = differences.shape[-1]
    r = float(np.nanmax(autocorrelation(differences, 1), initial=0.0))
    length = count ** (1 / 3) * (np.sqrt(6) * r / (1 - r**2)) ** (2 / 3)
    return int(np.clip(np.ceil(length), 1, count // 2))


def _over_time(test: Any, first: Any, second: Any) -> Difference:
    labelled = isinstance(first, xr.DataArray)
    first, second = (x if labelled else np.asarray(x, np.float64) for x in (first, second))
    count = first.sizes.get("time", 0) if labelled else first.shape[-1]
    if first.shape != second.shape or count < LEAST:
        raise DataFormatError(
            f"scores of shape {tuple(first.shape)} and {tuple(second.shape)}, {count} times: expected the same starts "
            f"of both, {LEAST} or more; keep='time' in a score gives one for each"
        )
    if not labelled:
        return Difference(*test(first - second))
    first, second = xr.align(first, second, join="exact")
    outputs = xr.apply_ufunc(
        test, (first - second).compute(), input_core_dims=[["time"]], output_core_dims=[[], [], [], []]
    )
    return Difference(*outputs)
