"""Spread of an ensemble, and whether it tells the error of its mean."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import xarray as xr

from weather.metrics.average import Field, Keep, aligned, average, known, mean_over, of_each_variable, with_members


@of_each_variable
def spread(ensemble: Field, weights: Any = None, keep: Keep = (), members: Hashable | None = None) -> Any:
    """sqrt(<w s^2> / <w>), s^2 the members' variance with M - 1; Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1.

    NaN of a single member, and where any member is.
    """
    (ensemble,) = aligned(ensemble)
    if isinstance(ensemble, xr.DataArray):
        first = ensemble.isel({members or "number": 0}, drop=True, missing_dims="ignore")
    else:
        first = ensemble.select(members or 0, 0)
    _, variance = _moments(ensemble, first, members)
    return average(variance, known(variance) | True, weights, keep) ** 0.5


@of_each_variable
def spread_skill_ratio(
    ensemble: Field,
    truth: Field,
    weights: Any = None,
    keep: Keep = (),
    corrected: bool = False,
    members: Hashable | None = None,
) -> Any:
    """Spread over the root-mean-square error of the ensemble's mean, at the points where the truth is known.

    A reliable ensemble of M members has sqrt(M / (M + 1)), as WeatherBench 2 counts; `corrected` by the inverse of that
    it has 1; Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1.
    """
    ensemble, truth = aligned(ensemble, truth)
    error, variance = _moments(ensemble, truth, members)
    ratio = average(variance, known(truth), weights, keep) / average(error**2, known(truth), weights, keep)
    count = with_members(ensemble, truth, members)[2]
    return (ratio * ((count + 1) / count if corrected else 1.0)) ** 0.5


def _moments(ensemble: Any, truth: Any, members: Hashable | None) -> tuple[Any, Any]:
    """Error of the mean and variance of the members, of differences to the truth: these lose no digits."""
    ensemble, dim, count = with_members(ensemble, truth, members)
    away = ensemble - truth
    error = mean_over(away, dim)
    square = mean_over((away - error) ** 2, dim)
    return error, square * (count / (count - 1) if count > 1 else float("nan"))
