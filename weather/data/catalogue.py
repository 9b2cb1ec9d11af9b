"""What forecasts are learned from: the named sets and a user's own files, split in time.

A split is a period of one source ("1979/2017", both years included) or files of its own ("train_*.nc"). No time is in
two splits, and windows are cut within one, so that nothing of a test period is seen in training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr

from common.app.errors import ConfigError
from common.app.registry import did_you_mean
from common.data.datasets import fetch
from weather.data.datasets import DATASETS, WEATHERBENCH1_Z500_T850
from weather.data.fields import Fields
from weather.data.open import expand, open_fields
from weather.data.statistics import fingerprint

PERIOD = re.compile(r"\d{4}[-\dT:]*/\d{4}[-\dT:]*")

WEATHERBENCH2_LEVELS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)


@dataclass(frozen=True)
class LearningSet:
    """Fields and their splits.

    name       of a registered data set; None for files of one's own
    source     file, folder, pattern, address, or several: all of it for splits by period, a folder for splits by file
    splits     by name ("train", "val", "test"): a period "start/stop", or files below `source`
    step_h     the step that its windows usually have
    variables  those that are used, by the files' or WeatherBench 2's names; None: all fields
    levels     hPa; None: all
    constants  file with orography or land-sea mask, below `source` where that is a folder
    units      by variable, where files state none or a wrong one
    simulated  whether it is output of a model that no observation entered
    """

    source: str | Sequence[str]
    splits: Mapping[str, str | Sequence[str]]
    step_h: float = 6.0
    name: str | None = None
    variables: tuple[str, ...] | None = None
    levels: tuple[float, ...] | None = None
    constants: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False


@dataclass(frozen=True)
class Split:
    """One opened split, and what identifies its content for caches."""

    fields: Fields
    content: list[list[object]]


def named(name: str) -> LearningSet:
    """A set of the catalogue. Raises ConfigError for an unknown name."""
    if name not in CATALOGUE:
        raise ConfigError(f"unknown data set '{name}'. {did_you_mean(name, list(CATALOGUE))}")
    return CATALOGUE[name]


def open_splits(chosen: LearningSet, splits: Sequence[str], offline: bool = False) -> dict[str, Split]:
    """The splits `splits`, lazily.

    Raises ConfigError for a split that is not there or shares times with another, and what `open_fields` raises.
    """
    periods = {name: text for name, text in chosen.splits.items() if is_period(text)}
    _check_periods(periods)
    opened = {name: _open_split(chosen, name, offline) for name in splits}
    require_disjoint({name: split.fields for name, split in opened.items()})
    return opened


def open_constants(chosen: LearningSet, offline: bool = False) -> xr.Dataset | None:
    """Fields that do not change: of their own file, or of the store that is the source; else None."""
    if chosen.constants is not None:
        return open_fields(_located(chosen, chosen.constants, offline), offline=offline)
    if chosen.name is not None and DATASETS[chosen.name].store:
        return open_fields(chosen.source, ["geopotential_at_surface", "land_sea_mask"], offline=offline)
    return None


def require_disjoint(parts: Mapping[str, Fields]) -> None:
    """Raise ConfigError if a time is in two splits."""
    names = list(parts)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = np.intersect1d(parts[first].times, parts[second].times)
            if len(shared):
                raise ConfigError(
                    f"splits '{first}' and '{second}' share {len(shared)} times, the first is "
                    f"{shared[0].astype('datetime64[m]')}; give every time to one split only"
                )


def is_period(text: str | Sequence[str]) -> bool:
    """Whether a split is a period of time rather than files."""
    return isinstance(text, str) and PERIOD.fullmatch(text) is not None


def _open_split(chosen: LearningSet, name: str, offline: bool) -> Split:
    if name not in chosen.splits:
        raise ConfigError(f"no split '{name}'. {did_you_mean(name, list(chosen.splits))}")
    part = chosen.splits[name]
    location = chosen.source if is_period(part) else _located(chosen, part, offline)
    if is_period(part) and chosen.name == WEATHERBENCH1_Z500_T850.name:
        location = [str(path) for path in _weatherbench1(str(part), offline)]
    dataset = open_fields(location, chosen.variables, chosen.units, offline)
    if chosen.variables is None:
        dataset = dataset[[variable for variable, value in dataset.items() if "time" in value.dims]]
    files = expand(location)
    where = chosen.name or (files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more")
    fields = Fields.of(dataset, where, chosen.levels)
    if is_period(part):
        fields = fields.period(*str(part).split("/"))
    return Split(fields, fingerprint(files))


def _located(chosen: LearningSet, part: str | Sequence[str], offline: bool) -> list[str]:
    """Files of a split: fetched for a registered set, else below the source."""
    parts = [part] if isinstance(part, str) else list(part)
    if chosen.name is not None:
        return [str(path) for path in fetch(DATASETS[chosen.name], parts, offline).values()]
    if not isinstance(chosen.source, str):
        raise ConfigError("splits by file need one folder as their source; found a list of files. Name the folder")
    return [text if "://" in text or Path(text).is_absolute() else str(Path(chosen.source) / text) for text in parts]


def _weatherbench1(period: str, offline: bool) -> list[Path]:
    first, last = (int(text[:4]) for text in period.split("/"))
    wanted = [file.name for file in WEATHERBENCH1_Z500_T850.files if first <= int(file.name.split("_")[-2]) <= last]
    return list(fetch(WEATHERBENCH1_Z500_T850, wanted, offline).values())


def _check_periods(periods: Mapping[str, str | Sequence[str]]) -> None:
    """Overlaps of what is configured, also with splits that are not opened now."""
    spans = {}
    for name, text in periods.items():
        first, last = str(text).split("/")
        try:
            start, stop = np.datetime64(first), np.datetime64(last) + np.timedelta64(1)
        except ValueError as error:
            raise ConfigError(
                f"split '{name}' is '{text}': {error}; expected dates as in 2013-01-01/2014-03-31"
            ) from error
        if not start < stop:
            raise ConfigError(f"split '{name}' is '{text}', which ends before it starts; expected start/stop")
        spans[name] = (start.astype("datetime64[s]"), stop.astype("datetime64[s]"))
    ordered = sorted(spans.items(), key=lambda item: item[1])
    for (name, (_, stop)), (other, (start, _)) in pairwise(ordered):
        if start < stop:
            raise ConfigError(
                f"splits '{name}' ({periods[name]}) and '{other}' ({periods[other]}) overlap; both ends of a period "
                "belong to it. Give every time to one split only"
            )


def _files(stem: str, *splits: str) -> dict[str, str]:
    return {split: f"weather/{stem}_{split}.nc" for split in splits}


def _weatherbench2(name: str) -> LearningSet:
    return LearningSet(
        name=name,
        source=DATASETS[name].store or "",
        splits={"train": "1979/2017", "val": "2018/2019", "test": "2020/2020"},
        variables=(
            "geopotential", "temperature", "u_component_of_wind", "v_component_of_wind", "specific_humidity",
            "2m_temperature", "10m_u_component_of_wind", "10m_v_component_of_wind", "mean_sea_level_pressure",
        ),
        levels=WEATHERBENCH2_LEVELS,
    )  # fmt: skip


SPEEDY = "weather/sim_speedy_t31_5p625deg"

CATALOGUE: dict[str, LearningSet] = {
    "ncep-namerica-t995": LearningSet(
        name="ncep-namerica-t995", source="", splits=_files("ncep_r1_t995_namerica_6h", "train", "val", "test")
    ),
    "gfs-wind10m": LearningSet(
        name="gfs-wind10m", source="", splits=_files("gfs_wind10m_global_1deg", "train", "test")
    ),
    "era5-uk-t2m": LearningSet(
        name="era5-uk-t2m", source="", splits=_files("era5_t2m_uk_hourly", "train", "val", "test"), step_h=1
    ),
    "speedy-5p625": LearningSet(
        name="speedy-5p625",
        source="",
        splits={
            "train": [f"{SPEEDY}_6h_train_a.nc", f"{SPEEDY}_6h_train_b.nc"],
            "val": f"{SPEEDY}_6h_val.nc",
            "test": f"{SPEEDY}_6h_test.nc",
        },
        constants=f"{SPEEDY}_constants.nc",
        simulated=True,
    ),
    "weatherbench1-5p625deg": LearningSet(
        name="weatherbench1-5p625deg",
        source="",
        splits={"train": "1979/2015", "val": "2016/2016", "test": "2017/2018"},
    ),
    **{name: _weatherbench2(name) for name in ("era5-64x32", "era5-240x121", "era5-1440x721")},
}
