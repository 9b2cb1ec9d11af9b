"""Continuous ranked probability score of ensembles.

M members, n points.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
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
    """[..., M] and [...] -> [...], point by point; members need not lie together in memory.

    Sorted members give the sum over pairs in O(M log M): sum_ij |x_i - x_j| = 2 sum_i (2 i - M - 1) x_(i). What is
    sorted is x - y: of large values that differ little, such as geopotential, nothing is lost.
    """
    dtype = torch.promote_types(torch.promote_types(ensemble.dtype, truth.dtype), torch.float32)
    ensemble, truth = torch.broadcast_tensors(ensemble.to(dtype), truth[..., None].to(dtype))
    count = ensemble.shape[-1]
    pairs = count * (count - 1 if estimator == "fair" else count)
    among = torch.arange(1 - count, count, 2, dtype=dtype, device=ensemble.device) / (pairs or torch.nan)
    result = torch.empty(ensemble.shape[:-1], dtype=dtype, device=ensemble.device)
    if ensemble.is_cuda:
        for piece in _pieces((result, ensemble, truth[..., 0]), GPU_BLOCK):
            _by_torch(*piece, among)
    else:
        arrays = (result.numpy(), ensemble.numpy(), truth[..., 0].numpy())
        score = partial(_by_numpy, among=among.numpy())
        deque(_threads(torch.get_num_threads()).map(lambda piece: score(*piece), _pieces(arrays, CPU_BLOCK)), maxlen=0)
    return result


def _pieces(arrays: tuple[Any, Any, Any], limit: int) -> Iterator[tuple[Any, Any, Any]]:
    """Result, ensemble and truth, cut along leading axes until a piece has at most `limit` values."""
    result, ensemble, _ = arrays
    values = math.prod(ensemble.shape)
    if values <= limit or not result.ndim:
        yield arrays
    elif len(result) == 1:
        yield from _pieces((arrays[0][0], arrays[1][0], arrays[2][0]), limit)
    else:
        size = max(1, limit * len(result) // values)
        for start in range(0, len(result), size):
            cut = slice(start, start + size)
            yield from _pieces((arrays[0][cut], arrays[1][cut], arrays[2][cut]), limit)


def _by_numpy(result: np.ndarray, ensemble: np.ndarray, truth: np.ndarray, among: np.ndarray) -> None:
    """NumPy sorts short rows ten times faster than torch."""
    distance = np.subtract(ensemble, truth[..., None], order="C")
    error = np.abs(distance) @ np.full_like(among, 1 / len(among))
    distance.sort(axis=-1)
    np.subtract(error, distance @ among, out=result)


def _by_torch(result: Tensor, ensemble: Tensor, truth: Tensor, among: Tensor) -> None:
    distance = (ensemble - truth[..., None]).sort(dim=-1).values
    torch.sub(distance.abs().mean(dim=-1), distance @ among, out=result)


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    """Shared by all calls, also by those of several chunks at a time; NumPy lets others run while it computes."""
    return ThreadPoolExecutor(count, thread_name_prefix="crps")
