"""Probabilities of class 1 that mean what they say: Platt scaling of an ensemble's mean probability.

    p' = sigmoid(slope logit(p) + bias)

Platt, Advances in Large Margin Classifiers (1999); on neural networks Guo et al., arXiv:1706.04599; pooled over the
members before it is calibrated, as Rahaman & Thiery, arXiv:2007.08792, recommend. The logarithm of the slope and the
bias have the prior Normal(0, 1): the order of predictions is never changed, and a property with few samples of a class,
or none, stays near what the network says.

Shapes: N samples, T properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from common.app.errors import CheckpointError, DataFormatError

CERTAIN = 1e-6
"""Probabilities are kept this far from 0 and 1."""


@dataclass(frozen=True)
class Platt:
    """slope [T] and bias [T], in numbers that a model card can hold."""

    slope: tuple[float, ...]
    bias: tuple[float, ...]

    @classmethod
    def fit(cls, target: np.ndarray, probability: np.ndarray) -> Platt:
        """From a calibration split: classes 0 and 1, NaN unknown, and probabilities of class 1, [N, T] each."""
        if target.ndim != 2 or target.shape != probability.shape:
            raise DataFormatError(f"expected two arrays [N, T], found {target.shape} and {probability.shape}")
        fitted = [_fit_one(*column) for column in zip(target.T, probability.T, strict=True)]
        return cls(tuple(slope for slope, _ in fitted), tuple(bias for _, bias in fitted))

    @classmethod
    def from_card(cls, values: Mapping[str, Any]) -> Platt:
        """The inverse of `to_card`."""
        try:
            return cls(tuple(values["slope"]), tuple(values["bias"]))
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"the model card's calibration is incomplete or of another form: {error!r}"
            ) from error

    def to_card(self) -> dict[str, Any]:
        """For a model card, as JSON has it."""
        return asdict(self)

    def __call__(self, probability: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Calibrated probability of class 1, and the members' disagreement carried over to it to first order."""
        p = np.clip(probability, CERTAIN, 1 - CERTAIN)
        calibrated = _sigmoid(np.array(self.slope) * np.log(p / (1 - p)) + np.array(self.bias))
        steepness = np.abs(self.slope) * calibrated * (1 - calibrated) / (p * (1 - p))
        return calibrated, std * steepness


def _fit_one(target: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """The most probable slope and bias."""
    from scipy.optimize import minimize  # only fitting needs it; predictions start without

    known = ~np.isnan(target)
    target, p = target[known], np.clip(probability[known], CERTAIN, 1 - CERTAIN)
    score = np.log(p / (1 - p))

    def negative_log_posterior(value: np.ndarray) -> tuple[float, np.ndarray]:
        slope, bias = np.exp(value[0]), value[1]
        odds = slope * score + bias
        excess = _sigmoid(odds) - target
        gradient = np.array([slope * (excess * score).sum(), excess.sum()]) + value
        return float((np.logaddexp(0, odds) - target * odds).sum() + 0.5 * value @ value), gradient

    log_slope, bias = minimize(negative_log_posterior, np.zeros(2), jac=True, method="BFGS").x
    return float(np.exp(log_slope)), float(bias)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))
