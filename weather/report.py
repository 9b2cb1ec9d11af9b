"""What a report of forecasts shows: skill against lead time, maps, spectra, a film, and how honest an ensemble is."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from common.results.plots import embed
from common.results.report import Section
from weather.data.fields import Fields
from weather.data.quantities import quantity_of
from weather.forecaster import Forecaster
from weather.pictures import animate, maps, rank_histogram, skill, spectra, spread_against_error
from weather.scoring import Scored

DRAWN = 3
"""Channels that get pictures of their own; tables show all."""

MAP_HOURS = 72.0


@dataclass(frozen=True)
class Example:
    """One forecast of D drawn channels at L lead times, and what came.

    start            as text
    hours            [L]
    forecast, truth  [L, D, H, W]
    """

    start: str
    hours: list[float]
    forecast: np.ndarray
    truth: np.ndarray


def forecast_sections(
    forecaster: Forecaster, fields: Fields, scored: Scored, members: int, folder: Path
) -> list[Section]:
    """The pictures of a report; the film is also a file in its folder."""
    name, labels = forecaster.card["name"], scored.channels[:DRAWN]
    sections = [Section("Skill against lead time", _skill(forecaster, scored, labels))]
    if members > 1:
        sections.append(Section("The ensemble", _ensemble(forecaster, scored, labels)))
    shown = example(forecaster, fields, max(lead for lead, one in scored.starts[name].items() if one.parts))
    return [*sections, *_example_sections(forecaster, shown, labels, folder / f"{name}.gif")]


def unit(forecaster: Forecaster, label: str) -> str:
    variable = next(channel.variable for channel in forecaster.channels if channel.label == label)
    quantity = quantity_of(variable)
    return quantity.unit if quantity else ""


def example(forecaster: Forecaster, fields: Fields, last_lead: int) -> Example:
    """A forecast from the split's middle start of those with truth up to `last_lead`, in steps; of an ensemble one
    member."""
    first = forecaster.stepper.steps[0]
    leads = np.arange(first, last_lead + 1, first)
    index = forecaster.start_index(fields, "all")
    valid = fields.times[index[:, -1], None] + forecaster.lead_times(leads)
    known = np.isin(valid, fields.times)
    usable = np.flatnonzero(known.sum(axis=1) == known.sum(axis=1).max())
    chosen = usable[len(usable) // 2]
    start = forecaster.start_at(fields, index[[chosen]], leads)
    forecast = [found[0, 0, :DRAWN].cpu().numpy() for _, found in forecaster.roll_out(start, leads)]
    there = known[chosen]
    truth = fields.read(np.searchsorted(fields.times, valid[chosen, there]))[:, :DRAWN]
    hours = (leads[there] * forecaster.step_h).tolist()
    return Example(str(start.times[0].astype("datetime64[m]")), hours, np.stack(forecast)[there], truth)


def _skill(forecaster: Forecaster, scored: Scored, labels: tuple[str, ...]) -> str:
    name = forecaster.card["name"]
    figures = []
    for label in labels:
        axis = f"RMSE ({unit(forecaster, label)})" if unit(forecaster, label) else "RMSE"
        caption = f"{label}: error against lead time; in grey what needs no network"
        figures.append(embed(skill(scored.frame, label, "rmse", name, axis), caption))
        caption = (
            f"{label}: correlation of forecast and true anomalies; 0.6 is often called the end of useful forecasts"
        )
        figures.append(embed(skill(scored.frame, label, "acc", name, "anomaly correlation"), caption))
    return _side_by_side(figures)


def _example_sections(forecaster: Forecaster, shown: Example, labels: tuple[str, ...], film: Path) -> list[Section]:
    """Maps and spectra some days ahead, and the first channel moving."""
    place = int(np.abs(np.array(shown.hours) - MAP_HOURS).argmin())
    hours, grid, land = shown.hours[place], forecaster.grid, _land(forecaster)
    drawn, waves = [], []
    for number, label in enumerate(labels):
        forecast, truth = shown.forecast[place, number], shown.truth[place, number]
        caption = f"{label}, {hours:g} h after {shown.start}: forecast, what came, and the difference"
        drawn.append(embed(maps(forecast, truth, grid, label, unit(forecaster, label), land), caption))
        caption = f"{label}, {hours:g} h: power by scale. A forecast that is too smooth lies below at the right"
        waves.append(embed(spectra(forecast, truth, grid, label, unit(forecaster, label)), caption))
    moving = animate(
        shown.forecast[:, 0], shown.truth[:, 0], shown.hours, grid, labels[0], unit(forecaster, labels[0]), land
    )
    film.write_bytes(moving)
    drawn.append(_embed_gif(moving, f"{labels[0]} after {shown.start}, step by step: also {film.name} in this folder"))
    return [Section("A forecast", "".join(drawn)), Section("Spectra", _side_by_side(waves))]


def _land(forecaster: Forecaster) -> np.ndarray | None:
    """Share of land [H, W], where the model knows it."""
    land = forecaster.constants.get("land_sea_mask")
    return None if land is None else land.numpy()


def _ensemble(forecaster: Forecaster, scored: Scored, labels: tuple[str, ...]) -> str:
    name = forecaster.card["name"]
    figures = []
    for number, label in enumerate(labels):
        by_lead = {
            lead * scored.step_h: one.by_start("ranks")[:, number].mean(axis=0)
            for lead, one in scored.starts[name].items()
            if one.parts
        }
        caption = f"{label}: rank of the truth among the members; flat where they are alike"
        figures.append(embed(rank_histogram(by_lead, label), caption))
        caption = f"{label}: spread of the ensemble against the error of its mean"
        drawn = spread_against_error(scored.frame, label, name, unit(forecaster, label))
        figures.append(embed(drawn, caption))
    return _side_by_side(figures)


def _embed_gif(picture: bytes, caption: str) -> str:
    data, text = base64.b64encode(picture).decode(), escape(caption)
    return (
        f'<figure><img style="max-width:100%" alt="{text}" src="data:image/gif;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _side_by_side(figures: list[str]) -> str:
    return f'<div class="figures">{"".join(figures)}</div>'
