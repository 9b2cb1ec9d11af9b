"""What is usual at a time of the year and of the day, at every point: a few waves fitted to the training period.

Forecasts far ahead are better told as deviations from it: where nothing is known, nothing deviates. Few waves, because
a short period holds each season once or twice: a mean over the weeks around a date is largely the weather of that year.

P waves, T times, C channels, H latitudes, W longitudes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.app.errors import ConfigError
from common.data.cache import cached_arrays
from weather.data.fields import Fields
from weather.data.forcings import TROPICAL_YEAR_DAYS
from weather.data.solar import J2000

VERSION = "1"
PIECE_BYTES = 64_000_000
YEAR_WAVES, DAY_WAVES = 1, 2
LEAST_DAYS = 300
"""Of a period that tells what is usual in a year."""

NEGLIGIBLE = 1e-9
"""Share of the greatest eigenvalue below which waves cannot be told apart, as half days in 12-hourly data."""


class Climate:
    """
    coefficients  [P, C, H, W] float32, of `waves`
    """

    def __init__(self, coefficients: Tensor) -> None:
        self.coefficients = coefficients

    @classmethod
    def fit(cls, fields: Fields, key: Any = None) -> Climate:
        """Least squares over all times, read once.

        key  content of the data as JSON; with one, the result is kept in the cache

        Raises ConfigError for a period much shorter than a year.
        """
        days = (fields.times[-1] - fields.times[0]) / np.timedelta64(1, "D")
        if days < LEAST_DAYS:
            raise ConfigError(
                f"{fields.where} covers {days:.0f} days, and what is usual in a year takes {LEAST_DAYS}; train on a "
                "longer period, or leave forecast.deviations and forecast.shrink false"
            )
        if key is None:
            return cls(torch.from_numpy(_fit(fields)["coefficients"]))
        span = [str(fields.times[0]), str(fields.times[-1]), len(fields)]
        description = {"content": key, "span": span, "channels": [channel.label for channel in fields.channels]}
        found = cached_arrays("climate", description, VERSION, lambda: _fit(fields))
        return cls(torch.from_numpy(found["coefficients"]))

    def to(self, device: torch.device) -> Climate:
        return Climate(self.coefficients.to(device))

    def at(self, times: np.ndarray) -> Tensor:
        """At datetime64 times of any shape [...]: [..., C, H, W] float32 on the device."""
        told = torch.from_numpy(waves(times.reshape(-1))).to(self.coefficients)
        return torch.einsum("tp,pchw->tchw", told, self.coefficients).unflatten(0, times.shape)


@dataclass(frozen=True)
class Deviations(Fields):
    """Fields less their climate."""

    climate: Climate

    @classmethod
    def from_climate(cls, fields: Fields, climate: Climate) -> Deviations:
        return cls(fields.dataset, fields.channels, fields.where, climate)

    def read(self, index: np.ndarray | slice) -> np.ndarray:
        return super().read(index) - self.climate.at(self.times[index]).numpy()


def waves(times: np.ndarray) -> np.ndarray:
    """Every wave of the year times every wave of the day (UTC), a constant among each: [T, P] float64."""
    days = (times.astype("datetime64[ns]") - J2000) / np.timedelta64(1, "D")
    year, day = _turns(days / TROPICAL_YEAR_DAYS, YEAR_WAVES), _turns(days + 0.5, DAY_WAVES)
    return (year[:, :, None] * day[:, None, :]).reshape(len(times), -1)


def _turns(turn: np.ndarray, count: int) -> np.ndarray:
    """One, and sine and cosine of 1 to `count` times the angle, [T, 1 + 2 count]."""
    angle = 2 * np.pi * np.remainder(turn, 1)[:, None] * np.arange(1, count + 1)
    return np.concatenate([np.ones((len(turn), 1)), np.sin(angle), np.cos(angle)], axis=1)


def _fit(fields: Fields) -> dict[str, np.ndarray]:
    piece = max(1, PIECE_BYTES // fields.frame_bytes)
    told = waves(fields.times)
    product = np.zeros((told.shape[1], fields.frame_bytes // 4))
    for first in range(0, len(fields), piece):
        part = slice(first, first + piece)
        product += told[part].T @ fields.read(part).reshape(-1, product.shape[1]).astype(np.float64)
    solved = np.linalg.pinv(told.T @ told, rcond=NEGLIGIBLE, hermitian=True) @ product
    return {"coefficients": solved.reshape(-1, len(fields.channels), *fields.grid.shape).astype(np.float32)}
