"""Brier score of the probability that a threshold is exceeded."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from weather.metrics.average import (
    Field,
    Keep,
    aligned,
    average,
    double,
    known,
    mean_over,
    of_each_variable,
    with_members,
)


@of_each_variable
def brier_score(
    ensemble: Field,
    truth: Field,
    threshold: Any,
    weights: Any = None,
    keep: Keep = (),
    fair: bool = False,
    members: Hashable | None = None,
) -> Any:
    """<w (p - o)^2> / <w>: p the share of members above the threshold, o 1 where the truth is, else 0.

    Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2. `fair` takes off p (1 - p) / (M - 1), what a
    finite ensemble pays for being one: Ferro 2014, doi:10.1002/qj.2270.

    threshold  a number, or a field of the truth's kind that broadcasts with it, such as a quantile of the climate
    """
    ensemble, truth, threshold = aligned(ensemble, truth, threshold)
    ensemble, dim, count = with_members(ensemble, truth, members)
    share, event = mean_over(ensemble > threshold, dim), double(truth > threshold)
    values = (share - event) ** 2 - (share * (1 - share) / (count - 1) if fair else 0.0)
    return average(values.where(known(ensemble).all(dim), np.nan), known(truth) & known(threshold), weights, keep)
