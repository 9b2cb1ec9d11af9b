"""Crystal graph convolutional network, Xie & Grossman 2018, doi:10.1103/PhysRevLett.120.145301.

    z_ij = BN(A h_i + B h_j + f(d_ij));   h_i <- softplus(h_i + BN(sum_j sigmoid(z'_ij) * softplus(z''_ij)))

z' and z'' are the halves of z. The published layer multiplies the concatenation (h_i, h_j, e_ij) by one matrix for
every edge; cut into its three parts, A and B act once a node and the part of e_ij becomes a table over distance.
That changes the cost, not the result. Shapes as in `crystal_graph.py`; C width of a node.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from common.training.batch_norm import track
from materials.models.atom_norm import AtomBatchNorm
from materials.models.crystal_graph import CrystalGraphBatch, PropertyScale, Z
from materials.models.edge_map import EdgeMap, GaussianExpansion
from materials.models.neighbour_sum import gated_neighbour_sum, normalised_gated_neighbour_sum


@dataclass(frozen=True)
class CGCNNConfig:
    width: int = 64
    layers: int = 4
    readout_width: int = 32
    basis: int = 41
    basis_width_a: float = 0.2
    cutoff_a: float = 8.0
    properties: int = 1


class GatedConvolution(nn.Module):
    def __init__(self, config: CGCNNConfig) -> None:
        super().__init__()
        gates = 2 * config.width
        self.centre = nn.Linear(config.width, gates)
        self.neighbour = nn.Linear(config.width, gates, bias=False)
        self.filter = nn.Linear(config.basis, gates, bias=False)
        self.edge_norm = AtomBatchNorm(gates)
        self.node_norm = AtomBatchNorm(config.width)

    def forward(self, node: Tensor, edges: EdgeMap) -> Tensor:
        """node [V, C] -> [V, C]."""
        norm = self.edge_norm
        if self.training:
            parts = self.centre(node), self.neighbour(node), self.filter.weight.T
            message, mean, variance = normalised_gated_neighbour_sum(*parts, norm.weight, norm.bias, edges, norm.eps)
            track(norm, mean, variance, edges.edge_count)
        else:
            message = gated_neighbour_sum(*self._normalised_parts(node), edges)
        return F.softplus(node + self.node_norm(message, edges.multiplicity).to(node.dtype))

    def _normalised_parts(self, node: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With fixed statistics the norm is linear: it moves from the edges into the three matrices."""
        scale, shift = self.edge_norm.affine()
        linear = self.centre, self.neighbour, self.filter
        centre, neighbour, radial = (part.weight * scale[:, None] for part in linear)
        return F.linear(node, centre, self.centre.bias * scale + shift), F.linear(node, neighbour), radial.T


class CGCNN(nn.Module):
    """Crystal graphs -> [B, 1, T] in the properties' units, or logits of classes."""

    config_class = CGCNNConfig

    def __init__(self, config: CGCNNConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(Z + 1, config.width)
        self.convolutions = nn.ModuleList(GatedConvolution(config) for _ in range(config.layers))
        self.hidden = nn.Linear(config.width, config.readout_width)
        self.output = nn.Linear(config.readout_width, config.properties)
        self.scale = PropertyScale(config.properties)

    def forward(self, batch: CrystalGraphBatch) -> Tensor:
        """[B, 1, T]"""
        config = self.config
        radial = GaussianExpansion(batch.distances, config.basis, config.cutoff_a, config.basis_width_a)
        edges = EdgeMap(batch.neighbours, radial, batch.multiplicity)
        node = self.embedding(batch.numbers)
        for convolution in self.convolutions:
            node = convolution(node, edges)
        crystal = F.softplus(self.hidden(F.softplus(batch.mean(node))))
        return self.scale(self.output(crystal)[:, None], batch)
