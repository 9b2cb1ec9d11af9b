"""What each element of a crystal adds to a prediction.

A network that ends with a mean over atoms of what each atom's vector says is a sum over atoms already, and so over
elements: nothing is approximated. Shapes as in `models/crystal_graph.py`, M members, T properties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from ase.data import chemical_symbols
from matplotlib.figure import Figure
from torch import Tensor, nn

from common.app.errors import ConfigError
from common.results.plots import BLUE, MUTED, ORANGE, styled
from materials.models.crystal_graph import CrystalGraphBatch


@torch.no_grad()
def element_contributions(model: nn.Module, batch: CrystalGraphBatch, properties: Sequence[str]) -> pd.DataFrame:
    """One row an element of each crystal: crystal (its place in the batch), element, fraction, then for each property
    <property> and <property>_composition.

    <property> is what the element's atoms add: over the elements of a crystal it adds up to the prediction (the mean
    over members; logits of classes). <property>_composition is the part that the model takes from the composition
    alone, the rest comes from the structure.
    Raises ConfigError for a network that does not end with a mean over atoms.
    """
    node = torch.arange(len(batch.numbers), device=batch.numbers.device)
    alone = replace(batch, crystal=node, crystals=len(node))  # each node is read out as a crystal of its own
    value = _atom_values(model, alone) * batch.atom_share()[:, None]
    whole = _atom_values(model, batch)
    if not torch.allclose(_sum(value, batch.crystal, batch.crystals), whole, rtol=1e-3, atol=1e-4):
        raise ConfigError(
            f"{type(model).__name__} does not end with a mean over atoms, so that its predictions do not split into "
            "those of elements; explain a model of architecture residual_cgcnn"
        )
    offset = model.scale.element_offset[batch.numbers].reshape(value.shape) * batch.atom_share()[:, None]  # pyright: ignore
    pair, row = torch.unique(batch.crystal * len(chemical_symbols) + batch.numbers, return_inverse=True)
    parts = torch.cat([batch.atom_share()[:, None], value, offset], dim=1)
    table = _sum(parts.double(), row, len(pair)).cpu().numpy()
    crystal, number = np.divmod(pair.cpu().numpy(), len(chemical_symbols))
    columns: dict[str, Any] = {"crystal": crystal, "element": [chemical_symbols[z] for z in number]}
    columns["fraction"] = table[:, 0]
    for column, name in enumerate(properties):
        columns |= {name: table[:, 1 + column], f"{name}_composition": table[:, 1 + len(properties) + column]}
    return pd.DataFrame(columns)


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


def _atom_values(model: nn.Module, batch: CrystalGraphBatch) -> Tensor:
    """[B, T], the mean over members."""
    return model(batch).mean(dim=1)


def _sum(rows: Tensor, index: Tensor, count: int) -> Tensor:
    return rows.new_zeros(count, *rows.shape[1:]).index_add_(0, index, rows)
