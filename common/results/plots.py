"""Figures in one calm, colour-blind-safe style, drawn without global state and embedded in the report as inline SVG.

Text and frames take the colours and the font of the page they stand in, so one figure serves light and dark pages.
Clouds of more than `RASTER_ABOVE` points become a picture inside the SVG: a vector for each would weigh megabytes.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike

RASTER_ABOVE = 2_000

NOT_METRICS = ("step", "epoch", "learning_rate", "samples_per_s", "memory_gb", "seconds")

# Okabe and Ito's palette, safe for all common kinds of colour blindness (https://jfly.uni-koeln.de/color/)
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
DENSITY = LinearSegmentedColormap.from_list("density", ["#4a86c5", "#3fb0a6", "#f0b429"])

# `to_svg` replaces these by the page's own colours and font; BLUE alone would be too dark on a dark page
INK, MUTED, GRID, FONT = "#123451", "#123452", "#123453", "DejaVu Sans"
PAPER_COLOURS = {INK: "#1b1f24", MUTED: "#57606a", GRID: "#dde1e6"}
PAGE_COLOURS = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)", BLUE: "var(--accent)"}

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": [FONT],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.prop_cycle": cycler(linestyle=["-", "--"]) * cycler(color=COLOURS),  # a seventh line differs too
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "trifold",
}

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function in the house style."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapper


def to_svg(figure: Figure, colours: Mapping[str, str] = PAGE_COLOURS) -> str:
    """The figure as an `<svg>` element; by default for a page that defines --ink, --muted, --line and --accent."""
    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", dpi=180, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for stand_in, colour in colours.items():
        svg = svg.replace(stand_in, colour)
    return svg.replace(f"'{FONT}'", "inherit")


def to_file(figure: Figure, path: Path) -> None:
    """The figure as an SVG file of its own; it appears whole."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    temporary.write_text(to_svg(figure, PAPER_COLOURS), encoding="utf-8")
    temporary.replace(path)


def embed(figure: Figure, caption: str) -> str:
    """A `<figure>` with the picture and its caption, which is also its description for screen readers."""
    text = escape(caption)
    return f'<figure role="img" aria-label="{text}">{to_svg(figure)}<figcaption>{text}</figcaption></figure>'


@styled
def curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss, validation metrics and learning rate over a run.

    `history` holds the lines of metrics.jsonl: step, epoch, split and figures. A quantity that spans more than a
    factor of five is drawn on a logarithmic axis; a long series of losses also gets its running mean.
    """
    names = [*_quantities(history)[:5], "learning_rate"]
    panels = [(name, series) for name in names if (series := _series(history, name))]
    columns = 2 if len(panels) == 4 else min(3, len(panels)) or 1
    rows = math.ceil(len(panels) / columns) or 1
    figure = Figure(figsize=(10.2, 2.6 * rows), layout="constrained")
    x_label = "epoch" if all("epoch" in line for line in history) else "step"
    for index, (name, series) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, index + 1)
        for colour, (split, (x, y)) in zip(COLOURS, series.items(), strict=False):
            _line(axes, x, y, split, colour, smooth=name == "loss")
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel(x_label)
        if name != "learning_rate":
            _scale(axes, np.concatenate([y for _, y in series.values()]))
        if len(series) > 1:
            axes.legend(loc="upper right", fontsize=8)
    return figure


@styled
def parity(target: ArrayLike, predicted: ArrayLike, label: str, unit: str) -> Figure:
    """Predicted against true values, coloured by density, with N, MAE, RMSE and R2; pairs with a NaN are left out."""
    x, y = np.asarray(target, float).ravel(), np.asarray(predicted, float).ravel()
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    if len(x):
        low, high = _padded(np.concatenate([x, y]))
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        density = _density(x, y, low, high)
        order = np.argsort(density, kind="stable")
        axes.scatter(
            x[order], y[order], c=density[order], cmap=DENSITY, norm=LogNorm(1, max(density.max(), 2)),
            s=9 if len(x) <= 1000 else 5, alpha=0.8, linewidths=0, rasterized=len(x) > RASTER_ABOVE, zorder=2,
        )  # fmt: skip
        axes.set(xlim=(low, high), ylim=(low, high))
    _note(axes, _scores(x, y, unit))
    axes.set(xlabel=f"true {label} ({unit})", ylabel=f"predicted {label} ({unit})")
    return figure


@styled
def histogram(values: ArrayLike, label: str, unit: str, bins: int = 60) -> Figure:
    """Distribution of signed errors between the 0.5 % and 99.5 % quantiles; how many lie outside is said."""
    x = np.asarray(values, float).ravel()
    x = x[np.isfinite(x)]
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    if len(x):
        edge = max(abs(np.quantile(x, 0.005)), abs(np.quantile(x, 0.995)), 1e-12)
        inside = x[np.abs(x) <= edge]
        axes.hist(inside, bins=bins, range=(-edge, edge), color=BLUE, alpha=0.85, linewidth=0)
        axes.axvline(0, ymax=0.8, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        facts = [f"mean = {x.mean():+.2g} {unit}", f"median |error| = {np.median(np.abs(x)):.2g} {unit}"]
        if len(x) > len(inside):
            facts.append(f"{len(x) - len(inside):,} beyond ±{edge:.2g} {unit}")
        _note(axes, facts)
        axes.margins(y=0.28)
    axes.grid(visible=False, axis="x")
    axes.set(xlabel=f"{label} ({unit})", ylabel="count")
    return figure


def _quantities(history: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is worth a curve, in order of appearance: the loss of any split and all that is measured in validation."""
    readings = [(line.get("split"), name, value) for line in history for name, value in line.items()]
    names = [
        name
        for split, name, value in readings
        if name == "loss" or (split != "train" and name not in NOT_METRICS and isinstance(value, float | int))
    ]
    return list(dict.fromkeys(names))


def _series(history: Iterable[Mapping[str, Any]], name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(x, y) of one quantity for each split that has it."""
    points: dict[str, list[tuple[float, float]]] = {}
    for line in history:
        if isinstance(line.get(name), float | int):
            x = line.get("epoch", line.get("step", 0))
            points.setdefault(str(line.get("split", "")), []).append((x, line[name]))
    arrays = {split: np.array(pairs, float) for split, pairs in points.items()}
    return {split: (array[:, 0], array[:, 1]) for split, array in arrays.items()}


def _scores(target: np.ndarray, predicted: np.ndarray, unit: str) -> list[str]:
    if not len(target):
        return ["N = 0"]
    squares, spread = np.square(predicted - target).sum(), np.square(target - target.mean()).sum()
    return [
        f"N = {len(target):,}",
        f"MAE = {np.abs(predicted - target).mean():.4g} {unit}",
        f"RMSE = {math.sqrt(squares / len(target)):.4g} {unit}",
        f"R² = {1 - squares / spread:.4f}" if spread > 0 else "R² undefined",
    ]


def _note(axes: Axes, lines: Sequence[str]) -> None:
    axes.text(0.03, 0.97, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=8.5, linespacing=1.5)


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, label: str, colour: str, smooth: bool) -> None:
    window = len(y) // 40 if smooth else 0
    if window < 3:
        axes.plot(x, y, label=label, color=colour, marker="o" if len(y) <= 20 else "", markersize=3)
        return
    axes.plot(x, y, color=colour, alpha=0.25, linewidth=0.8)
    mean = np.convolve(y, np.ones(window) / window, mode="valid")
    axes.plot(x[window - 1 :], mean, label=label, color=colour)


def _scale(axes: Axes, values: np.ndarray) -> None:
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > 5 * finite.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _padded(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    pad = 0.04 * (high - low) or 1.0
    return low - pad, high + pad


def _density(x: np.ndarray, y: np.ndarray, low: float, high: float, bins: int = 120) -> np.ndarray:
    """Number of points in each point's cell of a grid, smoothed over the neighbouring cells."""
    scale = bins / (high - low)
    column, row = ((v - low) * scale for v in (x, y))
    column, row = (np.clip(v.astype(int), 0, bins - 1) for v in (column, row))
    counts = np.zeros((bins + 2, bins + 2))
    np.add.at(counts, (column + 1, row + 1), 1)
    smooth = sum(counts[1 + i : bins + 1 + i, 1 + j : bins + 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1))
    return np.asarray(smooth)[column, row]
