"""Forecasts of a split against what came, lead by lead, by the formulas of `weather.metrics`.

Every pair of a start and a valid time inside the split counts; cells count by their area. Of each start one number a
channel and score is kept, so that differences between systems can be tested; of fields nothing.

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

from common.training.distributed import ALONE, World, gathered
from weather.baselines import Climatology
from weather.data.fields import Fields
from weather.forecaster import Forecaster
from weather.metrics import acc, bias, crps, mae, rank_histogram, rmse, spread, t_test
from weather.metrics.difference import LEAST

Rival = Callable[[Tensor, int, np.ndarray], Tensor]
"""What stands beside a model: initial states [S, C, H, W], lead time in steps, valid times [S] -> [S, C, H, W]."""

STARTS_AT_ONCE = 32


@dataclass
class StartScores:
    """Of one system at one lead time, start by start.

    parts  by name the pieces [S, C] that were added: mse, mae, bias, acc; of an ensemble also crps, variance and ranks
           [S, C, M + 1], the share of each rank of the truth among the members
    """

    parts: dict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))

    def add(self, forecast: Tensor, truth: Tensor, climate: Tensor, weights: Tensor) -> None:
        """[S, M, C, H, W], [S, C, H, W], [S, C, H, W], [H, W]."""
        centre = forecast.mean(dim=1)
        found = {
            "mse": rmse(centre, truth, weights, keep=(0, 1)).square(),
            "mae": mae(centre, truth, weights, keep=(0, 1)),
            "bias": bias(centre, truth, weights, keep=(0, 1)),
            "acc": acc(centre, truth, climate, weights, keep=(0, 1)),
        }
        if forecast.shape[1] > 1:
            found |= {
                "crps": crps(forecast, truth, weights, keep=(0, 1), members=1),
                "variance": spread(forecast, weights, keep=(0, 1), members=1).square(),
                "ranks": rank_histogram(forecast, truth, weights, keep=(0, 1), members=1),
            }
        for name, values in found.items():
            self.parts[name].append(values.cpu())

    def by_start(self, name: str) -> np.ndarray:
        """All starts of a part, in the order of their times, [S, ...]."""
        return torch.cat(self.parts[name]).numpy()

    def scores(self, members: int) -> dict[str, np.ndarray]:
        """Each [C]: rmse, mae, bias, acc; of an ensemble also crps, spread and spread_skill_ratio."""
        mean = {name: self.by_start(name).mean(axis=0) for name in self.parts if name != "acc"}
        found = {
            "rmse": np.sqrt(mean["mse"]), "mae": mean["mae"], "bias": mean["bias"],
            "acc": torch.cat(self.parts["acc"]).nanmean(dim=0).numpy(),  # a map without anomalies has no correlation
        }  # fmt: skip
        if members > 1:
            # A finite ensemble's mean errs by 1 / M of its variance beside: Fortin et al., doi:10.1175/JHM-D-14-0008.1
            ratio = np.sqrt((members + 1) / members * mean["variance"] / mean["mse"])
            found |= {"crps": mean["crps"], "spread": np.sqrt(mean["variance"]), "spread_skill_ratio": ratio}
        return found


@dataclass(frozen=True)
class Scored:
    """
    frame     a row for each system, lead time, channel and metric
    starts    by system and lead time, in steps of step_h
    channels  their labels, in order
    """

    frame: pd.DataFrame
    starts: Mapping[str, Mapping[int, StartScores]]
    channels: tuple[str, ...]
    step_h: float


def score(
    forecaster: Forecaster,
    fields: Fields,
    leads: Sequence[int],
    climate: Climatology,
    members: int = 1,
    every: int = 1,
    rivals: Mapping[str, Rival] | None = None,
    say: Callable[[str], None] = print,
    world: World = ALONE,
) -> Scored:
    """Scores of a forecaster, and of rivals on the same pairs.

    leads    in steps of `forecaster.step_h`
    climate  what anomalies are taken from
    every    start from every so manieth state
    world    of several ranks each forecasts its share of the starts, and all have the whole
    """
    name = forecaster.card["name"]
    weights = torch.as_tensor(forecaster.grid.area_weights(), dtype=torch.float64, device=forecaster.device)
    starts: dict[str, dict[int, StartScores]] = {
        system: {lead: StartScores() for lead in leads} for system in (name, *(rivals or {}))
    }
    index = forecaster.start_index(fields, "all")[::every]
    index = index[world.share(len(index))]
    for done, group in batches(index, max(1, STARTS_AT_ONCE // members)):
        for lead, initial, forecast, truth, valid in forecast_pairs(forecaster, fields, group, leads, members):
            normal = torch.as_tensor(climate.at(valid), device=forecaster.device)
            starts[name][lead].add(forecast, truth, normal, weights)
            for system, rival in (rivals or {}).items():
                starts[system][lead].add(rival(initial, lead, valid)[:, None], truth, normal, weights)
        if done % 10 == 9:
            say(f"{min((done + 1) * len(group), len(index))} of {len(index)} starts")
    starts = _joined(gathered(world, starts))
    labels = tuple(channel.label for channel in forecaster.channels)
    rows = [
        (system, lead * forecaster.step_h, label, metric, value)
        for system, by_lead in starts.items()
        for lead, one in by_lead.items()
        if one.parts
        for metric, values in one.scores(members if system == name else 1).items()
        for label, value in zip(labels, values.tolist(), strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["system", "lead_h", "channel", "metric", "value"])
    return Scored(frame, starts, labels, forecaster.step_h)


def _joined(parts: Sequence[dict[str, dict[int, StartScores]]]) -> dict[str, dict[int, StartScores]]:
    """The starts of all ranks, which have them in order."""
    for part in parts[1:]:
        for system, by_lead in part.items():
            for lead, one in by_lead.items():
                for name, values in one.parts.items():
                    parts[0][system][lead].parts[name] += values
    return parts[0]


def batches(index: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    return ((number, index[first : first + size]) for number, first in enumerate(range(0, len(index), size)))


def forecast_pairs(
    forecaster: Forecaster, fields: Fields, index: np.ndarray, leads: Sequence[int], members: int
) -> Iterator[tuple[int, Tensor, Tensor, Tensor, np.ndarray]]:
    """Lead, initial states, forecasts, truth and valid times of the starts whose valid time is in the split."""
    start = forecaster.start_at(fields, index, leads)
    for lead, forecast in forecaster.roll_out(start, np.array(leads), members):
        valid = start.times + np.timedelta64(round(lead * forecaster.step_h * 3600), "s")
        place = np.minimum(np.searchsorted(fields.times, valid), len(fields) - 1)
        there = fields.times[place] == valid
        if there.any():
            truth = torch.from_numpy(fields.read(place[there])).to(forecaster.device)
            yield lead, start.states[there, -1], forecast[there], truth, valid[there]


def differences(scored: Scored, system: str) -> pd.DataFrame:
    """Whether a system is better than the best of its rivals: a row for each channel and lead time.

    rival                 the one with the least mean squared error there
    change, lower, upper  mean squared error over the rival's, less one, with its 95 % interval
    p_value               of no difference, by `weather.metrics.t_test` on the squared errors of the starts

    No rows without a rival, and of lead times with fewer starts than the test needs.
    """
    rows = []
    for lead, own in scored.starts[system].items():
        rivals = {name: by_lead[lead] for name, by_lead in scored.starts.items() if name != system}
        if not rivals or not own.parts or len(errors := own.by_start("mse")) < LEAST:
            continue
        theirs = {name: one.by_start("mse") for name, one in rivals.items()}
        for number, channel in enumerate(scored.channels):
            best = min(theirs, key=lambda name: float(theirs[name][:, number].mean()))
            found = t_test(errors[:, number], theirs[best][:, number])
            change = (float(part) / theirs[best][:, number].mean() for part in found[:3])
            rows.append((channel, lead * scored.step_h, best, *change, float(found.p_value)))
    return pd.DataFrame(rows, columns=["channel", "lead_h", "rival", "change", "lower", "upper", "p_value"])
