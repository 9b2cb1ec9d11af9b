"""AttentiveFP and GIN of torch-geometric as baselines beside the D-MPNN.

AttentiveFP: Xiong et al., doi:10.1021/acs.jmedchem.9b00959. GIN with bond features: Xu et al., arXiv:1810.00826, and Hu
et al., arXiv:1905.12265. Shapes as in `molecular_batch.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.training.batch_norm import BatchNorm
from materials.data.molecular_graphs import ATOM_FEATURES, BOND_FEATURES, MolecularGraphs
from materials.models.molecular_batch import MolecularGraphBatch, PackedGraphs
from materials.models.molecular_head import MolecularHead


@dataclass(frozen=True)
class MolecularGNNConfig:
    width: int = 200
    layers: int = 3
    readout_width: int = 200
    dropout: float = 0.0
    properties: int = 1
    descriptors: int = 0


class _GNN(nn.Module):
    config_class = MolecularGNNConfig

    def __init__(self, config: MolecularGNNConfig) -> None:
        super().__init__()
        self.config = config
        self.head = MolecularHead(
            1, config.width, config.readout_width, config.properties, config.descriptors, config.dropout
        )

    def pack(self, graphs: MolecularGraphs, descriptors: Tensor | None = None) -> PackedGraphs:
        """Molecules in the form whose batches this model takes."""
        return PackedGraphs(graphs, descriptors)

    def forward(self, batch: MolecularGraphBatch) -> Tensor:
        """[B, 1, T] in the properties' units, or logits of classes."""
        return self.head(self.fingerprint(batch)[:, None], batch.descriptors)

    def fingerprint(self, batch: MolecularGraphBatch) -> Tensor:
        """The learned vector of each molecule [B, C]."""
        raise NotImplementedError


class AttentiveFP(_GNN):
    """Attention over neighbours, then over atoms."""

    def __init__(self, config: MolecularGNNConfig) -> None:
        from torch_geometric.nn.models import AttentiveFP as Network

        super().__init__(config)
        c = config.width
        self.network = Network(
            ATOM_FEATURES, c, c, BOND_FEATURES, num_layers=config.layers, num_timesteps=2, dropout=config.dropout
        )

    def fingerprint(self, batch: MolecularGraphBatch) -> Tensor:
        return self.network(batch.atoms, batch.edges, batch.bonds, batch.owner)


class GIN(_GNN):
    """Sum over neighbours and a two-layer network, residual; mean over atoms."""

    def __init__(self, config: MolecularGNNConfig) -> None:
        from torch_geometric.nn import GINEConv

        super().__init__(config)
        c = config.width
        self.embedding = nn.Linear(ATOM_FEATURES, c)
        self.convolutions = nn.ModuleList(
            GINEConv(
                nn.Sequential(nn.Linear(c, 2 * c), BatchNorm(2 * c), nn.ReLU(), nn.Linear(2 * c, c)),
                edge_dim=BOND_FEATURES,
            )
            for _ in range(config.layers)
        )
        self.dropout = nn.Dropout(config.dropout)

    def fingerprint(self, batch: MolecularGraphBatch) -> Tensor:
        atom = self.embedding(batch.atoms)
        for convolution in self.convolutions:
            atom = atom + self.dropout(convolution(atom, batch.edges, batch.bonds).relu())
        total = atom.new_zeros(len(batch), atom.shape[1]).index_add_(0, batch.owner, atom)
        return total / torch.bincount(batch.owner, minlength=len(batch))[:, None]
