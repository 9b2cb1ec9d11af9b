"""CGCNN with residual SiLU convolutions: the layer of Xie & Grossman made lean.

    h_i <- h_i + silu(BN(W sum_j silu(A h_i + B h_j + f(d_ij))))

A and B act on nodes, not on edges; the filter f is a distance table; the output matrix W comes after the sum. What
remains for an edge is an addition and one nonlinearity. Shapes as in `crystal_graph.py`; C width of a node.
The members of an ensemble share the batch and its edge map.
Source of the layer it departs from: doi:10.1103/PhysRevLett.120.145301.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from common.training.batch_norm import BatchNorm
from materials.models.crystal_ensemble import CrystalEnsemble, CrystalNetworkConfig
from materials.models.crystal_graph import CrystalGraphBatch, Z
from materials.models.crystal_readout import READOUTS
from materials.models.edge_map import DistanceTable, EdgeMap, gaussian_basis, table_distances
from materials.models.neighbour_sum import silu_neighbour_sum


@dataclass(frozen=True)
class ResidualCGCNNConfig(CrystalNetworkConfig):
    table_rows: int = 1024


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


class ResidualCGCNN(CrystalEnsemble):
    config_class = ResidualCGCNNConfig
    config: ResidualCGCNNConfig  # pyright: ignore[reportIncompatibleVariableOverride]
    basis: Tensor

    def __init__(self, config: ResidualCGCNNConfig) -> None:
        super().__init__(config, ResidualNetwork)
        points = table_distances(config.table_rows, config.cutoff_a)
        self.register_buffer("basis", gaussian_basis(points, config.basis, config.cutoff_a), persistent=False)

    def forward(self, batch: CrystalGraphBatch) -> Tensor:
        """[B, M, T]"""
        table = DistanceTable(batch.distances, self.config.table_rows, self.config.cutoff_a)
        edges = EdgeMap(batch.neighbours, table, batch.multiplicity)
        return self.together([network(batch, self.basis, edges) for network in self.networks], batch)
