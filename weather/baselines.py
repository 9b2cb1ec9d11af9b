"""Forecasts that need no network: persistence, climatology, ridge regression on principal components.

T times, C channels, H latitudes, W longitudes, N = C H W, P components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.app.errors import ConfigError
from weather.data.fields import Fields
from weather.data.statistics import pairs

COMPONENTS = 100
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
PIECE_BYTES = 64_000_000


def read_all(fields: Fields) -> np.ndarray:
    """[T, C, H, W] float32."""
    piece = max(1, PIECE_BYTES // fields.frame_bytes)
    return np.concatenate([fields.read(slice(start, start + piece)) for start in range(0, len(fields), piece)])


def climatology(fields: Fields) -> np.ndarray:
    """Mean of all times, [C, H, W] float64."""
    total = np.zeros((len(fields.channels), *fields.grid.shape))
    piece = max(1, PIECE_BYTES // fields.frame_bytes)
    for start in range(0, len(fields), piece):
        total += fields.read(slice(start, start + piece)).sum(axis=0, dtype=np.float64)
    return total / len(fields)


@dataclass(frozen=True)
class PrincipalComponents:
    """Leading patterns of standardised fields, cells by the root of their area.

    mean, scale  [N]: what is taken off, and what the rest is multiplied with
    patterns     [P, N], orthonormal
    """

    mean: np.ndarray
    scale: np.ndarray
    patterns: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def of(cls, values: np.ndarray, area: np.ndarray, count: int) -> PrincipalComponents:
        """Of values [T, C, H, W] with areas [H, W]."""
        mean = values.mean(axis=0, dtype=np.float64)
        std = np.sqrt(((values - mean) ** 2 * area).mean(axis=(0, 2, 3)))
        scale = np.broadcast_to(np.sqrt(area) / std[:, None, None], mean.shape)
        flat = ((values - mean) * scale).reshape(len(values), -1)
        _, _, patterns = np.linalg.svd(flat, full_matrices=False)
        return cls(mean.ravel(), scale.ravel(), patterns[: min(count, len(values) - 1)], values.shape[1:])

    def project(self, values: np.ndarray) -> np.ndarray:
        """[T, C, H, W] -> [T, P]."""
        return ((values.reshape(len(values), -1) - self.mean) * self.scale) @ self.patterns.T

    def expand(self, components: np.ndarray) -> np.ndarray:
        """[T, P] -> [T, C, H, W]."""
        return (components @ self.patterns / self.scale + self.mean).reshape(-1, *self.shape)


@dataclass(frozen=True)
class RidgeForecast:
    """Components of the state some hours ahead as a linear function of those of the present; one fit a lead time.

    penalty  that was best on the validation split
    """

    components: PrincipalComponents
    weights: np.ndarray
    penalty: float

    @classmethod
    def fit(cls, train: Fields, val: Fields, lead_h: float) -> RidgeForecast:
        """Fitted on all pairs of `train`; the penalty is chosen on those of `val`.

        Raises ConfigError where a split has no pair so far apart.
        """
        learned, judged = read_all(train), read_all(val)
        area = train.grid.area_weights()
        components = PrincipalComponents.of(learned, area, COMPONENTS)
        x, y = _ends(components.project(learned), train, lead_h)
        new, truth = _ends(components.project(judged), val, lead_h)
        gram, product = x.T @ x, x.T @ y
        fits = {penalty: np.linalg.solve(gram + penalty * np.eye(len(gram)), product) for penalty in PENALTIES}
        best = min(PENALTIES, key=lambda penalty: float(((new @ fits[penalty] - truth) ** 2).mean()))
        return cls(components, fits[best], best)

    def __call__(self, initial: np.ndarray) -> np.ndarray:
        """[T, C, H, W] -> [T, C, H, W], the fit's lead time ahead."""
        return self.components.expand(self.components.project(initial) @ self.weights)


def _ends(components: np.ndarray, fields: Fields, lead_h: float) -> tuple[np.ndarray, np.ndarray]:
    first, second = pairs(fields.times, lead_h)
    if not len(first):
        raise ConfigError(f"{fields.where} has no two times {lead_h:g} h apart; ask for other lead times")
    return components[first], components[second]
