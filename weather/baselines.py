"""Forecasts that need no network: persistence, climatology, ridge regression on principal components.

T times, C channels, H latitudes, W longitudes, N = C H W, P components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import svds

from common.app.errors import ConfigError
from weather.data.fields import Fields
from weather.data.statistics import pairs

COMPONENTS = 100
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
WINDOW_DAYS = 15
PIECE_BYTES = 64_000_000
HELD_BYTES = 2_000_000_000
"""Training fields up to this size are held in memory, by climatology and regression."""


def read_all(fields: Fields) -> np.ndarray:
    """[T, C, H, W] float32."""
    piece = max(1, PIECE_BYTES // fields.frame_bytes)
    return np.concatenate([fields.read(slice(start, start + piece)) for start in range(0, len(fields), piece)])


class Climatology:
    """What is usual at a time of the year and of the day.

    The mean of all training states of the same hour (UTC) that are at most `WINDOW_DAYS` days of the year away; where
    there is none, of the same hour; where the states are too many to hold, of all times.
    """

    def __init__(self, fields: Fields) -> None:
        self.values = read_all(fields) if fits_in_memory(fields) else None
        self.mean = _mean(fields) if self.values is None else self.values.mean(axis=0, dtype=np.float64)
        self.hour, self.day = _hour_and_day(fields.times)
        self._known: dict[tuple[int, int], np.ndarray] = {}

    def at(self, times: np.ndarray) -> np.ndarray:
        """[T, C, H, W] float32."""
        if self.values is None:
            return np.broadcast_to(self.mean.astype(np.float32), (len(times), *self.mean.shape))
        return np.stack([self._at(*key) for key in zip(*(part.tolist() for part in _hour_and_day(times)), strict=True)])

    def _at(self, hour: int, day: int) -> np.ndarray:
        if (hour, day) not in self._known:
            assert self.values is not None
            apart = np.abs(self.day - day)
            same = self.hour == hour
            near = same & (np.minimum(apart, 365 - apart) <= WINDOW_DAYS)
            chosen = near if near.any() else same if same.any() else np.ones_like(same)
            self._known[hour, day] = self.values[chosen].mean(axis=0)
        return self._known[hour, day]


def fits_in_memory(fields: Fields) -> bool:
    return fields.frame_bytes * len(fields) <= HELD_BYTES


def _hour_and_day(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hour of the day and day of the year of each time, from zero."""
    days = times.astype("datetime64[D]")
    hour = (times - days).astype("timedelta64[h]").astype(int)
    return hour, (days - times.astype("datetime64[Y]").astype("datetime64[D]")).astype(int)


def _mean(fields: Fields) -> np.ndarray:
    """Of all times, [C, H, W] float64."""
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
        leading = min(count, len(values) - 1)
        _, _, patterns = svds(flat, leading, v0=np.ones(min(flat.shape)))  # weakest first
        return cls(mean.ravel(), scale.ravel(), np.asarray(patterns)[::-1], values.shape[1:])

    def project(self, values: np.ndarray) -> np.ndarray:
        """[T, C, H, W] -> [T, P]."""
        return ((values.reshape(len(values), -1) - self.mean) * self.scale) @ self.patterns.T

    def expand(self, components: np.ndarray) -> np.ndarray:
        """[T, P] -> [T, C, H, W]."""
        return (components @ self.patterns / self.scale + self.mean).reshape(-1, *self.shape)


@dataclass(frozen=True)
class RidgeForecast:
    """Components of the state some hours ahead as a linear function of those of the present.

    penalty  that was best on the validation split
    """

    components: PrincipalComponents
    weights: np.ndarray
    penalty: float

    @classmethod
    def fit(cls, train: Fields, val: Fields, leads_h: Sequence[float]) -> dict[float, RidgeForecast]:
        """One for each lead time, fitted on all pairs of `train`; the penalty is chosen on those of `val`.

        Raises ConfigError where a split has no pair so far apart.
        """
        learned = read_all(train)
        components = PrincipalComponents.of(learned, train.grid.area_weights(), COMPONENTS)
        known, judged = components.project(learned), components.project(read_all(val))
        return {lead_h: cls._fitted(components, known, train, judged, val, lead_h) for lead_h in leads_h}

    @classmethod
    def _fitted(
        cls, components: PrincipalComponents, known: np.ndarray, train: Fields, judged: np.ndarray, val: Fields,
        lead_h: float,
    ) -> RidgeForecast:  # fmt: skip
        x, y = _ends(known, train, lead_h)
        new, truth = _ends(judged, val, lead_h)
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
