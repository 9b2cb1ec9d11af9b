"""TensorNet as a network of properties, which starts from what a potential has learned of energies and forces.

A published potential has seen hundreds of thousands of structures, pulled apart and pushed together; of a few thousand
values it then needs few epochs. The readouts are those of our crystal networks.
Shapes as in `tensornet.py`; B crystals, M members, T properties.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from materials.models.atomic_graph import AtomicGraph
from materials.models.crystal_ensemble import CrystalEnsemble, EnsembleConfig
from materials.models.crystal_graph import CrystalNodes
from materials.models.crystal_readout import READOUTS
from materials.models.tensornet import TensorNetConfig, TensorNetCore


@dataclass(frozen=True)
class TensorNetPropertyConfig(TensorNetConfig, EnsembleConfig):
    """The widths are those of the published potential."""


class OneTensorNet(nn.Module):
    """One member of an ensemble."""

    def __init__(self, config: TensorNetPropertyConfig) -> None:
        super().__init__()
        self.core = TensorNetCore(config)
        self.dropout = nn.Dropout(config.dropout)
        self.readout = READOUTS[config.readout](config)

    @property
    def convolutions(self) -> nn.ModuleList:
        """The repeated blocks."""
        return self.core.layers

    def forward(self, graph: AtomicGraph, nodes: CrystalNodes) -> Tensor:
        """[B, T] before scaling."""
        return self.readout(self.dropout(self.core(graph)), nodes)


class TensorNetProperty(CrystalEnsemble):
    config_class = TensorNetPropertyConfig

    def __init__(self, config: TensorNetPropertyConfig) -> None:
        super().__init__(config, OneTensorNet)

    def forward(self, graph: AtomicGraph) -> Tensor:
        """[B, M, T]"""
        nodes = graph.nodes
        return self.together([network(graph, nodes) for network in self.networks], nodes)
