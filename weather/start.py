"""What forecasts start from.  S start times, K states of history, C channels, H latitudes, W longitudes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from torch import Tensor


class Start(NamedTuple):
    """Times [S] datetime64[ns], states [S, K, C, H, W] in physical units on the device, and by lead time what has
    recently been missed [S, 1, C, H, W], where forecasts are corrected by it."""

    times: np.ndarray
    states: Tensor
    missed: Mapping[int, Tensor] = {}
