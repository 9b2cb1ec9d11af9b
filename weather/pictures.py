"""Pictures of forecasts: maps, skill, spectra, ensembles, and a moving one. Coordinates are drawn as they are.

H latitudes, W longitudes, M members, L lead times.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from PIL import Image

from common.results.plots import BLUE, MUTED, ORANGE, PURPLE, SKY, STYLE, VERMILION, styled
from weather.data.grid import Grid
from weather.metrics import power_spectrum, zonal_spectrum

QUIET = {"persistence": (MUTED, ":"), "climatology": (MUTED, "--"), "ridge regression": (MUTED, "-")}
COLOURS = (BLUE, VERMILION, PURPLE, ORANGE, SKY)
FRAME_MS = 500


@styled
def skill(frame: pd.DataFrame, channel: str, metric: str, system: str, label: str) -> Figure:
    """One score of all systems against lead time; beside the RMSE of an ensemble also its spread, dashed."""
    figure = Figure(figsize=(4.8, 3.0), layout="constrained")
    axes = figure.add_subplot()
    part = frame[(frame["channel"] == channel) & frame["value"].notna()]
    unit, hours = ("days", 24) if float(frame["lead_h"].to_numpy().max()) >= 48 else ("h", 1)
    for name in dict.fromkeys(part["system"]):
        rows = part.query("system == @name and metric == @metric")
        colour, line = QUIET.get(name, (BLUE, "-"))
        mark = "o" if name == system and len(rows) < 12 else None
        if len(rows):
            axes.plot(rows["lead_h"] / hours, rows["value"], line, color=colour, marker=mark, markersize=3, label=name)
    spread = part.query("metric == 'spread' and system == @system")
    if metric == "rmse" and len(spread):
        axes.plot(spread["lead_h"] / hours, spread["value"], "--", color=BLUE, label="spread of the ensemble")
    axes.set(xlabel=f"lead time ({unit})", ylabel=label, title=channel.replace("_", " "))
    if metric == "acc":
        axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1)
    else:
        axes.set_ylim(bottom=0)
    axes.legend(fontsize=7)
    return figure


@styled
def maps(
    forecast: np.ndarray, truth: np.ndarray, grid: Grid, label: str, unit: str, land: np.ndarray | None = None
) -> Figure:
    """Forecast, truth and difference [H, W], the first two on one scale; coasts where the share of land is known."""
    figure = Figure(figsize=(10.2, _height(grid, 3.2) + 0.5), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, 3, sharey=True))
    scale = _scale(forecast, truth)
    image, _ = (
        _map(axes, values, grid, title, land, **scale)
        for axes, title, values in zip(panels, ("forecast", "truth"), (forecast, truth), strict=False)
    )
    limit = float(np.abs(forecast - truth).max()) or 1.0
    colours = {"norm": TwoSlopeNorm(0, -limit, limit), "cmap": "RdBu_r"}
    difference = _map(panels[2], forecast - truth, grid, "forecast − truth", land, **colours)
    figure.colorbar(image, ax=list(panels[:2]), location="bottom", shrink=0.6, aspect=40, label=_quantity(label, unit))
    few = MaxNLocator(5)
    label = f"difference ({unit})" if unit else "difference"
    figure.colorbar(difference, ax=panels[2], location="bottom", shrink=0.9, aspect=30, label=label, ticks=few)
    panels[0].set_ylabel("latitude")
    return figure


def _height(grid: Grid, width: float) -> float:
    """Inches of a row of maps `width` wide, with its title and axis."""
    return 0.9 + width * 1.15 / max(float(np.ptp(grid.longitudes)) / max(float(np.ptp(grid.latitudes)), 1e-6), 1.0)


def _scale(*fields: np.ndarray) -> dict[str, Any]:
    """Colours that serve all fields."""
    return {
        "vmin": float(min(x.min() for x in fields)), "vmax": float(max(x.max() for x in fields)), "cmap": "viridis",
    }  # fmt: skip


def _quantity(label: str, unit: str) -> str:
    name = label.replace("_", " ")
    return f"{name} ({unit})" if unit else name


def _map(
    axes: Axes, values: np.ndarray, grid: Grid, title: str, land: np.ndarray | None, **colours: object
) -> AxesImage:
    dy, dx = (abs(float(np.diff(axis).mean())) / 2 for axis in (grid.latitudes, grid.longitudes))
    south, north = sorted((float(grid.latitudes[0]), float(grid.latitudes[-1])))
    extent = (float(grid.longitudes[0]) - dx, float(grid.longitudes[-1]) + dx, south - dy, north + dy)
    image = axes.imshow(values, origin="lower", extent=extent, aspect="auto", interpolation="nearest", **colours)  # pyright: ignore
    if land is not None:
        axes.contour(grid.longitudes, grid.latitudes, land, levels=[0.5], colors="white", linewidths=1.0)
        axes.contour(grid.longitudes, grid.latitudes, land, levels=[0.5], colors="black", linewidths=0.4)
    axes.set(title=title, xlabel="longitude")
    axes.grid(False)
    return image


@styled
def spectra(forecast: np.ndarray, truth: np.ndarray, grid: Grid, label: str, unit: str) -> Figure:
    """Power [H, W] by scale: over degrees of spherical harmonics on a globe, over zonal wavenumbers in a region."""
    figure = Figure(figsize=(4.8, 3.0), layout="constrained")
    axes = figure.add_subplot()
    for name, values, colour in (("truth", truth, MUTED), ("forecast", forecast, BLUE)):
        scale, power = _power(values, grid)
        axes.loglog(scale[1:], power[1:], color=colour, label=name)
    axes.set(
        xlabel="zonal wavenumber" if grid.kind == "regional" else "degree of spherical harmonics",
        ylabel=f"power (({unit})²)" if unit else "power",
        title=label.replace("_", " "),
    )
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend()
    return figure


def _power(values: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Wavenumbers or degrees and the power there."""
    if grid.kind != "regional":
        power = power_spectrum(values, grid).numpy()
        count = len(power) if grid.kind == "gaussian" else len(power) // 2  # above, these are inaccurate
        return np.arange(count), power[:count]
    if not grid.periodic:  # edges that do not meet would leak into all wavenumbers
        values = (values - values.mean(axis=1, keepdims=True)) * np.hanning(values.shape[1])
    power = zonal_spectrum(values, weights=grid.latitude_weights).numpy()
    turns = 1.0 if grid.periodic else 360 / float(np.ptp(grid.longitudes))
    return turns * np.arange(len(power)), power


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


def animate(
    forecast: np.ndarray,
    truth: np.ndarray,
    hours: Sequence[float],
    grid: Grid,
    label: str,
    unit: str,
    land: np.ndarray | None = None,
) -> bytes:
    """A GIF of forecast and truth [L, H, W] side by side, two frames a second; the last one stays a while."""
    black = ("text.color", "axes.titlecolor", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor")
    style = {**STYLE, "figure.facecolor": "white", **dict.fromkeys(black, "black")}
    with mpl.rc_context(style):
        figure = Figure(figsize=(9.0, _height(grid, 3.9)), layout="constrained", dpi=80)
        canvas = FigureCanvasAgg(figure)
        panels = np.atleast_1d(figure.subplots(1, 2, sharey=True))
        pairs = tuple(zip(panels, (forecast, truth), ("forecast", "truth"), strict=True))
        images = [_map(axes, values[0], grid, title, land, **_scale(forecast, truth)) for axes, values, title in pairs]
        panels[0].set_ylabel("latitude")
        figure.colorbar(images[0], ax=list(panels), shrink=0.9, pad=0.01, label=_quantity(label, unit))
        frames = []
        for number, hour in enumerate(hours):
            for image, (axes, values, title) in zip(images, pairs, strict=True):
                image.set_data(values[number])
                axes.set_title(f"{title}, {hour:g} h")
            canvas.draw()
            frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    # One palette for all frames: the colours of the whole scale, which single frames need not show.
    palette = frames[-1].quantize(256)
    pictures = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    pauses = [FRAME_MS] * (len(pictures) - 1) + [3 * FRAME_MS]
    stream = io.BytesIO()
    pictures[0].save(stream, "GIF", save_all=True, append_images=pictures[1:], duration=pauses, loop=0, optimize=True)
    return stream.getvalue()
