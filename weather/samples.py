"""Everything that is learned from, ready: windows of the splits, statistics, forcings.

C channels, S sizes of a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr

from weather.config import FlowData, GridData, OwnGrids
from weather.data.catalogue import LearningSet, Split, named, open_constants, open_splits
from weather.data.climate import Climate, Deviations
from weather.data.datasets import DATASETS
from weather.data.fields import Channel
from weather.data.grid import Grid
from weather.data.statistics import moments, statistics
from weather.data.windows import Windows
from weather.stepper import NONNEGATIVE


@dataclass(frozen=True)
class Source:
    """Where fields come from: files, split in time, or a simulation.

    facts  for cards and reports: name, title, licence, citation, simulated
    """

    splits: Mapping[str, Split]
    constants: xr.Dataset | None
    step_h: float
    facts: Mapping[str, Any]

    @property
    def grid(self) -> Grid:
        return next(iter(self.splits.values())).fields.grid

    @property
    def channels(self) -> tuple[Channel, ...]:
        return next(iter(self.splits.values())).fields.channels


def open_source(data: GridData | OwnGrids | FlowData, splits: Sequence[str], offline: bool = False) -> Source:
    """Open what a data section names, lazily."""
    if isinstance(data, FlowData):
        from weather.simulate.flow_fields import flow_splits

        facts = {
            "name": data.name,
            "title": "shallow-water flows (simulated)",
            "licence": "Apache-2.0, as the code that makes them",
            "citation": "Bonev et al. 2023, arXiv:2306.03838, whose random initial states and equations these are",
            "simulated": True,
        }
        return Source(flow_splits(data, splits), None, data.step_h, facts)
    chosen = learning_set(data)
    facts = {"name": data.name, "simulated": chosen.simulated}
    if isinstance(data, OwnGrids):
        facts |= {"name": data.path, "title": data.path}
    else:
        known = DATASETS[data.name]
        facts |= {"title": known.title, "licence": known.licence, "citation": known.citation}
    opened = open_splits(chosen, splits, offline)
    if data.with_validation and "train" in opened:
        opened["train"] = _joined(opened["train"], opened["val"])
    return Source(opened, open_constants(chosen, offline), chosen.step_h, facts)


def _joined(first: Split, second: Split) -> Split:
    """Two splits as one; windows reach from one into the other where no time is missing between them."""
    dataset = xr.concat([first.fields.dataset, second.fields.dataset], "time", join="exact").sortby("time")
    return Split(replace(first.fields, dataset=dataset), first.content + second.content)


def learning_set(data: GridData | OwnGrids) -> LearningSet:
    """The catalogue's entry, or one of the user's files, with what the configuration asks of it."""
    if isinstance(data, OwnGrids):
        chosen = LearningSet(source=data.path, splits=data.splits, constants=data.constants, units=data.units)
    else:
        chosen = named(data.name)
    asked = {name: getattr(data, name) for name in ("variables", "levels", "step_h")}
    return replace(chosen, **{name: value for name, value in asked.items() if value is not None})


def windows_of(source: Source, split: str, length: int, device: torch.device) -> Windows:
    """All runs of `length` states of a split."""
    return Windows.of(source.splits[split].fields, 1, length - 1, source.step_h, device)


def climate_of(source: Source) -> Climate:
    """What is usual, from the training split."""
    split = source.splits["train"]
    return Climate.fit(split.fields, split.content)


def scales_of(source: Source, steps: Sequence[int], climate: Climate | None = None) -> dict[str, list]:
    """What a Stepper scales with, from the training split: mean, std [C], tendency_std [S, C], nonnegative [C].

    Also `bounds` [C, 2], the least and greatest value that was seen. With a climate the changes are those of
    deviations from it, whose std [C] is `deviation_std`.
    """
    split = source.splits["train"]
    seen = statistics(split.fields, source.step_h * steps[0], split.content)
    changing, content = split.fields, split.content
    if climate is not None:
        changing, content = Deviations.from_climate(split.fields, climate), [content, "deviations"]
    found = [moments(changing, source.step_h * step, content) for step in steps]
    return {
        "mean": seen.mean.tolist(),
        "std": seen.std.tolist(),
        "tendency_std": [one.tendency_std.tolist() for one in found],
        "nonnegative": [channel.variable in NONNEGATIVE for channel in source.channels],
        "bounds": np.stack([seen.minimum, seen.maximum], axis=1).tolist(),
        **({} if climate is None else {"deviation_std": found[0].std.tolist()}),
    }
