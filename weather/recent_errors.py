"""What recent forecasts have missed, as far as it is known when the next one starts.

    corrected = forecast + sum(observed - forecast) / (n + n0)

at every point, over the n forecasts of the same lead time whose valid time lies in the last days before the start. n0
forecasts without error are counted beside them: a few say little. A season differs from the years that a model learned
from for weeks on end, which so is noticed; weather services subtract such running means of errors, Cui et al. 2012,
doi:10.1175/WAF-D-11-00011.1. What is known at the start is held in memory, one field a start and lead time.

S start times, N earlier ones, T times of either, C channels, H latitudes, W longitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from common.app.errors import DataFormatError
from weather.data.fields import Fields
from weather.start import Start

if TYPE_CHECKING:
    from weather.forecaster import Forecaster

EARLIER_AT_ONCE = 32
"""Earlier starts that are forecast together."""


def recently_missed(
    forecaster: Forecaster, fields: Fields, times: np.ndarray, leads: Sequence[int], days: float, doubt_days: float
) -> dict[int, Tensor]:
    """What has to be added to forecasts that start at `times` [S], by lead time [S, 1, C, H, W]; nothing at all where
    no forecast could have started before.

    fields  nothing later than a start is looked at for it; earlier states that are missing or damaged are left out
    leads   in steps of `forecaster.step_h`
    days    how far back forecasts are looked at
    doubt_days  of forecasts without error, counted beside them
    """
    back = np.timedelta64(round(days * 86400), "s")
    lead_times = dict(zip(leads, forecaster.lead_times(np.array(leads)), strict=True))
    index = forecaster.start_index(fields, "all")
    before = fields.times[index[:, -1]]
    index = index[(before > times.min() - back - lead_times[max(leads)]) & (before < times.max())]
    if not len(index):
        return {}
    stretch = slice(int(index.min()), int(np.searchsorted(fields.times, times.max(), "right")))
    states, readable = _read(fields, stretch)
    index = index[readable[index - stretch.start].all(1)] - stretch.start
    known = fields.times[stretch]
    shape = (len(times), len(forecaster.channels), *forecaster.grid.shape)
    sums = {lead: torch.zeros(shape, device=forecaster.device) for lead in leads}
    count = {lead: torch.zeros(len(times), device=forecaster.device) for lead in leads}
    for chosen in (index[at : at + EARLIER_AT_ONCE] for at in range(0, len(index), EARLIER_AT_ONCE)):
        start = Start(known[chosen[:, -1]], states[torch.from_numpy(chosen)].to(forecaster.device))
        for lead, forecast in forecaster.roll_out(start, np.array(leads)):
            valid = start.times + lead_times[lead]
            place = np.searchsorted(known, valid).clip(max=len(known) - 1)
            there = (known[place] == valid) & readable[place]
            error = states[torch.from_numpy(place)].to(forecaster.device) - forecast[:, 0]
            recent = there & (valid <= times[:, None]) & (valid > times[:, None] - back)
            counts = torch.from_numpy(recent).to(error)
            sums[lead] += torch.einsum("sn,nchw->schw", counts, error)
            count[lead] += counts.sum(1)
    doubt = doubt_days * 24 / forecaster.step_h
    return {lead: (sums[lead] / (count[lead] + doubt).clamp_min(1)[:, None, None, None])[:, None] for lead in leads}


def _read(fields: Fields, stretch: slice) -> tuple[Tensor, np.ndarray]:
    """States [T, C, H, W] of a stretch of time, zero where they cannot be read, and where they can [T]."""
    count = stretch.stop - stretch.start
    try:
        return torch.from_numpy(fields.read(stretch)), np.ones(count, bool)
    except DataFormatError:
        states, readable = torch.zeros(count, len(fields.channels), *fields.grid.shape), np.ones(count, bool)
    for place in range(count):
        try:
            states[place] = torch.from_numpy(fields.read(slice(stretch.start + place, stretch.start + place + 1)))[0]
        except DataFormatError:
            readable[place] = False
    return states, readable
