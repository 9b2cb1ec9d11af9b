"""CGCNN with residual SiLU convolutions: the layer of Xie & Grossman made lean.

    h_i <- h_i + silu(BN(W sum_j silu(A h_i + B h_j + f(d_ij))))

A and B act on nodes, not on edges; the filter f is a distance table; the output matrix W comes after the sum. What
remains for an edge is an addition and one nonlinearity. Shapes as in `crystal_graph.py`; C width of a node.
The members of an ensemble share the batch and its edge map.
Source of the layer it departs from: doi:10.1103/PhysRevLett.120.145301.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    members: int = 1
    properties: int = 1


class ResidualConvolution(nn.Module):
    def __init__(self, config: ResidualCGCNNConfig) -> None:
        super().__init__()
        self.centre = nn.Linear(config.width, config.message_width)
        self.neighbour = nn.Linear(config.width, config.message_width, bias=False)
        self.filter = nn.Linear(config.basis, config.message_width, bias=False)
        self.output = nn.Linear(config.message_width, config.width)
        self.norm = nn.BatchNorm1d(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, node: Tensor, basis: Tensor, edges: EdgeMap) -> Tensor:
        """node [V, C], basis [D, basis] -> [V, C]."""
        message = silu_neighbour_sum(self.centre(node), self.neighbour(node), self.filter(basis), edges)
        # the sum of K terms is brought back to the size of one before the output matrix
        return node + self.dropout(F.silu(self.norm(self.output(message * edges.per_node**-0.5))))


class ResidualNetwork(nn.Module):
    """One member of an ensemble."""

    def __init__(self, config: ResidualCGCNNConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(Z + 1, config.width)
        self.convolutions = nn.ModuleList(ResidualConvolution(config) for _ in range(config.layers))
        self.readout = nn.Sequential(
            nn.Linear(config.width, config.readout_width), nn.SiLU(), nn.Linear(config.readout_width, config.properties)
        )

    def forward(self, numbers: Tensor, basis: Tensor, edges: EdgeMap) -> Tensor:
        """What each node adds to the properties [V, T], before scaling."""
        node = self.embedding(numbers)
        for convolution in self.convolutions:
            node = convolution(node, basis, edges)
        return self.readout(node)


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
        nodes = [network(batch.numbers, self.basis, edges) for network in self.networks]
        return self.scale(batch.mean(torch.stack(nodes, dim=1)), batch)
