"""Continuous ranked probability score of ensembles.

M members, n points.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from weather.metrics.average import Field, Keep, aligned, average, known, of_each_variable, over_members

Estimator = Literal["fair", "ecdf"]

CPU_BLOCK, GPU_BLOCK = 2**17, 2**27
"""Values in work at once: half a megabyte stays in a core's cache while it is sorted; a GPU wants many."""


@of_each_variable
def crps(
    ensemble: Field,
    truth: Field,
    weights: Any = None,
    keep: Keep = (),
    estimator: Estimator = "fair",
    members: Hashable | None = None,
) -> Any:
    """E|x - y| - E|x - x'| / 2, in the units of the truth.

    estimator  "fair": what an infinite ensemble would score, Ferro 2014, doi:10.1002/qj.2270, as in WeatherBench 2;
               NaN of a single member. "ecdf": of the members as they are, a single one scores its absolute error;
               Hersbach 2000, doi:10.1175/1520-0434(2000)015<0559:DOTCRP>2.0.CO;2
    """
    ensemble, truth = aligned(ensemble, truth)
    values = over_members(lambda x, y: crps_at_points(x, y, estimator), ensemble, truth, members)
    return average(values, known(truth), weights, keep)


@torch.no_grad()
def crps_at_points(ensemble: Tensor, truth: Tensor, estimator: Estimator = "fair") -> Tensor:
    """[..., M] and [...] -> [...], point by point.

    Sorted members give the sum over pairs in O(M log M): sum_ij |x_i - x_j| = 2 sum_i (2 i - M - 1) x_(i). What is
    sorted is x - y: of large values that differ little, such as geopotential, nothing is lost.
    """
    count = ensemble.shape[-1]
    rank = torch.arange(1 - count, count, 2, dtype=ensemble.dtype, device=ensemble.device)
    pairs = count * (count - 1 if estimator == "fair" else count)
    among = rank / (pairs or torch.nan)
    ensemble, truth = torch.broadcast_tensors(ensemble, truth[..., None])
    result = torch.empty(ensemble.shape[:-1], dtype=ensemble.dtype, device=ensemble.device)
    _fill(result, ensemble, truth[..., 0], among)
    return result


def _fill(result: Tensor, ensemble: Tensor, truth: Tensor, among: Tensor) -> None:
    """Cut along leading axes until a piece is small enough; members need not lie together in memory."""
    limit = GPU_BLOCK if ensemble.is_cuda else CPU_BLOCK
    if ensemble.numel() <= limit or not truth.ndim:
        distance = torch.empty(ensemble.shape, dtype=ensemble.dtype, device=ensemble.device)
        torch.sub(ensemble, truth[..., None], out=distance)
        error = distance.abs() @ torch.full_like(among, 1 / len(among))
        torch.sub(error, _sorted(distance) @ among, out=result)
        return
    if len(truth) == 1:
        return _fill(result[0], ensemble[0], truth[0], among)
    size = max(1, limit * len(truth) // ensemble.numel())
    for parts in zip(result.split(size), ensemble.split(size), truth.split(size), strict=True):
        _fill(*parts, among)


def _sorted(values: Tensor) -> Tensor:
    """Along the last axis; on the CPU in place and by NumPy, which sorts short rows ten times faster than torch."""
    if values.is_cuda:
        return values.sort(dim=-1).values
    np.ndarray.sort(values.numpy(), axis=-1)
    return values
