"""What a report of forecasts shows: skill against lead time, maps, spectra, and how honest an ensemble is."""

from __future__ import annotations

import numpy as np
import torch

from common.results.plots import embed
from common.results.report import Section
from weather.data.fields import Fields
from weather.forecaster import Forecaster, Start
from weather.pictures import maps, rank_histogram, skill, spectra, spread_against_error
from weather.scoring import Scored

DRAWN = 3
"""Channels that get pictures of their own; tables show all."""

MAP_HOURS = 72.0


def forecast_sections(forecaster: Forecaster, fields: Fields, scored: Scored, members: int) -> list[Section]:
    """The pictures of a report."""
    name, frame = forecaster.card["name"], scored.frame
    labels = [channel.label for channel in forecaster.channels][:DRAWN]
    figures = [
        embed(
            skill(frame, label, name, unit(forecaster, label)),
            f"{label}: error against lead time; in grey what needs no network",
        )
        for label in labels
    ]
    sections = [Section("Skill against lead time", _side_by_side(figures))]
    if members > 1:
        sections.append(Section("The ensemble", _side_by_side(_ensemble(forecaster, scored, labels))))
    forecast, truth, lead_h, start = example(forecaster, fields, max(scored.starts[name]))
    drawn = [
        embed(
            maps(forecast[number], truth[number], forecaster.grid, label, unit(forecaster, label)),
            f"{label}, {lead_h:g} h after {start}: forecast, what came, and the difference",
        )
        for number, label in enumerate(labels)
    ]
    waves = [
        embed(
            spectra(forecast[number], truth[number], forecaster.grid, unit(forecaster, label)),
            f"{label}, {lead_h:g} h: power by zonal wavenumber. A forecast that is too smooth lies below at the right",
        )
        for number, label in enumerate(labels)
    ]
    return [*sections, Section("A forecast", "".join(drawn)), Section("Spectra", _side_by_side(waves))]


def unit(forecaster: Forecaster, label: str) -> str:
    from weather.data.quantities import quantity_of

    variable = next(channel.variable for channel in forecaster.channels if channel.label == label)
    quantity = quantity_of(variable)
    return quantity.unit if quantity else ""


def example(forecaster: Forecaster, fields: Fields, last_lead: int) -> tuple[np.ndarray, np.ndarray, float, str]:
    """Forecast and truth [C, H, W] of the split's middle start that has its truth, some days ahead."""
    first = forecaster.stepper.steps[0]
    lead = min(last_lead, max(first, round(MAP_HOURS / forecaster.step_h / first) * first))
    index = forecaster.start_index(fields, "all")
    valid = fields.times[index[:, -1]] + np.timedelta64(round(lead * forecaster.step_h * 3600), "s")
    usable = np.flatnonzero(np.isin(valid, fields.times))
    chosen = usable[len(usable) // 2]
    states = torch.from_numpy(fields.read(index[chosen]))[None].to(forecaster.device)
    start = Start(fields.times[index[[chosen], -1]], states)
    forecast = torch.zeros(())
    for _, found in forecaster.roll_out(start, np.arange(first, lead + 1, first)):
        forecast = found[0, 0]
    truth = fields.read(np.searchsorted(fields.times, valid[[chosen]]))[0]
    return forecast.cpu().numpy(), truth, lead * forecaster.step_h, str(start.times[0].astype("datetime64[m]"))


def _ensemble(forecaster: Forecaster, scored: Scored, labels: list[str]) -> list[str]:
    name = forecaster.card["name"]
    figures = []
    for number, label in enumerate(labels):
        by_lead = {
            lead * forecaster.step_h: one.by_start("ranks")[:, number].mean(axis=0)
            for lead, one in scored.starts[name].items()
            if one.parts
        }
        figures.append(
            embed(
                rank_histogram(by_lead, label),
                f"{label}: rank of the truth among the members; flat where they are alike",
            )
        )
        figures.append(
            embed(
                spread_against_error(scored.frame, label, name, unit(forecaster, label)),
                f"{label}: spread of the ensemble against the error of its mean",
            )
        )
    return figures


def _side_by_side(figures: list[str]) -> str:
    return f'<div class="figures">{"".join(figures)}</div>'
