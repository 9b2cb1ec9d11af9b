"""A whole study of a forecaster: data, training, evaluation, report, saved model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.app.errors import ConfigError
from common.training.run_directory import RunDirectory
from common.training.study import Outcome, run_study, start_from
from weather.config import TrainConfig
from weather.data.forcings import Forcings
from weather.data.grid import Grid
from weather.data.mirror import Mirror
from weather.data.statistics import pairs
from weather.evaluation import leads_of, score_split, write_scores
from weather.forecaster import Forecaster
from weather.losses import LOSSES, spectral_loss, spherical_spectral_loss
from weather.models import MODELS
from weather.samples import Source, climate_of, open_source, scales_of, windows_of
from weather.score_tables import summary
from weather.scoring import Scored
from weather.shrinkage import fit_shrinkage
from weather.stepper import PAST, Stepper
from weather.task import ForecastTask, Horizon

TROPOSPHERE_HPA = 1000.0
REPORTED_STARTS = 96
"""Forecasts of the validation split that a run's report scores, about."""

FITTED_STARTS = 256
"""The same from which shrinkage is fitted."""


def train(config: TrainConfig) -> RunDirectory | None:
    """Train, score the chosen weights on the validation split, write report.html, and save the forecaster.

    Returns the run folder; None for a dry run (`check=true`).
    """
    return run_study("weather", config, _open, make_task, _conclude)


def _open(config: TrainConfig) -> Source:
    return open_source(config.data, ("train", "val"), config.offline)


def make_task(config: TrainConfig, source: Source, device: torch.device) -> ForecastTask:
    """The model, initialised from the seed or from `start_from`, on the windows of the source."""
    torch.manual_seed(config.seed)
    forecast, rollout = config.forecast, config.rollout
    horizon = Horizon(rollout.targets, rollout.validation or rollout.targets, rollout.grow_until)
    furthest = max(forecast.steps)
    apart = max(step * max(1, horizon.validation // step) for step in forecast.steps)
    reach = {
        "train": rollout.targets * furthest,
        "val": horizon.validation * furthest if forecast.at_once else apart,
    }
    windows = {split: windows_of(source, split, forecast.history + n, device) for split, n in reach.items()}
    step_h = source.step_h * forecast.steps[0]
    forcings = Forcings(forecast.forcings, source.grid, step_h, source.constants, device)
    climate = climate_of(source) if forecast.deviations else None
    network, scales = new_network(config, source, forcings), scales_of(source, forecast.steps, climate)
    stepper = Stepper(network, scales, forecast.steps, forecast.noise, forecast.at_once)
    stepper.save_memory = config.trainer.activation_checkpointing
    if config.start_from:
        names = (config.start_from,) if isinstance(config.start_from, str) else config.start_from
        start_from(stepper.network, _in_turn(names), ", ".join(names))
    return ForecastTask(
        stepper.to(device),
        windows,
        forcings,
        forecast.history,
        horizon,
        rollout.members,
        LOSSES[config.loss.name],
        channel_weights(config, source).to(device),
        torch.as_tensor(source.grid.area_weights(), dtype=torch.float32, device=device),
        config.loss.spectral,
        spherical_spectral_loss(source.grid) if config.loss.spectrum == "spherical" else spectral_loss,
        climate.to(device) if climate is not None else None,
        Mirror(source.grid, source.channels, forcings, device) if config.mirror else None,
    )


def _in_turn(names: Sequence[str]) -> dict[str, Tensor]:
    """Tensors of trained models; where these hold several networks, those of the first come first."""
    found: dict[str, Tensor] = {}
    before = 0
    for name in names:
        state = Forecaster.from_pretrained(name, "cpu").model.state_dict()
        numbers = {key: re.match(r"networks\.(\d+)\.(.*)", key) for key in state}
        found |= {f"networks.{int(m[1]) + before}.{m[2]}" if m else key: state[key] for key, m in numbers.items()}
        before += len({m[1] for m in numbers.values() if m})
    return found


def new_network(config: TrainConfig, source: Source, forcings: Forcings) -> nn.Module:
    """The architecture with the configuration's hyper-parameters, and those that follow from the data."""
    kind, forecast, channels = MODELS[config.model.name], config.forecast, len(source.channels)
    sizes = len(forecast.steps)
    values = {
        **config.model.model_dump(exclude={"name"}),
        "in_channels": (forecast.history + forecast.deviations) * channels + len(forcings.channels),
        "out_channels": channels * (sizes if forecast.at_once else 1),
        "condition": forecast.noise + (sizes if sizes > 1 and not forecast.at_once else 0),
        **geometry(source.grid, config.model.name),
    }
    known = {field.name for field in fields(kind.config_class)}
    return kind(kind.config_class(**{name: value for name, value in values.items() if name in known}))


def geometry(grid: Grid, model: str) -> dict[str, Any]:
    """What an architecture is told of a grid: size, kind, and what lies beyond its edges."""
    if model == "sfno" and grid.kind == "regional":
        raise ConfigError(f"model=sfno needs a globe, the data are on {grid.name}; choose unet, fno, vit or mesh_gnn")
    poles = "_with_poles" if grid.has_poles else ""
    return {
        "height": grid.shape[0],
        "width": grid.shape[1],
        "latitudes": tuple(grid.latitudes.tolist()),
        "longitudes": tuple(grid.longitudes.tolist()),
        "grid": f"{grid.kind}{poles}",
        "boundary": "region" if grid.kind == "regional" else f"globe{poles}",
    }


def channel_weights(config: TrainConfig, source: Source) -> Tensor:
    """What each channel counts in the loss [C]."""
    asked = config.loss.weights
    known = {name for channel in source.channels for name in (channel.variable, channel.label)}
    if unknown := sorted(set(asked) - known):
        raise ConfigError(
            f"loss.weights names {unknown[0]}, which is not forecast; expected of {', '.join(sorted(known))}"
        )
    weights = []
    for channel in source.channels:
        weight = asked.get(channel.label, asked.get(channel.variable, 1.0))
        if config.loss.pressure_weighted and channel.level is not None:
            weight *= channel.level / TROPOSPHERE_HPA
        weights.append(weight)
    return torch.tensor(weights)


def forecaster_of(
    config: TrainConfig, weights: Mapping[str, Tensor], source: Source, device: torch.device
) -> Forecaster:
    """The trained forecaster with its card."""
    forecast = config.forecast
    forcings = Forcings(forecast.forcings, source.grid, source.step_h, source.constants)
    climate = climate_of(source) if forecast.deviations else None
    network = new_network(config, source, forcings)
    network.load_state_dict({name.removeprefix("network."): value for name, value in weights.items()})
    what = ", ".join(channel.label for channel in source.channels)
    card = {
        "name": config.experiment.replace("_", "-"),
        "description": f"forecasts {what} of {source.facts['title']} in steps of {source.step_h:g} h",
        "architecture": config.model.name,
        "grid": {"latitudes": source.grid.latitudes.tolist(), "longitudes": source.grid.longitudes.tolist()},
        "channels": [list(channel) for channel in source.channels],
        "history": forecast.history,
        "past": PAST,
        "step_h": source.step_h,
        "steps": list(forecast.steps),
        "forcings": list(forecast.forcings),
        "noise": forecast.noise,
        "deviations": forecast.deviations,
        "at_once": forecast.at_once,
        "recent_errors": {"days": forecast.recent_days, "doubt_days": forecast.doubt_days}
        if forecast.recent_days
        else None,
        "scales": scales_of(source, forecast.steps, climate),
        "data": dict(source.facts),
        "licence": "Apache-2.0",
        "recipe": config.model_dump(mode="json", exclude={"resume", "check", "run_dir", "offline", "save_as"}),
    }
    forecaster = Forecaster(network, card, str(device))
    forecaster.keep_constants(source.constants)
    forecaster.climate = climate.to(forecaster.device) if climate is not None else None
    return forecaster


def _conclude(config: TrainConfig, source: Source, outcome: Outcome) -> None:
    """Score, report and save the chosen weights."""
    run = outcome.run
    forecaster = forecaster_of(config, outcome.weights, source, outcome.device)
    forecaster.card["training"] = dict(outcome.training)
    starts = max(1, len(source.splits["val"].fields) // (REPORTED_STARTS // config.rollout.members))
    if config.forecast.shrink:
        shrink(forecaster, source)
    leads = reported_leads(forecaster, source)
    scored = score_split(forecaster, source, "val", leads, config.rollout.members, every=starts)
    seen = config.learns_validation
    forecaster.card["metrics"] = card_metrics(scored, forecaster, "seen" if seen else "val")
    for folder in filter(None, (run.path / "model", config.save_as)):
        forecaster.save_pretrained(folder)
    title = f"{config.experiment}: {source.facts['title']}, validation{', learned from too' if seen else ''}"
    path = write_scores(run, title, forecaster, source, "val", scored, config.rollout.members)
    print(summary(scored))
    print(f"model: {run.path / 'model'}  report: {path}")


def shrink(forecaster: Forecaster, source: Source) -> None:
    """Fit to the validation split how far deviations are kept, up to five days as that split allows."""
    fields, climate = source.splits["val"].fields, climate_of(source)
    step = forecaster.stepper.steps[0]
    leads = list(range(step, max(reported_leads(forecaster, source)) + 1, step))
    every = max(1, len(fields) // FITTED_STARTS)
    forecaster.keep_shrinkage(climate, fit_shrinkage(forecaster, fields, climate, leads, every))


def reported_leads(forecaster: Forecaster, source: Source) -> list[int]:
    """About eight lead times, up to five days or as far as the validation split lets half of its starts go."""
    furthest = leads_of(forecaster, None)
    fields = source.splits["val"].fields
    index = forecaster.start_index(fields, "all")
    there = [
        lead
        for lead in furthest
        if 2 * len(pairs(fields.times[index[:, -1]], lead * forecaster.step_h)[0]) >= len(index)
    ]
    return sorted({*there[:: max(1, len(there) // 7)], *there[-1:]}) or furthest[:1]


def card_metrics(scored: Scored, forecaster: Forecaster, of: str) -> dict[str, float]:
    """The errors of the first and the last lead time, by channel; `of` says on what."""
    frame = scored.frame.query("system == @forecaster.card['name'] and metric == 'rmse'")
    ends = frame[np.isin(frame["lead_h"], [frame["lead_h"].min(), frame["lead_h"].max()])]
    return {f"{of}_rmse {row.channel} {row.lead_h:g} h": float(row.value) for row in ends.itertuples()}  # pyright: ignore
