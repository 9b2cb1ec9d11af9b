"""Crystal graph convolutional network, Xie & Grossman 2018, doi:10.1103/PhysRevLett.120.145301.

    z_ij = BN(A h_i + B h_j + f(d_ij));   h_i <- softplus(h_i + BN(sum_j sigmoid(z'_ij) * softplus(z''_ij)))

z' and z'' are the halves of z. The published layer multiplies the concatenation (h_i, h_j, e_ij) by one matrix for
every edge; cut into its three parts, A and B act once a node and the part of e_ij becomes a table over distance.
That changes the cost, not the result. Shapes as in `crystal_graph.py`; C width of a node.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from materials.models.crystal_graph import (
    CrystalGraphBatch,
    DistanceTable,
    GroupedIndex,
    PropertyScale,
    Z,
    gaussian_basis,
    table_distances,
)
from materials.models.neighbour_sum import edge_sum, gated_neighbour_sum


@dataclass(frozen=True)
class CGCNNConfig:
    width: int = 64
    layers: int = 4
    readout_width: int = 32
    basis: int = 41
    basis_width_a: float = 0.2
    table_rows: int = 8192
    cutoff_a: float = 8.0
    outputs: int = 1
    """1 for regression; 2 for the probability of the second of two classes."""


class GatedConvolution(nn.Module):
    def __init__(self, config: CGCNNConfig) -> None:
        super().__init__()
        gates = 2 * config.width
        self.centre = nn.Linear(config.width, gates)
        self.neighbour = nn.Linear(config.width, gates, bias=False)
        self.filter = nn.Linear(config.basis, gates, bias=False)
        self.edge_norm = nn.BatchNorm1d(gates)
        self.node_norm = nn.BatchNorm1d(config.width)

    def forward(self, node: Tensor, basis: Tensor, table: DistanceTable, neighbours: GroupedIndex) -> Tensor:
        """node [V, C], basis [T, basis] -> [V, C]."""
        parts = self.centre(node), self.neighbour(node), self.filter(basis)
        if self.training:
            z = self.edge_norm(edge_sum(*parts, table, neighbours))
            gate, core = z.view(len(node), -1, z.shape[-1]).chunk(2, dim=-1)
            message = (torch.sigmoid(gate) * F.softplus(core)).sum(dim=1)
        else:
            message = gated_neighbour_sum(*self._normalised(*parts), table, neighbours)
        return F.softplus(node + self.node_norm(message))

    def _normalised(self, centre: Tensor, neighbour: Tensor, table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The edge norm with fixed statistics is linear, so it moves from the edges to the three parts."""
        norm = self.edge_norm
        factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)  # pyright: ignore[reportArgumentType, reportOptionalOperand]
        shift = norm.bias - norm.running_mean * factor  # pyright: ignore[reportOperatorIssue]
        return centre * factor + shift, neighbour * factor, table * factor


class CGCNN(nn.Module):
    """Crystal graphs -> one value a crystal, in the property's unit (or a probability when `outputs` is 2)."""

    config_class = CGCNNConfig
    basis: Tensor

    def __init__(self, config: CGCNNConfig, scale: PropertyScale | None = None) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(Z + 1, config.width)
        self.convolutions = nn.ModuleList(GatedConvolution(config) for _ in range(config.layers))
        self.hidden = nn.Linear(config.width, config.readout_width)
        self.output = nn.Linear(config.readout_width, config.outputs)
        self.scale = scale or PropertyScale()
        points = table_distances(config.table_rows, config.cutoff_a)
        basis = gaussian_basis(points, config.basis, config.cutoff_a, config.basis_width_a)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, batch: CrystalGraphBatch) -> Tensor:
        """[B] in the property's unit."""
        table = DistanceTable(batch.distances, self.config.table_rows, self.config.cutoff_a)
        neighbours = GroupedIndex.of(batch.neighbours.reshape(-1), len(batch.numbers))
        node = self.embedding(batch.numbers)
        for convolution in self.convolutions:
            node = convolution(node, self.basis, table, neighbours)
        crystal = F.softplus(self.hidden(F.softplus(batch.mean(node))))
        output = self.output(crystal)
        if self.config.outputs == 2:
            return output.float().softmax(dim=-1)[:, 1]
        return self.scale(output.squeeze(-1), batch)
