"""Stable equitable error in probability space, a score of precipitation, and the climate that it needs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from common.app.errors import DataFormatError
from weather.metrics.average import Field, Keep, aligned, average, double, known, of_each_variable

DRY_M = 0.00025
"""Precipitation in 24 h (m) up to which a day is dry, as in WeatherBench 2."""

YEAR = 366

TRUSTED = (0.1, 0.85)
"""Shares of dry days between which the score is steady; other climates are left out."""


@of_each_variable
def seeps(
    forecast: Field,
    truth: Field,
    dry_share: Field,
    heavy_from: Field,
    weights: Any = None,
    keep: Keep = (),
    dry_to: float = DRY_M,
) -> Any:
    """Mean penalty of the categories dry, light and heavy: 0 perfect, 1 for what any constant forecast expects.

    Rodwell et al. 2010, doi:10.1002/qj.656, equation 15: with p the climate's share of dry days, twice the penalty is

        forecast \\ truth   dry                      light          heavy
        dry                0                        1 / (1 - p)    4 / (1 - p)
        light              1 / p                    0              3 / (1 - p)
        heavy              1 / p + 3 / (2 + p)      3 / (2 + p)    0

    dry_share   p of each point (and season), in [0, 1]
    heavy_from  the amount from which precipitation is heavy, exceeded on a third of the wet days; units of the truth
    dry_to      the amount up to which it is dry
    """
    forecast, truth, p, heavy_from = aligned(forecast, truth, dry_share, heavy_from)
    p = double(p)
    dry, heavy = (forecast <= dry_to, truth <= dry_to), (forecast >= heavy_from, truth >= heavy_from)
    light = tuple(~d & ~h for d, h in zip(dry, heavy, strict=True))
    penalty = (
        (dry[0] & light[1]) * (1 / (1 - p))
        + (dry[0] & heavy[1]) * (4 / (1 - p))
        + (light[0] & dry[1]) * (1 / p)
        + (light[0] & heavy[1]) * (3 / (1 - p))
        + (heavy[0] & dry[1]) * (1 / p + 3 / (2 + p))
        + (heavy[0] & light[1]) * (3 / (2 + p))
    ) / 2
    steady = (p >= TRUSTED[0]) & (p <= TRUSTED[1]) & known(heavy_from)
    return average(penalty.where(known(forecast), float("nan")), known(truth) & steady, weights, keep)


def seeps_climate(
    amounts: xr.DataArray, days: Sequence[int] = range(1, YEAR + 1), window: int = 30, dry_to: float = DRY_M
) -> xr.Dataset:
    """`dry_share` and `heavy_from` of each place and day of the year, over (dayofyear, ...): what `seeps` asks for.

    Of all amounts at most `window` days of the year away: the share that is dry, and the amount that a third of the wet
    ones exceed, so that light is twice as frequent as heavy; Rodwell et al. 2010, doi:10.1002/qj.656. NaN where all are
    dry. Lazily over dask, which takes the times as one chunk.

        climate = seeps_climate(past).sel(dayofyear=truth["time"].dt.dayofyear)
        seeps(forecast, truth, climate["dry_share"], climate["heavy_from"])

    amounts  precipitation in 24 h over time and places, several years of it; NaN where unknown

    Raises DataFormatError without a time axis and for a day that no amount is near.
    """
    if "time" not in amounts.dims:
        raise DataFormatError(f"amounts over ({', '.join(map(str, amounts.dims))}): expected a dimension 'time'")
    apart = np.abs(amounts["time"].dt.dayofyear.values - np.asarray(days)[:, None])
    near = np.minimum(apart, YEAR - apart) <= window
    if not near.any(axis=1).all():
        lonely = np.asarray(days)[~near.any(axis=1)][0]
        raise DataFormatError(f"no amount within {window} days of day {lonely} of the year; widen `window`")

    def of_each_day(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = [_dry_and_heavy(values[..., chosen], dry_to) for chosen in near]
        dry, heavy = (np.stack(part, axis=-1) for part in zip(*parts, strict=True))
        return dry, heavy

    dry, heavy = xr.apply_ufunc(
        of_each_day, amounts, input_core_dims=[["time"]], output_core_dims=[["dayofyear"], ["dayofyear"]],
        dask="parallelized", output_dtypes=[np.float64, np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {"dayofyear": len(near)}},
    )  # fmt: skip
    found = xr.Dataset({"dry_share": dry, "heavy_from": heavy}).assign_coords(dayofyear=np.asarray(days))
    return found.transpose("dayofyear", ...)


def _dry_and_heavy(values: np.ndarray, dry_to: float) -> tuple[np.ndarray, np.ndarray]:
    """[..., T] -> share of the dry and two thirds' quantile of the wet, [...] each."""
    there = ~np.isnan(values)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # a place that is always dry has no quantile: NaN
        dry = (there & (values <= dry_to)).sum(-1) / there.sum(-1)
        return dry, np.nanquantile(np.where(values > dry_to, values, np.nan), 2 / 3, axis=-1)
