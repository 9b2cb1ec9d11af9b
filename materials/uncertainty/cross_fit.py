"""Honest figures of a calibration split: each sample is judged by a calibration on the other folds.

Shapes: N samples, T properties, L levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from materials.uncertainty.conformal import LEVELS, Conformal
from materials.uncertainty.platt import Platt

FOLDS = 10


class CrossFit(NamedTuple):
    """std [N, T]    lower, upper [L, N, T]"""

    std: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def cross_fit_conformal(
    target: np.ndarray, mean: np.ndarray, std: np.ndarray, levels: Sequence[float] = LEVELS
) -> CrossFit:
    """Calibrated std and intervals; arguments as `Conformal.fit` has them."""
    calibrated, ends = np.full(mean.shape, np.nan), np.full((2, len(levels), *mean.shape), np.nan)
    for held in _folds(len(target)):
        fitted = Conformal.fit(target[~held], mean[~held], std[~held], levels)
        calibrated[held] = fitted.std(std[held])
        for row, level in enumerate(levels):
            ends[:, row, held] = fitted.interval(mean[held], std[held], level)
    return CrossFit(calibrated, *ends)


def cross_fit_platt(target: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Calibrated probabilities [N, T]; arguments as `Platt.fit` has them."""
    calibrated = np.full(probability.shape, np.nan)
    for held in _folds(len(target)):
        fitted = Platt.fit(target[~held], probability[~held])
        calibrated[held], _ = fitted(probability[held], np.zeros_like(probability[held]))
    return calibrated


def _folds(n: int) -> Iterator[np.ndarray]:
    """Which samples each fold holds [N], drawn once and for all."""
    fold = np.random.default_rng(0).permutation(n) % FOLDS
    return (fold == one for one in range(min(FOLDS, n)))
