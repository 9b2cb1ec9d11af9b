"""Energy score of ensembles of whole maps."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from weather.metrics.average import Field, Keep, aligned, average, known, of_each_variable, on_tensors, with_members
from weather.metrics.crps import Estimator
from weather.metrics.weights import area_weights

MAP = ("latitude", "longitude")


@of_each_variable
def energy_score(
    ensemble: Field,
    truth: Field,
    weights: Any = None,
    keep: Keep = (),
    estimator: Estimator = "fair",
    members: Hashable | None = None,
) -> Any:
    """E|x - y| - E|x - x'| / 2 with |d|^2 = <w d^2> / <w> over the map, then the mean over the rest.

    Gneiting and Raftery 2007, doi:10.1198/016214506000001437; the norm is that of WeatherBench 2. Other than the CRPS
    it also sees how points go together. Maps are latitude and longitude, of tensors the last two axes; truth that is
    missing is left out of the norm, and a map without any out of the mean.

    weights  [H, W]
    """
    ensemble, truth = aligned(ensemble, truth)
    ensemble, dim, _ = with_members(ensemble, truth, members)
    if isinstance(ensemble, xr.DataArray):
        weights = area_weights(truth) if weights is None else weights
        values = on_tensors(
            lambda x, y, w: of_maps(x, y, w, estimator), ensemble, truth, weights, core_dims=[[dim, *MAP], MAP, MAP]
        )
        return average(values, known(truth).any(MAP), xr.DataArray(1.0), keep)
    weights = torch.ones(truth.shape[-2:]) if weights is None else torch.as_tensor(weights)
    values = of_maps(ensemble.movedim(0, -3), truth, weights.to(truth.device), estimator)
    return average(values, known(truth).flatten(-2).any(-1), None, [axis % truth.ndim for axis in keep])


def of_maps(ensemble: Tensor, truth: Tensor, weights: Tensor, estimator: Estimator = "fair") -> Tensor:
    """[..., M, H, W], [..., H, W] and [H, W] -> [...], map by map."""
    there = (truth == truth).flatten(-2)
    share = weights.double().flatten(-2) * there
    root = (share / share.sum(-1, keepdim=True)).sqrt()[..., None, :]
    away = (ensemble - truth[..., None, :, :]).flatten(-2).double()
    away = away.where(there[..., None, :], 0.0) * root
    count, exact = away.shape[-2], "donot_use_mm_for_euclid_dist"
    apart = torch.cdist(away, away, compute_mode=exact).sum((-2, -1)) / 2
    pairs = count * (count - 1 if estimator == "fair" else count)
    return torch.linalg.vector_norm(away, dim=-1).mean(-1) - apart / (pairs or torch.nan)
