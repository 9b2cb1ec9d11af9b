"""Pictures of forecasts: maps, skill, spectra, ensembles, and a moving one. Coordinates are drawn as they are.

H latitudes, W longitudes, M members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from common.results.plots import BLUE, MUTED, ORANGE, PURPLE, SKY, STYLE, VERMILION, styled
from weather.data.grid import Grid

QUIET = {"persistence": (MUTED, ":"), "climatology": (MUTED, "--"), "ridge regression": (MUTED, "-")}
COLOURS = (BLUE, VERMILION, PURPLE, ORANGE, SKY)


@styled
def skill(frame: pd.DataFrame, channel: str, system: str, unit: str) -> Figure:
    """Root-mean-square error of all systems against lead time; of an ensemble also its spread, dashed."""
    figure = Figure(figsize=(4.8, 3.0), layout="constrained")
    axes = figure.add_subplot()
    part = frame[frame["channel"] == channel]
    for name in dict.fromkeys(part["system"]):
        rows = part.query("system == @name and metric == 'rmse'")
        colour, line = QUIET.get(name, (BLUE, "-"))
        mark = "o" if name == system and len(rows) < 12 else None
        axes.plot(
            rows["lead_h"] / 24, rows["value"], color=colour, linestyle=line, marker=mark, markersize=3, label=name
        )
    spread = part[(part["metric"] == "spread") & (part["system"] == system)]
    if len(spread):
        axes.plot(spread["lead_h"] / 24, spread["value"], color=BLUE, linestyle="--", label="spread of the ensemble")
    axes.set(xlabel="lead time (days)", ylabel=f"RMSE ({unit})" if unit else "RMSE", title=channel.replace("_", " "))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7)
    return figure


@styled
def maps(forecast: np.ndarray, truth: np.ndarray, grid: Grid, label: str, unit: str) -> Figure:
    """Forecast, truth and difference [H, W], the first two on one scale."""
    wide = np.ptp(grid.longitudes) / max(np.ptp(grid.latitudes), 1e-6)
    figure = Figure(figsize=(10.2, 0.9 + 3.0 / max(wide, 1.0) * 1.15), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, 3, sharey=True))
    low, high = float(min(forecast.min(), truth.min())), float(max(forecast.max(), truth.max()))
    limit = float(np.abs(forecast - truth).max()) or 1.0
    shown = [("forecast", forecast), ("truth", truth)]
    image = None
    for axes, (title, values) in zip(panels, shown, strict=False):
        image = _map(axes, values, grid, title, vmin=low, vmax=high, cmap="viridis")
    difference = _map(
        panels[2], forecast - truth, grid, "forecast − truth", norm=TwoSlopeNorm(0, -limit, limit), cmap="RdBu_r"
    )
    assert image is not None
    name = f"{label.replace('_', ' ')} ({unit})" if unit else label
    figure.colorbar(image, ax=list(panels[:2]), shrink=0.85, pad=0.01, label=name)
    figure.colorbar(difference, ax=panels[2], shrink=0.85, pad=0.01, label=unit)
    panels[0].set_ylabel("latitude")
    return figure


def _map(axes: Axes, values: np.ndarray, grid: Grid, title: str, **colours: object) -> AxesImage:
    dy, dx = (abs(float(np.diff(axis).mean())) / 2 for axis in (grid.latitudes, grid.longitudes))
    south, north = sorted((float(grid.latitudes[0]), float(grid.latitudes[-1])))
    extent = (float(grid.longitudes[0]) - dx, float(grid.longitudes[-1]) + dx, south - dy, north + dy)
    image = axes.imshow(values, origin="lower", extent=extent, aspect="auto", interpolation="nearest", **colours)  # pyright: ignore
    axes.set(title=title, xlabel="longitude")
    axes.grid(False)
    return image


@styled
def spectra(forecast: np.ndarray, truth: np.ndarray, grid: Grid, unit: str) -> Figure:
    """Mean power of the waves along latitude circles [H, W], by wavenumber around the globe, cells by area."""
    figure = Figure(figsize=(4.8, 3.0), layout="constrained")
    axes = figure.add_subplot()
    weights = grid.latitude_weights[:, None] / grid.shape[0]
    turns = 1.0 if grid.periodic else 360 / float(np.ptp(grid.longitudes))
    for name, values, colour in (("truth", truth, MUTED), ("forecast", forecast, BLUE)):
        if not grid.periodic:  # edges that do not meet would leak into all wavenumbers
            values = (values - values.mean(axis=1, keepdims=True)) * np.hanning(values.shape[1])
        power = (np.abs(np.fft.rfft(values, axis=1, norm="forward")) ** 2 * weights).sum(axis=0)
        wavenumber = turns * np.arange(1, len(power))
        axes.loglog(wavenumber, power[1:], color=colour, label=name)
    axes.set(xlabel="zonal wavenumber", ylabel=f"power (({unit})²)" if unit else "power")
    axes.legend()
    return figure


@styled
def rank_histogram(ranks_by_lead: Mapping[float, np.ndarray], label: str) -> Figure:
    """Share of each rank [M + 1] of the truth among the members, for a few lead times; 1 is what chance gives."""
    figure = Figure(figsize=(4.8, 3.0), layout="constrained")
    axes = figure.add_subplot()
    leads = list(ranks_by_lead)
    for lead, colour in zip(leads[:: max(1, len(leads) // 3)][:4], COLOURS, strict=False):
        ranks = ranks_by_lead[lead]
        axes.plot(
            np.arange(len(ranks)),
            ranks / ranks.sum() * len(ranks),
            "o-",
            markersize=3,
            color=colour,
            label=f"{lead:g} h",
        )
    axes.axhline(1, color=MUTED, linewidth=0.8)
    axes.set(xlabel="rank", ylabel="share over that of chance", title=label.replace("_", " "))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7)
    return figure


@styled
def spread_against_error(frame: pd.DataFrame, channel: str, system: str, unit: str) -> Figure:
    """Spread against the error of the ensemble's mean, a point for each lead time; equal on the diagonal."""
    figure = Figure(figsize=(4.0, 3.0), layout="constrained")
    axes = figure.add_subplot()
    part = frame[(frame["channel"] == channel) & (frame["system"] == system)]
    wide = part.pivot_table(index="lead_h", columns="metric", values="value")
    axes.plot(wide["rmse"], wide["spread"], "o-", markersize=3, color=BLUE)
    end = 1.08 * float(wide[["rmse", "spread"]].to_numpy().max())
    axes.plot([0, end], [0, end], color=MUTED, linewidth=0.8)
    for lead in (wide.index[0], wide.index[-1]):
        axes.annotate(
            f"{lead:g} h",
            (wide["rmse"][lead], wide["spread"][lead]),
            fontsize=7,
            xytext=(4, -8),
            textcoords="offset points",
        )
    axes.set(
        xlabel=f"RMSE ({unit})",
        ylabel=f"spread ({unit})",
        title=channel.replace("_", " "),
        xlim=(0, end),
        ylim=(0, end),
    )
    return figure


def animate(fields: np.ndarray, hours: Sequence[float], grid: Grid, label: str, unit: str, path: Path) -> Path:
    """A GIF of fields [T, H, W], four frames a second."""
    from matplotlib.animation import FuncAnimation, PillowWriter
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    black = ("text.color", "axes.titlecolor", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor")
    style = {**STYLE, "figure.facecolor": "white", **dict.fromkeys(black, "black")}
    with mpl.rc_context(style):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        image = _map(axes, fields[0], grid, "", vmin=float(fields.min()), vmax=float(fields.max()), cmap="viridis")
        axes.set_ylabel("latitude")
        figure.colorbar(image, ax=axes, label=f"{label.replace('_', ' ')} ({unit})")

        def draw(frame: int) -> list[AxesImage]:
            image.set_data(fields[frame])
            axes.set_title(f"{hours[frame]:g} h")
            return [image]

        FuncAnimation(figure, draw, frames=len(fields)).save(path, writer=PillowWriter(fps=4), dpi=90)
    return path
