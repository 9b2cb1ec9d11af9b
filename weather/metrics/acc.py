"""Anomaly correlation coefficient."""

from __future__ import annotations

from typing import Any

import xarray as xr

from weather.metrics.average import Field, Keep, aligned, average, kept_axes, known, of_each_variable, sums

MAP = ("latitude", "longitude")


@of_each_variable
def acc(forecast: Field, truth: Field, climatology: Field, weights: Any = None, keep: Keep = ()) -> Any:
    """<w a b> / sqrt(<w a^2> <w b^2>) with anomalies a = f - c, b = y - c, over each map; then the mean over the rest.

    Not centred, as in WeatherBench 2, doi:10.1029/2023MS004019 (equation 9 there is of each time and lead).
    Maps are the dimensions latitude and longitude, of tensors the last two axes; `keep` may not name them. A map
    without any anomaly has no correlation and is left out.

    climatology  of the valid times; broadcasts with the truth
    """
    forecast, truth, climatology = aligned(forecast, truth, climatology)
    a, b, there = forecast - climatology, truth - climatology, known(truth) & known(climatology)
    product, labelled = a * b, isinstance(a, xr.DataArray)
    rest = [dim for dim in product.dims if dim not in MAP] if labelled else list(range(product.ndim - 2))
    (covariance, weight), (first, _), (second, _) = (sums(v, there, weights, rest) for v in (product, a**2, b**2))
    norm = (first * second) ** 0.5
    counted = (weight > 0) & (norm != 0)
    if not labelled:
        return average(covariance / norm, counted, None, kept_axes(product.ndim, keep))
    own = [dim for dim in norm.dims if dim not in rest]  # of the weights, such as region
    return average(covariance / norm, counted, xr.DataArray(1.0), [*keep, *own])
