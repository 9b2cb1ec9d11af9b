"""Pictures of predictions: the trace of a chain, contacts, errors, confidence, and how they compare with the truth.

Shapes: L residues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from common.results.plots import BLUE, COLOURS, DENSITY, INK, MUTED, styled
from protein.data.residues import COLUMN37
from protein.data.states import THREE_STATES
from protein.prediction import Prediction

CONFIDENCE = (("below 50", "#e8743b"), ("50 to 70", "#e9b93a"), ("70 to 90", "#5fb8d9"), ("above 90", "#1f5fbf"))
"""Bands of pLDDT as in the AlphaFold database (doi:10.1093/nar/gkab1061), and their colours."""

BANDS = (0.0, 50.0, 70.0, 90.0, 100.0)
POINTS = 8
"""Of the drawn curve, for each residue."""

WIDTHS = {"H": 4.6, "E": 4.6, "C": 2.2}
"""Of the curve in helices, strands and elsewhere, in points."""

FARTHEST_A = 30.0
"""End of the scale of aligned errors."""


@styled
def prediction_panels(prediction: Prediction) -> Figure:
    """The trace, contacts, aligned errors where the model gives them, and pLDDT along the chain."""
    matrices = [("contact probability", prediction.contacts, 1.0, "viridis")]
    if prediction.pae is not None:
        matrices.append(("aligned error (Å)", prediction.pae, FARTHEST_A, "Greens_r"))
    figure = Figure(figsize=(10.2, 5.8), layout="constrained")
    grid = figure.add_gridspec(2, 1 + len(matrices), height_ratios=(3.8, 1.2))
    draw_trace(figure.add_subplot(grid[0, 0]), prediction)
    for column, (title, values, highest, colours) in enumerate(matrices, 1):
        axes = figure.add_subplot(grid[0, column])
        end = len(prediction) + 0.5
        image = axes.imshow(
            values, vmin=0, vmax=highest, cmap=colours, extent=(0.5, end, end, 0.5), interpolation="nearest"
        )
        axes.set(title=title)
        axes.grid(False)
        figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=30, pad=0.02)
    draw_confidence(figure.add_subplot(grid[1, :]), prediction)
    return figure


def draw_trace(axes: Axes, prediction: Prediction) -> None:
    """The C-alpha trace, looked at so that it spreads widest; coloured by pLDDT, thick in helices and strands."""
    curve = _curve(_turned(prediction.coords[:, COLUMN37["CA"]].astype(float)))
    depth = curve[::POINTS, 2]
    near = (depth - depth.min()) / max(float(np.ptp(depth)), 1e-6)
    bands = np.digitize(prediction.plddt, BANDS[1:-1])
    rgb = np.array([to_rgb(colour) for _, colour in CONFIDENCE])[bands] * (0.55 + 0.45 * near)[:, None]
    width = np.array([WIDTHS[THREE_STATES[state]] for state in prediction.secondary]) * (0.75 + 0.25 * near)
    pieces, colours, widths = [], [], []
    # Each residue follows its own outline, so that what is near covers what is far. It reaches into its neighbours,
    # its outline does not: no outline runs across the curve.
    for residue in np.argsort(depth, kind="stable"):
        for reach, colour, wider in ((POINTS // 2, np.zeros(3), 1.3), (POINTS - 1, rgb[residue], 0.0)):
            first = max(residue * POINTS - reach, 0)
            pieces.append(curve[first : residue * POINTS + reach + 1, :2])
            colours.append(colour)
            widths.append(width[residue] + wider)
    axes.add_collection(
        LineCollection(pieces, colors=colours, linewidths=widths, capstyle="butt", joinstyle="round", rasterized=True)
    )
    reach = 1.08 * max(float(np.abs(curve[:, :2]).max()), 1.0)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title="C-alpha trace", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.grid(False)
    for place, name in ((0, "N"), (-1, "C")):
        axes.annotate(
            name,
            (curve[place, 0], curve[place, 1]),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=9,
            fontweight="bold",
        )
    axes.legend(
        handles=[Patch(color=colour, label=name) for name, colour in reversed(CONFIDENCE)], title="pLDDT",
        title_fontsize=7, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=4, handlelength=0.9,
        columnspacing=0.9,
    )  # fmt: skip


def draw_confidence(axes: Axes, prediction: Prediction) -> None:
    """pLDDT along the chain over its bands, secondary structure below."""
    place = np.arange(1, len(prediction) + 1)
    for low, high, (_, colour) in zip(BANDS[:-1], BANDS[1:], CONFIDENCE, strict=True):
        axes.axhspan(low, high, color=colour, alpha=0.14, linewidth=0)
    axes.plot(place, prediction.plddt, color=INK, linewidth=1.2)
    three = np.array([THREE_STATES[state] for state in prediction.secondary])
    bar = np.select([three == "H", three == "E"], [1, 2], 0)
    axes.imshow(
        bar[None], cmap=ListedColormap(["#00000000", COLOURS[1], COLOURS[0]]), norm=BoundaryNorm([0, 1, 2, 3], 3),
        extent=(0.5, len(prediction) + 0.5, -12, -3), aspect="auto", interpolation="nearest",
    )  # fmt: skip
    axes.set(xlim=(0.5, len(prediction) + 0.5), ylim=(-14, 100), xlabel="residue", ylabel="pLDDT", yticks=BANDS[:-1])
    axes.grid(False)
    axes.legend(
        handles=[Patch(color=COLOURS[1], label="helix"), Patch(color=COLOURS[0], label="strand")], fontsize=7,
        loc="center left", bbox_to_anchor=(1.0, 0.2),
    )  # fmt: skip


@styled
def overview(lengths: ArrayLike, plddt: ArrayLike) -> Figure:
    """Mean pLDDT of all predictions against their lengths."""
    figure = Figure(figsize=(4.8, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(lengths, plddt, s=14, color=BLUE, alpha=0.6, linewidths=0, rasterized=np.size(lengths) > 2000)
    axes.set(xlabel="residues", ylabel="mean pLDDT", ylim=(0, 100))
    return figure


@styled
def distributions(frame: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """A histogram of each score over the chains, with its mean."""
    figure = Figure(figsize=(10.2, 2.5 * -(-len(titles) // 4)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(-(-len(titles) // 4), min(4, len(titles)), sharey=False)).ravel()
    for axes in panels[len(titles) :]:
        axes.set_visible(False)
    for axes, (name, title) in zip(panels, titles.items(), strict=False):
        values = frame[name].to_numpy(float)
        values = values[np.isfinite(values)]
        end = None if name == "rmsd_a" else (0, 1)
        axes.hist(values, bins=25, range=end, color=BLUE, alpha=0.85, linewidth=0)
        if len(values):
            axes.axvline(values.mean(), color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(title=title, xlabel=f"mean {values.mean():.3f}" if len(values) else "")
        axes.grid(visible=False, axis="x")
    panels[0].set_ylabel("chains")
    return figure


@styled
def learning_curves(chains: Sequence[int], scores: Mapping[str, Sequence[float]]) -> Figure:
    """Mean scores on a test against the number of training chains, a panel each, from zero: small steps look small."""
    figure = Figure(figsize=(2.6 * len(scores), 2.6), layout="constrained")
    for axes, (title, values) in zip(np.atleast_1d(figure.subplots(1, len(scores))), scores.items(), strict=True):
        axes.plot(chains, values, color=BLUE, marker="o", markersize=4)
        axes.set(title=title, xlabel="training chains", xscale="log")
        axes.set_ylim(0, max(0.01, 1.15 * max(values)))
        axes.set_xticks(list(chains), [f"{count:,}" for count in chains], rotation=45)
        axes.minorticks_off()
    return figure


@styled
def confidence_against_truth(plddt: np.ndarray, lddt: np.ndarray, what: str) -> Figure:
    """pLDDT against true lDDT-CA, both 0-100, with their correlation."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    known = np.isfinite(plddt) & np.isfinite(lddt)
    x, y = plddt[known], lddt[known]
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    if len(x) > 2000:
        axes.hexbin(
            x, y, gridsize=50, extent=(0, 100, 0, 100), bins="log", cmap=DENSITY, mincnt=1, linewidths=0,
            rasterized=True,
        )  # fmt: skip
    else:
        axes.scatter(x, y, s=12, color=BLUE, alpha=0.6, linewidths=0)
    note = f"N = {len(x):,}" + (f", r = {np.corrcoef(x, y)[0, 1]:.3f}" if len(x) > 2 and x.std() and y.std() else "")
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel=f"pLDDT {what}", ylabel=f"lDDT-CA {what} (x 100)", title=note)
    return figure


def _turned(ca: np.ndarray) -> np.ndarray:
    """[L, 3] around their centre, the longest axes across the page; never a mirror image."""
    centred = ca - ca.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2] if len(ca) > 2 else np.eye(3)
    axes[2] *= np.sign(np.linalg.det(axes)) or 1.0
    return centred @ axes.T


def _curve(points: np.ndarray) -> np.ndarray:
    """A smooth curve [POINTS (L - 1) + 1, 3] through the points [L, 3]."""
    places = np.arange(len(points))
    fine = np.arange(POINTS * (len(points) - 1) + 1) / POINTS
    if len(points) < 3:
        return np.stack([np.interp(fine, places, points[:, axis]) for axis in range(3)], 1)
    return CubicSpline(places, points)(fine)
