"""Truth at the valid times of forecasts."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import xarray as xr

from common.app.errors import DataFormatError

T = TypeVar("T", xr.DataArray, xr.Dataset)


def verifying(truth: T, forecast: xr.DataArray | xr.Dataset) -> T:
    """`truth` over (time, ...) at time + prediction_timedelta of a forecast, over (time, prediction_timedelta, ...).

    Valid times that the truth does not have are NaN, and so left out of scores.

    Raises DataFormatError where the forecast has no lead time or no valid time has its truth.
    """
    for axis, field in (("time", truth), ("time", forecast), ("prediction_timedelta", forecast)):
        if axis not in field.dims:
            raise DataFormatError(f"no dimension '{axis}' among ({', '.join(map(str, field.dims))})")
    held, valid = truth.indexes["time"], forecast["time"] + forecast["prediction_timedelta"]
    place = xr.DataArray(held.get_indexer(valid.values.ravel()).reshape(valid.shape), valid.coords, valid.dims)
    if not (place >= 0).any():
        span = [str(np.datetime64(time, "m")) for time in (valid.values.min(), valid.values.max())]
        raise DataFormatError(
            f"the truth, {held[0]} to {held[-1]}, has none of the forecasts' valid times, {span[0]} to {span[1]}; "
            "give the truth of that period"
        )
    return truth.drop_vars("time").isel(time=place.clip(0)).where(place >= 0)
