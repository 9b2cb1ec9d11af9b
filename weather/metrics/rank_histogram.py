"""Rank histogram, or Talagrand diagram."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
import xarray as xr

from weather.metrics.average import Field, Keep, aligned, average, double, known, of_each_variable, with_members


@of_each_variable
def rank_histogram(
    ensemble: Field, truth: Field, weights: Any = None, keep: Keep = (), members: Hashable | None = None
) -> Any:
    """Share of points at which the truth exceeds 0, 1, ... M members: a last dimension `rank` of M + 1, sum 1.

    Flat where truth and members are alike; Hamill 2001, doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2. A truth
    equal to some members counts in equal parts for the ranks it could have: the mean over random choices.
    """
    ensemble, truth = aligned(ensemble, truth)
    ensemble, dim, count = with_members(ensemble, truth, members)
    below, equal = (ensemble < truth).sum(dim), (ensemble == truth).sum(dim)
    whole, there = known(ensemble).all(dim), known(truth)
    shares = []
    for rank in range(count + 1):
        share = ((below <= rank) & (rank <= below + equal)) / (double(equal) + 1)
        shares.append(average(share.where(whole, np.nan), there, weights, keep))
    if isinstance(truth, xr.DataArray):
        return xr.concat(shares, xr.DataArray(np.arange(count + 1), dims="rank", name="rank")).transpose(..., "rank")
    return torch.stack(shares, dim=-1)
