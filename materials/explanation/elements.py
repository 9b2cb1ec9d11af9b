"""What each element of a crystal adds to a prediction.

A readout that is a mean of what each atom's vector says is a sum over atoms already, and so over elements: nothing is
approximated. Of any other readout, each atom is credited with what its vector does while all grow together from zero
(integrated gradients, Sundararajan et al., arXiv:1703.01365); what the readout says of zero vectors is shared equally.
Shapes as in `models/crystal_graph.py`, M members, T properties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from ase.data import chemical_symbols
from torch import Tensor, nn

from materials.explanation.nearest import readouts
from materials.models.crystal_graph import CrystalNodes, PropertyScale

POINTS, WEIGHTS = np.polynomial.legendre.leggauss(32)
"""Of the integral over the growth, on -1 .. 1; the readouts are smooth."""


def element_contributions(model: nn.Module, batch: Any, properties: Sequence[str]) -> pd.DataFrame:
    """One row an element of each crystal: crystal (its place in the batch), element, fraction, then for each property
    <property> and <property>_composition.

    <property> is what the element's atoms add: over the elements of a crystal it adds up to the prediction (the mean
    over members; logits of classes; before a property that cannot be negative is cut off at zero).
    <property>_composition is the part that the model takes from the composition alone, the rest is the network's.
    Takes a model with parts `readout(vectors [V, C], nodes) -> [B, T]`, one a member, and `scale`; else ConfigError.
    """
    parts, scale = readouts(model, batch), cast(Any, model.scale)
    tables = [_table(_shares(*part), part[2], scale) for part in parts]
    crystal, number = np.divmod(tables[0][0].cpu().numpy(), len(chemical_symbols))
    table = torch.stack([table for _, table in tables]).mean(dim=0).cpu().numpy()
    columns: dict[str, Any] = {"crystal": crystal, "element": [chemical_symbols[z] for z in number]}
    columns["fraction"] = table[:, 0]
    for column, name in enumerate(properties):
        columns |= {name: table[:, 1 + column], f"{name}_composition": table[:, 1 + len(properties) + column]}
    return pd.DataFrame(columns)


def _table(network: Tensor, nodes: CrystalNodes, scale: PropertyScale) -> tuple[Tensor, Tensor]:
    """Which crystal and element each row is of, and its fraction, values and values of the composition [1 + 2 T]."""
    share = nodes.atom_share()[:, None]
    offset = scale.element_offset[nodes.numbers] * share
    pair, row = torch.unique(nodes.crystal * len(chemical_symbols) + nodes.numbers, return_inverse=True)
    parts = torch.cat([share, network * scale.scale + offset, offset], dim=1).double()
    return pair, parts.new_zeros(len(pair), parts.shape[1]).index_add_(0, row, parts)


def _shares(readout: nn.Module, nodes: Tensor, batch: CrystalNodes) -> Tensor:
    """What each node adds to the readout, [V, T], before scaling."""
    share = batch.atom_share()[:, None]
    place = torch.arange(len(nodes), device=nodes.device)
    with torch.no_grad():
        whole = readout(nodes, batch)
        alone = readout(nodes, replace(batch, crystal=place, crystals=len(place))) * share  # each a crystal of its own
        if torch.allclose(_crystal_sum(alone, batch), whole, rtol=1e-4, atol=1e-5):
            return alone
        nothing = readout(torch.zeros_like(nodes), batch)[batch.crystal] * share
    return nothing + _grown(readout, nodes, batch, whole.shape[1])


@torch.enable_grad()
def _grown(readout: nn.Module, nodes: Tensor, batch: CrystalNodes, properties: int) -> Tensor:
    """Integral over t of node . gradient of readout(t nodes), [V, T]."""
    total = nodes.new_zeros(len(nodes), properties)
    for point, weight in zip(POINTS, WEIGHTS, strict=True):
        grown = (0.5 * (1 + float(point)) * nodes).requires_grad_()
        columns = readout(grown, batch).sum(dim=0).unbind()
        gradients = [torch.autograd.grad(one, grown, retain_graph=True)[0] for one in columns]
        total += 0.5 * float(weight) * torch.stack([(one * nodes).sum(dim=1) for one in gradients], dim=1)
    return total


def _crystal_sum(values: Tensor, batch: CrystalNodes) -> Tensor:
    return values.new_zeros(batch.crystals, values.shape[1]).index_add_(0, batch.crystal, values)
