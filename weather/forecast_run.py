"""`trifold weather predict`: forecasts from files, written step by step, gone on with after an interruption."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from common.app.errors import ConfigError, DataFormatError
from common.data.shard import Shard
from common.training.progress import ProgressReport
from weather.config import PredictConfig
from weather.data.fields import Fields
from weather.forecast_store import ForecastStore, empty
from weather.forecaster import BATCH_POINTS, Forecaster

NOTHING = 3
"""Exit status where not one start could be forecast."""


def predict(config: PredictConfig) -> int:
    """Forecast every start that can be used; the others are listed in rejected.csv beside the output.

    Of several processes each takes its shard of the starts; the last to end gives the output its name.
    """
    shard = Shard.of(config.shard)
    forecaster = Forecaster.from_pretrained(config.model, config.device)
    fields = forecaster.fields(config.input, config.units, config.offline)
    index, rejected = usable(forecaster, fields, config.starts)
    output = Path(config.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    if shard.number == 1:
        _write_rejected(output.with_name("rejected.csv"), rejected)
    if not len(index):
        print(f"nothing can be forecast: {rejected[0][1]}")
        return NOTHING
    leads = forecaster.leads(config.lead_hours)
    times = fields.times[index[:, -1]]
    settings = {
        "model": forecaster.card["name"], "manifest": forecaster.card.get("training"), "input": config.input,
        "starts": [str(time) for time in times], "lead_hours": config.lead_hours, "members": config.members,
        "seed": config.seed,
    }  # fmt: skip
    whole = template(forecaster, times, leads, config.members)
    store = ForecastStore(output, whole, forecaster.channels, settings, shard)
    groups = [] if store.complete else _groups(forecaster, len(index), config, shard)
    report = ProgressReport(len(leads) * len(groups), 0, forecaster.card["name"], silent=shard.number > 1)
    try:
        for group in groups:
            _forecast_group(forecaster, fields, index, group, leads, store, config, report)
    finally:
        report.close()
    if store.finish():
        print(f"{len(index)} forecasts of {config.lead_hours:g} h: {output}; {len(rejected)} starts rejected")
    else:
        print(f"shard {shard}: done; the last to end completes {output}")
    return 0


def _groups(forecaster: Forecaster, starts: int, config: PredictConfig, shard: Shard) -> list[slice]:
    """The starts of the shard, so many at once as suit the model."""
    suits = (config.batch_size or BATCH_POINTS // int(np.prod(forecaster.grid.shape))) // config.members
    size = max(1, min(suits, -(-starts // shard.count)))
    groups = [slice(first, min(first + size, starts)) for first in range(0, starts, size)]
    return [groups[number] for number in shard.of_range(len(groups))]


def _forecast_group(
    forecaster: Forecaster, fields: Fields, index: np.ndarray, group: slice, leads: np.ndarray, store: ForecastStore,
    config: PredictConfig, report: ProgressReport,
) -> None:  # fmt: skip
    chosen = index[group]
    done = store.lead_count(group)
    report.advance(done)
    if done == len(leads):
        return
    start = forecaster.start_at(fields, chosen, leads)
    reach = max(forecaster.stepper.steps) // forecaster.stepper.steps[0] + forecaster.history - 1
    known = {
        int(leads[at]): torch.from_numpy(store.read(group, at)).to(forecaster.device)
        for at in range(max(0, done - reach), done)
    }
    steps = forecaster.roll_out(start, leads, config.members, config.seed, config.batch_size, known)
    for at, (_, states) in enumerate(steps, start=done):
        store.write(group, at, states.cpu().numpy())
        report.advance()


def usable(
    forecaster: Forecaster, fields: Fields, starts: str | Sequence[str]
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Positions of the history of each start that can be used [S, K], and the others with the reason."""
    if starts in ("last", "all"):
        wanted: list[Any] = fields.times.tolist() if starts == "all" else []
        asked = [str(np.datetime64(time, "ns").astype("datetime64[m]")) for time in wanted] or ["last"]
    else:
        asked = list(starts)
    index, rejected = [], []
    for start in asked:
        try:
            chosen = forecaster.start_index(fields, start if start == "last" else [start])
            fields.read(chosen.reshape(-1))
        except (ConfigError, DataFormatError) as error:
            rejected.append((start, str(error)))
        else:
            index.append(chosen)
    return np.concatenate(index) if index else np.empty((0, forecaster.history), np.int64), rejected


def template(forecaster: Forecaster, times: np.ndarray, leads: np.ndarray, members: int) -> xr.Dataset:
    """The dataset that will be written, without values."""
    shape = (len(times), len(leads), members, len(forecaster.channels), *forecaster.grid.shape)
    return forecaster.dataset(empty(shape), times, leads, members)


def _write_rejected(path: Path, rejected: Sequence[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["input", "reason"])
        writer.writerows(rejected)
