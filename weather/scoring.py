"""Forecasts of a split against what came, lead by lead: nothing but sums is kept.

Every pair of a start and a valid time inside the split counts; cells count by their area.

S starts, M members, C channels, L lead times, H latitudes, W longitudes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from weather.baselines import Climatology
from weather.data.fields import Fields
from weather.forecaster import Forecaster, Start
from weather.losses import fair_crps

Rival = Callable[[Tensor, int, np.ndarray], Tensor]
"""What stands beside a model: initial states [S, C, H, W], lead time in steps, valid times [S] -> [S, C, H, W]."""

STARTS_AT_ONCE = 32


@dataclass
class Sums:
    """Of one system at one lead time, each [C] but the counts; sums over pairs of means over cells."""

    pairs: int = 0
    total: dict[str, Tensor] = field(default_factory=lambda: defaultdict(lambda: torch.zeros((), dtype=torch.float64)))
    ranks: Tensor | None = None
    """[C, M + 1]: how often the truth had each rank among the members, cells by their area."""

    def add(self, forecast: Tensor, truth: Tensor, climate: Tensor, weights: Tensor) -> None:
        """[S, M, C, H, W], [S, C, H, W], [S, C, H, W], [H, W]."""

        def mean(values: Tensor) -> Tensor:
            return (values.double() * weights).mean(dim=(-2, -1)).sum(dim=0).cpu()

        members, centre = forecast.shape[1], forecast.mean(dim=1)
        error, anomaly, expected = centre - truth, centre - climate, truth - climate
        parts = {
            "bias": error, "mae": error.abs(), "mse": error.square(), "anomalies": anomaly * expected,
            "variance_forecast": anomaly.square(), "variance_truth": expected.square(),
        }  # fmt: skip
        if members > 1:
            parts["crps"] = fair_crps(forecast[:, None], truth[:, None])[:, 0]
            parts["variance"] = forecast.var(dim=1)
            self._rank(forecast, truth, weights)
        for name, values in parts.items():
            self.total[name] = self.total[name] + mean(values)
        self.pairs += len(truth)

    def _rank(self, forecast: Tensor, truth: Tensor, weights: Tensor) -> None:
        rank = (forecast < truth[:, None]).sum(dim=1)
        found = [((rank == r).double() * weights).mean(dim=(-2, -1)).sum(dim=0) for r in range(forecast.shape[1] + 1)]
        ranks = torch.stack(found, dim=1).cpu()
        self.ranks = ranks if self.ranks is None else self.ranks + ranks

    def scores(self, members: int) -> dict[str, np.ndarray]:
        """Each [C]: rmse, mae, bias, acc; of an ensemble also crps, spread and spread_skill_ratio."""
        mean = {name: (value / self.pairs).numpy() for name, value in self.total.items()}
        rmse = np.sqrt(mean["mse"])
        norm = np.sqrt(mean["variance_forecast"] * mean["variance_truth"])
        found = {
            "rmse": rmse, "mae": mean["mae"], "bias": mean["bias"],
            "acc": np.divide(mean["anomalies"], norm, out=np.full_like(norm, np.nan), where=norm > 0),
        }  # fmt: skip
        if members > 1:
            spread = np.sqrt(mean["variance"])
            # A finite ensemble's mean errs by 1 / M of its variance beside: Fortin et al., doi:10.1175/JHM-D-14-0008.1
            ratio = np.sqrt((members + 1) / members) * spread / rmse
            found |= {"crps": mean["crps"], "spread": spread, "spread_skill_ratio": ratio}
        return found


@dataclass(frozen=True)
class Scored:
    """frame: a row for each system, lead time, channel and metric; sums: by system and lead time in steps."""

    frame: pd.DataFrame
    sums: Mapping[str, Mapping[int, Sums]]


def score(
    forecaster: Forecaster,
    fields: Fields,
    leads: Sequence[int],
    climate: Climatology,
    members: int = 1,
    every: int = 1,
    rivals: Mapping[str, Rival] | None = None,
    say: Callable[[str], None] = print,
) -> Scored:
    """Scores of a forecaster, and of rivals on the same pairs.

    leads    in steps of `forecaster.step_h`
    climate  what anomalies are taken from
    every    start from every so manieth state
    """
    name = forecaster.card["name"]
    weights = torch.as_tensor(forecaster.grid.area_weights(), dtype=torch.float64, device=forecaster.device)
    sums: dict[str, dict[int, Sums]] = {system: {lead: Sums() for lead in leads} for system in (name, *(rivals or {}))}
    index = forecaster.start_index(fields, "all")[::every]
    for done, group in batches(index, max(1, STARTS_AT_ONCE // members)):
        for lead, initial, forecast, truth, valid in _pairs(forecaster, fields, group, leads, members):
            normal = torch.as_tensor(climate.at(valid), device=forecaster.device)
            sums[name][lead].add(forecast, truth, normal, weights)
            for system, rival in (rivals or {}).items():
                sums[system][lead].add(rival(initial, lead, valid)[:, None], truth, normal, weights)
        if done % 10 == 9:
            say(f"{min((done + 1) * len(group), len(index))} of {len(index)} starts")
    rows = [
        (system, lead * forecaster.step_h, channel.label, metric, value)
        for system, by_lead in sums.items()
        for lead, one in by_lead.items()
        if one.pairs
        for metric, values in one.scores(members if system == name else 1).items()
        for channel, value in zip(forecaster.channels, values.tolist(), strict=True)
    ]
    return Scored(pd.DataFrame(rows, columns=["system", "lead_h", "channel", "metric", "value"]), sums)


def batches(index: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    return ((number, index[first : first + size]) for number, first in enumerate(range(0, len(index), size)))


def _pairs(
    forecaster: Forecaster, fields: Fields, index: np.ndarray, leads: Sequence[int], members: int
) -> Iterator[tuple[int, Tensor, Tensor, Tensor, np.ndarray]]:
    """Lead, initial states, forecasts, truth and valid times of the starts whose valid time is in the split."""
    states = torch.from_numpy(fields.read(index.reshape(-1))).unflatten(0, index.shape).to(forecaster.device)
    start = Start(fields.times[index[:, -1]], states)
    first = forecaster.stepper.steps[0]
    for lead, forecast in forecaster.roll_out(start, np.arange(first, max(leads) + 1, first), members):
        if lead not in leads:
            continue
        valid = start.times + np.timedelta64(round(lead * forecaster.step_h * 3600), "s")
        place = np.minimum(np.searchsorted(fields.times, valid), len(fields) - 1)
        there = fields.times[place] == valid
        if there.any():
            truth = torch.from_numpy(fields.read(place[there])).to(forecaster.device)
            yield lead, states[there, -1], forecast[there], truth, valid[there]


def value(frame: pd.DataFrame, system: str, lead_h: float, channel: str, metric: str) -> float:
    """One number of a table of scores."""
    row = frame.query("system == @system and lead_h == @lead_h and channel == @channel and metric == @metric")
    return float(row["value"].iloc[0])
