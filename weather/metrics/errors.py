"""Root-mean-square error, mean absolute error and bias, as in WeatherBench 2, doi:10.1029/2023MS004019.

With w the weights and <> the mean over all dimensions that are not kept, times included.
"""

from __future__ import annotations

from typing import Any

from weather.metrics.average import Field, Keep, aligned, average, known, of_each_variable


@of_each_variable
def rmse(forecast: Field, truth: Field, weights: Any = None, keep: Keep = ()) -> Any:
    """sqrt(<w (f - y)^2> / <w>); the root is taken last, after the mean over times."""
    forecast, truth = aligned(forecast, truth)
    return average((forecast - truth) ** 2, known(truth), weights, keep) ** 0.5


@of_each_variable
def mae(forecast: Field, truth: Field, weights: Any = None, keep: Keep = ()) -> Any:
    """<w |f - y|> / <w>"""
    forecast, truth = aligned(forecast, truth)
    return average(abs(forecast - truth), known(truth), weights, keep)


@of_each_variable
def bias(forecast: Field, truth: Field, weights: Any = None, keep: Keep = ()) -> Any:
    """<w (f - y)> / <w>: positive where forecasts are too high."""
    forecast, truth = aligned(forecast, truth)
    return average(forecast - truth, known(truth), weights, keep)
