"""How much of a forecast's deviation from what is usual to believe, lead time by lead time.

    shrunk = climate + kept * (forecast - climate),  kept = <f o> / <f f>

with f forecast and o observed deviations of the validation split, < > a mean over its starts and over cells by area:
the regression of weather on forecasts, through the climate; Glahn and Lowry 1972,
doi:10.1175/1520-0450(1972)011<1203:TUOMOS>2.0.CO;2. A roll-out stays as lively as weather is, while less and less of it
is right: far ahead the climate itself errs less.

L lead times, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from weather.data.climate import Climate
from weather.data.fields import Fields
from weather.forecaster import Forecaster
from weather.scoring import STARTS_AT_ONCE, batches, forecast_pairs


def fit_shrinkage(
    forecaster: Forecaster, fields: Fields, climate: Climate, leads: Sequence[int], every: int = 1
) -> np.ndarray:
    """The share of deviations to keep, 0 to 1, [L, C].

    leads  in steps of `forecaster.step_h`, ascending, every one from the first on
    every  start from every so manieth state
    """
    weights = torch.as_tensor(forecaster.grid.area_weights(), dtype=torch.float64, device=forecaster.device)
    climate = climate.to(forecaster.device)
    products = torch.zeros(2, len(leads), len(forecaster.channels), dtype=torch.float64, device=forecaster.device)
    index = forecaster.start_index(fields, "all")[::every]
    for _, group in batches(index, STARTS_AT_ONCE):
        for lead, _, forecast, truth, valid in forecast_pairs(forecaster, fields, group, leads, 1):
            usual = climate.at(valid)
            told, seen = (forecast[:, 0] - usual).double(), (truth - usual).double()
            sums = [(one * told * weights).sum(dim=(0, 2, 3)) for one in (seen, told)]
            products[:, list(leads).index(lead)] += torch.stack(sums)
    return (products[0] / products[1].clamp(min=torch.finfo(torch.float64).tiny)).clamp(0, 1).cpu().numpy()
