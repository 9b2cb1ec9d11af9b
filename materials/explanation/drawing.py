"""Pictures of what atoms and elements add to a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from common.results.plots import BLUE, MUTED, ORANGE, VERMILION, styled

if TYPE_CHECKING:
    from rdkit.Chem import Mol

WIDTH, HEIGHT = 420, 320
RADIUS = (0.18, 0.5)
"""Of an atom's disc without and with the largest contribution, in angstrom of the drawing; a bond is 1.5 long."""


def contribution_svg(molecule: Mol, contribution: np.ndarray, legend: str = "", largest: float | None = None) -> str:
    """SVG of the molecule; vermilion atoms raise the prediction, blue ones lower it.

    contribution [A], in the order of the molecule's atoms. `largest`: the size that has the full colour, by default
    the largest of this molecule; pass one for several drawings that are to be compared.
    """
    from rdkit.Chem import rdDepictor
    from rdkit.Chem.Draw import rdMolDraw2D

    scale = largest or float(np.abs(contribution).max()) or 1.0
    weight = np.clip(np.asarray(contribution, float) / scale, -1, 1)
    atoms = list(range(molecule.GetNumAtoms()))
    low, high = RADIUS
    drawer = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT)
    options = drawer.drawOptions()
    options.setBackgroundColour((1, 1, 1, 1))
    options.legendFontSize = 18
    options.fixedBondLength = 45  # at most, in pixels
    options.useBWAtomPalette()
    flat = rdMolDraw2D.PrepareMolForDrawing(molecule, kekulize=True)
    rdDepictor.StraightenDepiction(flat)
    drawer.DrawMolecule(
        flat,
        legend=legend,
        highlightAtoms=atoms,
        highlightAtomColors={atom: _colour(weight[atom]) for atom in atoms},
        highlightAtomRadii={atom: low + (high - low) * abs(float(weight[atom])) ** 0.5 for atom in atoms},
        highlightBonds=[],
    )
    drawer.FinishDrawing()
    svg = drawer.GetDrawingText()
    return svg[svg.index("<svg") :]


@styled
def element_bars(contributions: pd.DataFrame, name: str, unit: str) -> Figure:
    """What each element of one crystal adds to the property `name`: the part of composition, that of structure, sum."""
    rows = contributions.sort_values(name, ascending=False)
    place, total = np.arange(len(rows)), rows[name].to_numpy()
    composition = rows[f"{name}_composition"].to_numpy()
    figure = Figure(figsize=(4.6, 0.9 + 0.5 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for offset, value, colour, label in (
        (-0.17, composition, ORANGE, "composition"),
        (0.17, total - composition, BLUE, "structure"),
    ):
        axes.barh(place + offset, value, height=0.32, color=colour, label=label)
    axes.plot(total, place, "D", color=MUTED, markersize=5, label="sum")
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(place, [f"{z}  {share:.0%}" for z, share in zip(rows["element"], rows["fraction"], strict=True)])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(xlabel=f"contribution to {name} ({unit})", title=f"{name} = {total.sum():.4g} {unit}")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1))
    return figure


def _colour(weight: float) -> tuple[float, float, float]:
    """From white to the full colour of the sign."""
    full = np.array([int((VERMILION if weight > 0 else BLUE)[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    red, green, blue = 1 - abs(weight) * 0.75 * (1 - full)
    return float(red), float(green), float(blue)
