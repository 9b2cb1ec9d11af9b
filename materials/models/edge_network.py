"""A crystal network in which edges have features of their own, that grow from layer to layer as those of atoms do.

    e_ij <- e_ij + D silu(A h_i + B h_j + C e_ij)
    h_i  <- h_i + silu(BN(W sum_j e_ij))

An edge so comes to know what surrounds both its ends, which a filter over their distance alone cannot. After the
connectivity optimised graph network of Ruff et al., arXiv:2302.14102.
Shapes as in `crystal_graph.py`; C width of a node, E of an edge.
The members of an ensemble share the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.training.batch_norm import BatchNorm
from materials.models.crystal_ensemble import CrystalEnsemble, CrystalNetworkConfig
from materials.models.crystal_graph import CrystalGraphBatch, Z
from materials.models.crystal_readout import READOUTS
from materials.models.edge_map import gaussian_basis

SMALL_CHANGE = 0.5
"""Of the usual size of random weights: those that change an edge begin smaller."""

AT_ONCE = 256
"""Nodes whose edges a CPU changes at a time where no gradients are wanted: few enough for its cache."""


@dataclass(frozen=True)
class EdgeNetworkConfig(CrystalNetworkConfig):
    width: int = 128
    message_width: int = 128


class EdgeConvolution(nn.Module):
    def __init__(self, config: EdgeNetworkConfig) -> None:
        super().__init__()
        width = config.message_width
        self.centre = nn.Linear(config.width, width)
        self.neighbour = nn.Linear(config.width, width, bias=False)
        self.edge = nn.Linear(width, width, bias=False)
        self.change = nn.Linear(width, width)
        nn.init.normal_(self.change.weight, std=SMALL_CHANGE * width**-0.5)
        nn.init.zeros_(self.change.bias)
        self.output = nn.Linear(width, config.width)
        self.norm = BatchNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, node: Tensor, edge: Tensor, neighbours: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """node [V, C], edge [V, K, E], neighbours [V, K], there [V, K, 1], 0 for places without a neighbour.

        Without gradients `edge` itself may be changed.
        """
        centre, neighbour = self.centre(node), self.neighbour(node)

        def changed(rows: slice) -> tuple[Tensor, Tensor]:
            x = self.edge(edge[rows]) + centre[rows, None]
            x = x + neighbour.index_select(0, neighbours[rows].flatten()).view(x.shape)
            new = edge[rows] + self.change(F.silu(x))
            return new, (new * there[rows].to(new.dtype)).sum(dim=1)

        if torch.is_grad_enabled() or torch.compiler.is_exporting() or edge.device.type != "cpu":
            edge, message = changed(slice(None))
        else:
            messages = []
            for start in range(0, len(node), AT_ONCE):
                rows = slice(start, start + AT_ONCE)
                edge[rows], one = changed(rows)
                messages.append(one)
            message = torch.cat(messages)
        # the sum of K terms is brought back to the size of one before the output matrix
        message = message * neighbours.shape[1] ** -0.5
        return node + self.dropout(F.silu(self.norm(self.output(message)))), edge


class OneEdgeNetwork(nn.Module):
    """One member of an ensemble."""

    def __init__(self, config: EdgeNetworkConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(Z + 1, config.width)
        self.distance = nn.Linear(config.basis, config.message_width)
        self.convolutions = nn.ModuleList(EdgeConvolution(config) for _ in range(config.layers))
        self.readout = READOUTS[config.readout](config)

    def forward(self, batch: CrystalGraphBatch, basis: Tensor, there: Tensor) -> Tensor:
        """[B, T] before scaling."""
        return self.readout(self.nodes(batch, basis, there), batch)

    def nodes(self, batch: CrystalGraphBatch, basis: Tensor, there: Tensor) -> Tensor:
        """What is learned of each node [V, C]."""
        node, edge = self.embedding(batch.numbers), F.silu(self.distance(basis))
        for convolution in self.convolutions:
            node, edge = convolution(node, edge, batch.neighbours, there)
        return node


class EdgeNetwork(CrystalEnsemble):
    config_class = EdgeNetworkConfig

    def __init__(self, config: EdgeNetworkConfig) -> None:
        super().__init__(config, OneEdgeNetwork)
        self.config: EdgeNetworkConfig = config

    def forward(self, batch: CrystalGraphBatch) -> Tensor:
        """[B, M, T]"""
        basis = gaussian_basis(batch.distances, self.config.basis, self.config.cutoff_a)
        there = torch.isfinite(batch.distances)[..., None].to(basis.dtype)
        return self.together([network(batch, basis, there) for network in self.networks], batch)
