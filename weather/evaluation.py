"""Scores of a forecaster on a split, beside what needs no network; tables and a report of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.app.errors import ConfigError
from common.results.report import Tile, run_report
from common.training.distributed import ALONE, UNEVEN, World, process_group
from common.training.run_directory import OUTPUTS, RunDirectory
from weather.baselines import Climatology, RidgeForecast, fits_in_memory
from weather.config import EvaluateConfig, FlowData, GridData, OwnGrids
from weather.data.catalogue import require_disjoint
from weather.data.fields import Fields
from weather.forecaster import Forecaster
from weather.report import forecast_sections
from weather.samples import Source, open_source
from weather.score_tables import score_section, summary
from weather.scoring import Rival, Scored, differences, score

DEFAULT_DAYS = 5.0
ALL_TIMES = "1678/2261"
"""That nanoseconds since 1970 can tell."""


def evaluate(config: EvaluateConfig) -> Scored:
    """Score a forecaster; writes scores.csv and report.html, prints the errors by lead time."""
    forecaster = Forecaster.from_pretrained(config.model, config.device)
    source = source_of(forecaster, config)
    leads = leads_of(forecaster, config.lead_hours)
    with process_group(forecaster.device, UNEVEN) as world:
        scored = score_split(
            forecaster, source, config.split, leads, config.members, config.every, config.baselines, world
        )
    if not world.is_main:
        return scored
    folder = Path(config.output) if config.output else _folder(forecaster.card["name"])
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{forecaster.card['name']} on {source.facts['title']}, {config.split}"
    path = write_scores(RunDirectory(folder), title, forecaster, source, config.split, scored, config.members)
    print(summary(scored))
    print(f"scores: {folder / 'scores.csv'}  report: {path}")
    return scored


def score_split(
    forecaster: Forecaster,
    source: Source,
    split: str,
    leads: Sequence[int],
    members: int = 1,
    every: int = 1,
    baselines: bool = True,
    world: World = ALONE,
) -> Scored:
    """Scores on a split; the climate of anomalies and baselines is the training split's mean."""
    fields = Fields(source.splits[split].fields.dataset, forecaster.channels, source.splits[split].fields.where)
    forecaster.grid.require(fields.grid, fields.where)
    climate = Climatology(source.splits["train"].fields)
    rivals = reference_forecasts(source, climate, leads, forecaster.device) if baselines else {}

    def say(text: str) -> None:
        if world.is_main:
            print(text, flush=True)

    return score(forecaster, fields, leads, climate, members, every, rivals, say, world)


def reference_forecasts(
    source: Source, climate: Climatology, leads: Sequence[int], device: torch.device
) -> dict[str, Rival]:
    """Persistence, climatology, and ridge regression where the fields fit in memory."""

    def usual(initial: Tensor, lead: int, valid: np.ndarray) -> Tensor:
        return torch.as_tensor(climate.at(valid), device=device)

    rivals: dict[str, Rival] = {"persistence": lambda initial, lead, valid: initial, "climatology": usual}
    train, val = (source.splits[name].fields for name in ("train", "val"))
    if fits_in_memory(train):
        fits = RidgeForecast.fit(train, val, [lead * source.step_h for lead in leads])
        rivals["ridge regression"] = lambda initial, lead, valid: torch.as_tensor(
            fits[lead * source.step_h](initial.cpu().numpy()), dtype=torch.float32, device=device
        )
    return rivals


def leads_of(forecaster: Forecaster, lead_hours: Sequence[float] | None) -> list[int]:
    """Lead times in steps of `step_h`; by default every one up to five days, or to twenty steps if that is less."""
    first = forecaster.stepper.steps[0]
    if lead_hours is None:
        last = min(20, max(1, int(DEFAULT_DAYS * 24 / forecaster.lead_step_h)))
        return [first * n for n in range(1, last + 1)]
    return sorted(int(forecaster.leads(hours)[-1]) for hours in lead_hours)


def source_of(forecaster: Forecaster, config: EvaluateConfig) -> Source:
    """The split that is scored, beside the training and validation splits that references are fitted to.

    Of files of the user's, where the model learned from something else, all times are scored; references stay those of
    what it learned from. Raises ConfigError where they share times with it.
    """
    trained: Mapping[str, Any] = forecaster.card["recipe"]["data"]
    references = ("train", "val")
    if config.data != "grid-files" or trained["name"] == config.data:
        splits = list(dict.fromkeys((*references, config.split)))
        return open_source(data_of(forecaster, config), splits, config.offline)
    if config.path is None:
        raise ConfigError("data=grid-files needs path=<file, folder or address> of the fields")
    learned = open_source(data_of(forecaster, EvaluateConfig(model=config.model)), references, config.offline)
    variables = tuple(dict.fromkeys(channel.variable for channel in forecaster.channels))
    files = OwnGrids(name=config.data, path=config.path, splits={config.split: ALL_TIMES}, variables=variables)
    own = open_source(files, (config.split,), config.offline)
    joined = {**learned.splits, **own.splits}
    require_disjoint({name: split.fields for name, split in joined.items()})
    return replace(learned, splits=joined, facts=own.facts)


def data_of(forecaster: Forecaster, config: EvaluateConfig) -> GridData | OwnGrids | FlowData:
    """The data section: that of the training, or the set that was asked for.

    Its parts stay apart: references are fitted to training alone, also where a last fit took in validation.
    """
    trained: Mapping[str, Any] = forecaster.card["recipe"]["data"]
    name = config.data or trained["name"]
    section = {**trained, "name": name} if name == trained["name"] else {"name": name}
    section.pop("with_validation", None)
    if config.path is not None:
        section["path"] = config.path
    kinds = {"grid-files": OwnGrids, "shallow-water": FlowData}
    return kinds.get(name, GridData).model_validate(section)


def write_scores(
    run: RunDirectory, title: str, forecaster: Forecaster, source: Source, split: str, scored: Scored, members: int
) -> Path:
    """scores.csv, differences.csv, report.html and a film in the run's folder."""
    scored.frame.to_csv(run.path / "scores.csv", index=False)
    compared = differences(scored, forecaster.card["name"])
    compared.to_csv(run.path / "differences.csv", index=False)
    fields = source.splits[split].fields
    facts = {
        "Split": f"{split}, {fields.times[0].astype('datetime64[h]')} to {fields.times[-1].astype('datetime64[h]')}",
        **{key.capitalize(): value for key, value in source.facts.items()},
    }
    pictures = forecast_sections(forecaster, fields, scored, members, run.path)
    scores = score_section(scored, forecaster.card["name"], compared)
    sections = [pictures[0], scores, *pictures[1:]]
    return run_report(run.path, title, tiles=tiles(forecaster, scored), data=facts, domain_sections=sections)


def tiles(forecaster: Forecaster, scored: Scored) -> list[Tile]:
    """The error of the first and the last lead time of the first channels."""
    frame = scored.frame.query("system == @forecaster.card['name'] and metric == 'rmse'")
    found = []
    for channel in forecaster.channels[:2]:
        rows = frame[frame["channel"] == channel.label]
        for row in (rows.iloc[0], rows.iloc[-1]) if len(rows) > 1 else (rows.iloc[0],):
            found.append(Tile(f"RMSE {channel.label}, {row['lead_h']:g} h", f"{row['value']:.4g}"))
    return found


def _folder(name: str) -> Path:
    return OUTPUTS / "weather" / f"evaluate-{name}" / time.strftime("%Y-%m-%d_%H-%M-%S")
