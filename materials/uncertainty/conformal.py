"""Prediction intervals that cover new materials as often as they say, from the errors on a calibration split.

Split conformal prediction with scaled residuals: Lei et al., arXiv:1604.04173, section 5.2. Of n calibration samples
with scores s_i = |y_i - mean_i| / sigma_i, the k-th smallest, k = ceil((n + 1) level), bounds the score of a new sample
with probability k / (n + 1) >= level, whatever the distribution, if new samples are drawn like the calibration ones.
The interval is mean +- s_(k) sigma. The correction is one-sided: a small calibration set makes intervals wider, never
narrower, and one with k > n makes them infinite. Over calibration sets, coverage scatters as Beta(k, n + 1 - k): by
0.03 for a 90 % interval from 100 samples.

sigma = slope std + floor, slope and floor >= 0, is the calibrated standard deviation (Palmer et al.,
doi:10.1038/s41524-022-00794-8): the pair of highest Gaussian likelihood, so that the mean of ((y - mean) / sigma)^2 is
one. Without a std, slope is 0: scores are absolute residuals in units of their root mean square. The pair comes from
the same samples as the quantiles, and only its ratio matters to the scores; what that costs in coverage is of order
1 / n, where the constant sigma is exact.

Shapes: N samples, T properties, L levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from common.app.errors import CheckpointError, ConfigError, DataFormatError

LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""5 % to 95 %: enough to draw the calibration curve from."""

WEIGHTS = np.linspace(0, 1, 101)[:-1]
"""Of std against the floor. The floor keeps at least 1 %, so that a std of zero does not claim an exact prediction."""


class Interval(NamedTuple):
    """[N, T] each."""

    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class Conformal:
    """What calibration found, in numbers that a model card can hold.

    levels    [L]
    quantile  [T][L] score that a new sample stays below; None where the calibration set is too small for the level
    slope     [T]
    floor     [T] in the property's unit
    count     [T] calibration samples
    """

    levels: tuple[float, ...]
    quantile: tuple[tuple[float | None, ...], ...]
    slope: tuple[float, ...]
    floor: tuple[float, ...]
    count: tuple[int, ...]

    @classmethod
    def fit(cls, target: np.ndarray, mean: np.ndarray, std: np.ndarray, levels: Sequence[float] = LEVELS) -> Conformal:
        """From a calibration split, [N, T] each in the properties' units; a NaN target is unknown, a NaN std absent.

        Raises DataFormatError for shapes that differ and a property without any known target, ConfigError for levels
        outside of 0 to 1.
        """
        if not (target.ndim == 2 and target.shape == mean.shape == std.shape):
            raise DataFormatError(f"expected three arrays [N, T], found {target.shape}, {mean.shape}, {std.shape}")
        if not all(0 < level < 1 for level in levels):
            raise ConfigError(f"levels of intervals must lie between 0 and 1, found {tuple(levels)}")
        columns = [_fit_one(*column, levels) for column in zip(target.T, mean.T, std.T, strict=True)]
        quantile, slope, floor, count = zip(*columns, strict=True)
        return cls(tuple(levels), quantile, slope, floor, count)

    @classmethod
    def from_card(cls, values: Mapping[str, Any]) -> Conformal:
        """The inverse of `to_card`."""
        try:
            quantile = tuple(map(tuple, values["quantile"]))
            slope, floor, count = (tuple(values[name]) for name in ("slope", "floor", "count"))
            return cls(tuple(values["levels"]), quantile, slope, floor, count)
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"the model card's calibration is incomplete or of another form: {error!r}"
            ) from error

    def to_card(self) -> dict[str, Any]:
        """For a model card, as JSON has it."""
        return asdict(self)

    def std(self, std: np.ndarray) -> np.ndarray:
        """Calibrated standard deviation [N, T], from the ensemble's."""
        slope, floor = np.array(self.slope), np.array(self.floor)
        return np.where(slope > 0, slope * std, 0.0) + floor

    def interval(self, mean: np.ndarray, std: np.ndarray, level: float = 0.9) -> Interval:
        """That covers a share `level` of new samples; `std` is the ensemble's, not yet calibrated.

        Raises ConfigError for a level that was not calibrated.
        """
        if level not in self.levels:
            known = ", ".join(f"{one:g}" for one in self.levels)
            raise ConfigError(f"no interval of level {level:g}; calibrated are {known}")
        column = self.levels.index(level)
        found = [quantile[column] for quantile in self.quantile]
        half_width = np.array([math.inf if one is None else one for one in found]) * self.std(std)
        return Interval(mean - half_width, mean + half_width)


def score_rank(n: int, level: float) -> int:
    """Which of n sorted scores, counted from 1, bounds a new one with probability >= level; above n: none does."""
    return math.ceil(round((n + 1) * level, 9))  # (n + 1) level may be a whole number but for its last bits


def _fit_one(
    target: np.ndarray, mean: np.ndarray, std: np.ndarray, levels: Sequence[float]
) -> tuple[tuple[float | None, ...], float, float, int]:
    known = ~np.isnan(target)
    n = int(known.sum())
    if not n:
        raise DataFormatError("a property has no known target in the calibration split; leave it out or add some")
    residual, std = np.abs(target - mean)[known], std[known]
    slope, floor = _fit_std(residual, std)
    score = np.sort(residual / ((slope * std if slope else 0.0) + floor))
    ranks = [score_rank(n, level) for level in levels]
    return tuple(float(score[k - 1]) if k <= n else None for k in ranks), slope, floor, n


def _fit_std(residual: np.ndarray, std: np.ndarray) -> tuple[float, float]:
    """Slope and floor of the highest likelihood.

    For a given weight w of std against the floor, sigma = c (w std / <std> + 1 - w), and c has a closed form.
    """
    typical = std.mean()
    weights = WEIGHTS if typical > 0 else WEIGHTS[:1]  # NaN compares as false
    shape = weights[:, None] * (std / typical) + 1 - weights[:, None] if typical > 0 else np.ones((1, len(std)))
    size = np.sqrt(np.square(residual / shape).mean(axis=1))
    size = np.maximum(size, np.finfo(float).tiny)  # residuals that are all zero
    best = int(np.argmin(np.log(size) + np.log(shape).mean(axis=1)))
    slope = weights[best] * size[best] / typical if weights[best] else 0.0
    return float(slope), float((1 - weights[best]) * size[best])
