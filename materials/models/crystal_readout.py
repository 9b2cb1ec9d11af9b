"""From the nodes of crystals to their properties.  Shapes as in `crystal_graph.py`; C width of a node."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from materials.models.crystal_ensemble import EnsembleConfig
from materials.models.crystal_graph import CrystalNodes


class MeanReadout(nn.Module):
    """What each atom adds, averaged: for energies and other sums over atoms."""

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        self.atom = nn.Sequential(
            nn.Linear(config.width, config.readout_width), nn.SiLU(), nn.Linear(config.readout_width, config.properties)
        )

    def forward(self, node: Tensor, batch: CrystalNodes) -> Tensor:
        """[V, C] -> [B, T]"""
        return batch.mean(self.atom(node))


class AttentionReadout(nn.Module):
    """Attention over the atoms, one weighted mean a head, beside the plain mean: for properties that few atoms decide,
    such as band edges."""

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.gate = nn.Linear(config.width, config.heads)
        self.value = nn.Linear(config.width, config.width)
        self.crystal = nn.Sequential(
            nn.Linear(2 * config.width, config.readout_width),
            nn.SiLU(),
            nn.Linear(config.readout_width, config.properties),
        )

    def forward(self, node: Tensor, batch: CrystalNodes) -> Tensor:
        """[V, C] -> [B, T]"""
        weight = batch.softmax(self.gate(node))
        value = self.value(node).unflatten(1, (self.heads, -1)) * weight[..., None].to(node.dtype)
        attended = value.new_zeros(batch.crystals, node.shape[1]).index_add_(0, batch.crystal, value.flatten(1))
        return self.crystal(torch.cat([attended, batch.mean(node)], dim=1))


READOUTS = {"mean": MeanReadout, "attention": AttentionReadout}
