"""Scores of forecasts: one definition for tensors on a device and for labelled fields, in memory or lazily over dask.

    from weather.metrics import rmse, by_region
    rmse(forecast, truth, keep=("prediction_timedelta",), weights=by_region(truth))

Fields are tensors or NumPy arrays [..., H, W], or xarray DataArrays (or Datasets, variable by variable) with canonical
names. A score is a mean over all dimensions but those in `keep`: names of labelled fields, axes of tensors.
Weights default to the exact area of cells, which labelled fields know from their coordinates; tensors count equally
unless weights that broadcast with them are given, such as `Grid.area_weights()`. A labelled weight with a dimension of
its own (region, season) gives the score for each.
A NaN of the truth is a missing value, and its point is left out; a NaN of a forecast whose truth is known makes the
score NaN, so that nothing lost goes unseen. Means are taken in float64.
Ensembles have a dimension `number` more than the truth, of tensors the first axis; `members` names another.
"""

from weather.metrics.acc import acc
from weather.metrics.brier import brier_score
from weather.metrics.crps import crps
from weather.metrics.difference import Difference, bootstrap, t_test
from weather.metrics.energy_score import energy_score
from weather.metrics.errors import bias, mae, rmse
from weather.metrics.pairs import verifying
from weather.metrics.rank_histogram import rank_histogram
from weather.metrics.seeps import seeps, seeps_climate
from weather.metrics.spectra import power_spectrum, zonal_spectrum
from weather.metrics.spread import spread, spread_skill_ratio
from weather.metrics.weights import REGIONS, area_weights, by_region, by_season, cosine_weights

__all__ = [
    "REGIONS",
    "Difference",
    "acc",
    "area_weights",
    "bias",
    "bootstrap",
    "brier_score",
    "by_region",
    "by_season",
    "cosine_weights",
    "crps",
    "energy_score",
    "mae",
    "power_spectrum",
    "rank_histogram",
    "rmse",
    "seeps",
    "seeps_climate",
    "spread",
    "spread_skill_ratio",
    "t_test",
    "verifying",
    "zonal_spectrum",
]
