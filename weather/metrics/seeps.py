"""Stable equitable error in probability space, a score of precipitation."""

from __future__ import annotations

from typing import Any

from weather.metrics.average import Field, Keep, aligned, average, double, known, of_each_variable

DRY_M = 0.00025
"""Precipitation in 24 h (m) up to which a day is dry, as in WeatherBench 2."""

TRUSTED = (0.1, 0.85)
"""Shares of dry days between which the score is steady; other climates are left out."""


@of_each_variable
def seeps(
    forecast: Field,
    truth: Field,
    dry_share: Field,
    heavy_from: Field,
    weights: Any = None,
    keep: Keep = (),
    dry_to: float = DRY_M,
) -> Any:
    """Mean penalty of the categories dry, light and heavy: 0 perfect, 1 for what any constant forecast expects.

    Rodwell et al. 2010, doi:10.1002/qj.656, equation 15: with p the climate's share of dry days, twice the penalty is

        forecast \\ truth   dry                      light          heavy
        dry                0                        1 / (1 - p)    4 / (1 - p)
        light              1 / p                    0              3 / (1 - p)
        heavy              1 / p + 3 / (2 + p)      3 / (2 + p)    0

    dry_share   p of each point (and season), in [0, 1]
    heavy_from  the amount from which precipitation is heavy, exceeded on a third of the wet days; units of the truth
    dry_to      the amount up to which it is dry
    """
    forecast, truth, p, heavy_from = aligned(forecast, truth, dry_share, heavy_from)
    p = double(p)
    dry, heavy = (forecast <= dry_to, truth <= dry_to), (forecast >= heavy_from, truth >= heavy_from)
    light = tuple(~d & ~h for d, h in zip(dry, heavy, strict=True))
    penalty = (
        (dry[0] & light[1]) * (1 / (1 - p))
        + (dry[0] & heavy[1]) * (4 / (1 - p))
        + (light[0] & dry[1]) * (1 / p)
        + (light[0] & heavy[1]) * (3 / (1 - p))
        + (heavy[0] & dry[1]) * (1 / p + 3 / (2 + p))
        + (heavy[0] & light[1]) * (3 / (2 + p))
    ) / 2
    steady = (p >= TRUSTED[0]) & (p <= TRUSTED[1]) & known(heavy_from)
    return average(penalty.where(known(forecast), float("nan")), known(truth) & steady, weights, keep)
