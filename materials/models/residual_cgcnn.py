"""CGCNN with residual SiLU convolutions: the layer of Xie & Grossman made lean.

    h_i <- h_i + silu(BN(W sum_j silu(A h_i + B h_j + f(d_ij))))

A and B act on nodes, not on edges; the filter f is a distance table; the output matrix W comes after the sum. What
remains for an edge is an addition and one nonlinearity. Shapes as in `crystal_graph.py`; C width of a node.
The members of an ensemble share the batch and its edge map.
Source of the layer it departs from: doi:10.1103/PhysRevLett.120.145301.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.training.batch_norm import BatchNorm
from materials.models.crystal_graph import CrystalGraphBatch, PropertyScale, Z
from materials.models.edge_map import DistanceTable, EdgeMap, gaussian_basis, table_distances
from materials.models.neighbour_sum import silu_neighbour_sum


@dataclass(frozen=True)
class ResidualCGCNNConfig:
    width: int = 96
    message_width: int = 192
    layers: int = 4
    readout_width: int = 128
    basis: int = 41
    table_rows: int = 1024
    cutoff_a: float = 8.0
    dropout: float = 0.0
    readout: Literal["mean", "attention"] = "mean"
    heads: int = 8
    nonnegative: bool = False
    members: int = 1
    properties: int = 1


class ResidualConvolution(nn.Module):
    def __init__(self, config: ResidualCGCNNConfig) -> None:
        super().__init__()
        self.centre = nn.Linear(config.width, config.message_width)
        self.neighbour = nn.Linear(config.width, config.message_width, bias=False)
        self.filter = nn.Linear(config.basis, config.message_width, bias=False)
        self.output = nn.Linear(config.message_width, config.width)
        self.norm = BatchNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, node: Tensor, basis: Tensor, edges: EdgeMap) -> Tensor:
        """node [V, C], basis [D, basis] -> [V, C]."""
        message = silu_neighbour_sum(self.centre(node), self.neighbour(node), self.filter(basis), edges)
        # the sum of K terms is brought back to the size of one before the output matrix
        return node + self.dropout(F.silu(self.norm(self.output(message * edges.per_node**-0.5))))


class MeanReadout(nn.Module):
    """What each atom adds, averaged: for energies and other sums over atoms."""

    def __init__(self, config: ResidualCGCNNConfig) -> None:
        super().__init__()
        self.atom = nn.Sequential(
            nn.Linear(config.width, config.readout_width), nn.SiLU(), nn.Linear(config.readout_width, config.properties)
        )

    def forward(self, node: Tensor, batch: CrystalGraphBatch) -> Tensor:
        """[V, C] -> [B, T]"""
        return batch.mean(self.atom(node))


class AttentionReadout(nn.Module):
    """Attention over the atoms, one weighted mean a head, beside the plain mean: for properties that few atoms decide,
    such as band edges."""

    def __init__(self, config: ResidualCGCNNConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.gate = nn.Linear(config.width, config.heads)
        self.value = nn.Linear(config.width, config.width)
        self.crystal = nn.Sequential(
            nn.Linear(2 * config.width, config.readout_width),
            nn.SiLU(),
            nn.Linear(config.readout_width, config.properties),
        )

    def forward(self, node: Tensor, batch: CrystalGraphBatch) -> Tensor:
        """[V, C] -> [B, T]"""
        weight = batch.softmax(self.gate(node))
        value = self.value(node).unflatten(1, (self.heads, -1)) * weight[..., None].to(node.dtype)
        attended = value.new_zeros(batch.crystals, node.shape[1]).index_add_(0, batch.crystal, value.flatten(1))
        return self.crystal(torch.cat([attended, batch.mean(node)], dim=1))


READOUTS = {"mean": MeanReadout, "attention": AttentionReadout}


class ResidualNetwork(nn.Module):
    """One member of an ensemble."""

    def __init__(self, config: ResidualCGCNNConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(Z + 1, config.width)
        self.convolutions = nn.ModuleList(ResidualConvolution(config) for _ in range(config.layers))
        self.readout = READOUTS[config.readout](config)

    def forward(self, batch: CrystalGraphBatch, basis: Tensor, edges: EdgeMap) -> Tensor:
        """[B, T] before scaling."""
        return self.readout(self.nodes(batch, basis, edges), batch)

    def nodes(self, batch: CrystalGraphBatch, basis: Tensor, edges: EdgeMap) -> Tensor:
        """What is learned of each node [V, C]."""
        node = self.embedding(batch.numbers)
        for convolution in self.convolutions:
            node = convolution(node, basis, edges)
        return node


class ResidualCGCNN(nn.Module):
    """Crystal graphs -> [B, M, T] in the properties' units, or logits of classes."""

    config_class = ResidualCGCNNConfig
    basis: Tensor

    def __init__(self, config: ResidualCGCNNConfig) -> None:
        super().__init__()
        self.config = config
        self.networks = nn.ModuleList(ResidualNetwork(config) for _ in range(config.members))
        self.scale = PropertyScale(config.properties)
        points = table_distances(config.table_rows, config.cutoff_a)
        self.register_buffer("basis", gaussian_basis(points, config.basis, config.cutoff_a), persistent=False)

    @property
    def convolutions(self) -> list[nn.Module]:
        """The repeated blocks."""
        return [block for network in self.networks for block in network.convolutions]  # pyright: ignore

    def forward(self, batch: CrystalGraphBatch) -> Tensor:
        """[B, M, T]"""
        table = DistanceTable(batch.distances, self.config.table_rows, self.config.cutoff_a)
        edges = EdgeMap(batch.neighbours, table, batch.multiplicity)
        output = torch.stack([network(batch, self.basis, edges) for network in self.networks], dim=1)
        value = self.scale(output, batch)
        # Only when predicting: where it cuts off, it would have no gradient.
        return value.clamp(min=0.0) if self.config.nonnegative and not self.training else value
