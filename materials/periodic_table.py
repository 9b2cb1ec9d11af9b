"""Errors by element, drawn as a periodic table.

Shapes: N materials; the atoms of all materials lie one after the other, `n_atoms` (N,) of them each.
"""

from __future__ import annotations

from math import gcd

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from numpy.typing import ArrayLike

from common.results.plots import GRID, MUTED, styled

PERIODIC_TABLE = """
H  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  He
Li Be .  .  .  .  .  .  .  .  .  .  B  C  N  O  F  Ne
Na Mg .  .  .  .  .  .  .  .  .  .  Al Si P  S  Cl Ar
K  Ca Sc Ti V  Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y  Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I  Xe
Cs Ba .  Hf Ta W  Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn
Fr Ra .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
.  .  La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu .
.  .  Ac Th Pa U  Np Pu Am Cm Bk Cf .  .  .  .  .  .
"""
"""Symbols by group and period; the f block is set apart below."""

PLACES = {
    symbol: (row, column)
    for row, line in enumerate(PERIODIC_TABLE.strip().splitlines())
    for column, symbol in enumerate(line.split())
    if symbol != "."
}

HEAT = LinearSegmentedColormap.from_list("heat", ["#d9ecf7", "#8cc3e3", "#3d8fc4", "#1d5f99", "#123a66"])


def element_errors(error: ArrayLike, atomic_number: ArrayLike, n_atoms: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Mean of `error` (N,) over the materials that contain each element, and their number; both indexed by Z.

    A material counts once for each of its elements, however many atoms it has; NaN errors are left out.
    """
    error, z, n = np.asarray(error, float), np.asarray(atomic_number, np.int64), np.asarray(n_atoms, np.int64)
    size = len(chemical_symbols)
    material, element = np.divmod(np.unique(np.repeat(np.arange(len(n)), n) * size + z), size)
    known = np.isfinite(error[material])
    count = np.bincount(element[known], minlength=size)
    total = np.bincount(element[known], weights=error[material[known]], minlength=size)
    return np.divide(total, count, out=np.full(size, np.nan), where=count > 0), count


@styled
def errors_by_element(mae: np.ndarray, count: np.ndarray, unit: str) -> Figure:
    """Periodic table coloured by MAE (in the unit of `shown_unit`), with the number of materials of each element.

    Logarithmic colours between the 5 % and 95 % quantiles, so that one rare element does not hide all others.
    """
    factor, label = shown_unit(unit)
    values = factor * mae
    shown = values[(count > 0) & (values > 0)]
    low, high = (float(v) for v in np.quantile(shown, [0.05, 0.95])) if len(shown) else (0.1, 1.0)
    norm = LogNorm(low, max(high, 1.01 * low), clip=True)
    figure = Figure(figsize=(11, 5.9), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    axes.set(xlim=(-0.05, 18), ylim=(9.45, -0.05))
    axes.set_axis_off()
    for symbol, (row, column) in PLACES.items():
        z = atomic_numbers[symbol]
        colour = HEAT(norm(values[z])) if count[z] else None
        _tile(axes, column, row + (0.4 if row > 6 else 0), symbol, float(values[z]), int(count[z]), colour)
    bar = axes.inset_axes((0.215, 0.885, 0.42, 0.028))
    bar.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=HEAT, extent=(0, 1, 0, 1))
    bar.set(yticks=[], title=f"MAE ({label})", xticks=[0, 0.5, 1])
    bar.set_xticklabels([f"≤ {low:.3g}", f"{(low * high) ** 0.5:.3g}", f"≥ {high:.3g}"])
    bar.grid(visible=False)
    bar.spines[:].set_visible(False)
    bar.tick_params(length=0)
    return figure


def reduced_formula(atomic_number: np.ndarray) -> str:
    """Chemical formula with the smallest whole numbers, elements by group (the f block as group 3): NaAlSiO3."""
    elements, counts = np.unique(atomic_number, return_counts=True)
    divisor = gcd(*counts.tolist())
    amounts = {chemical_symbols[z]: int(count) // divisor for z, count in zip(elements, counts, strict=True)}

    def group(symbol: str) -> tuple[int, int]:
        row, column = PLACES.get(symbol, (0, 99))
        return (2 if row > 6 else column), row

    return "".join(f"{symbol}{amounts[symbol] if amounts[symbol] > 1 else ''}" for symbol in sorted(amounts, key=group))


def _tile(
    axes: Axes, x: float, y: float, symbol: str, value: float, count: int, colour: tuple[float, ...] | None
) -> None:
    """One element: its symbol, MAE and number of materials on a coloured tile, or an empty frame without materials."""
    tile = FancyBboxPatch((x + 0.04, y + 0.04), 0.92, 0.92, boxstyle="round,pad=0,rounding_size=0.1")
    tile.set(facecolor=colour or "none", edgecolor="none" if colour else GRID, linewidth=0.8)
    axes.add_patch(tile)
    if colour is None:
        axes.text(x + 0.5, y + 0.5, symbol, ha="center", va="center", fontsize=10, color=MUTED)
        return
    ink = "#ffffff" if _luminance(colour) < 0.2 else "#10202f"
    axes.text(x + 0.12, y + 0.29, symbol, va="center", fontsize=10, weight="bold", color=ink)
    shown = f"{value:#.3g}".rstrip(".") if value < 1000 else f"{value:.0f}"
    axes.text(x + 0.5, y + 0.61, shown, ha="center", va="center", fontsize=9, color=ink)
    axes.text(x + 0.5, y + 0.85, f"{count:,}", ha="center", va="center", fontsize=6.5, color=ink)


def _luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def shown_unit(unit: str) -> tuple[float, str]:
    """What errors in `unit` are multiplied with before they are shown, and the unit they then have: meV for eV."""
    return (1000, f"m{unit}") if unit.startswith("eV") else (1, unit)
