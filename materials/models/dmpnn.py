"""D-MPNN: message passing on directed bonds, Yang et al., doi:10.1021/acs.jcim.9b00237.

    h_vw <- relu(W_i [x_v, e_vw] + W_h sum_{u != w} h_uv),   h_v = relu(A x_v + B sum_u h_uv),   mean or sum over v

The model computes each environment of a bond or atom once, however often it occurs in the batch; matrices act on the
different kinds of bonds and atoms, and W_h before the sum, where there are fewer rows. With dropout, equal environments
of a batch drop the same features.
Shapes as in `molecular_batch.py`; M members of an ensemble, trained together, C width, T properties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from materials.data.molecular_graphs import ATOM_FEATURES, BOND_FEATURES, MolecularGraphs
from materials.models.molecular_batch import EnvironmentBatch, PackedEnvironments
from materials.models.molecular_head import MemberLinear, MolecularHead

SUM_UNIT = 100.0
"""Atoms that aggregation "norm" divides a molecule's sum by, as chemprop does."""


@dataclass(frozen=True)
class DMPNNConfig:
    width: int = 300
    depth: int = 3
    readout_width: int = 300
    aggregation: Literal["mean", "norm"] = "norm"
    dropout: float = 0.0
    members: int = 1
    properties: int = 1
    descriptors: int = 0


class DMPNN(nn.Module):
    """Molecules -> [B, M, T] in the properties' units, or logits of classes."""

    config_class = DMPNNConfig

    def __init__(self, config: DMPNNConfig) -> None:
        super().__init__()
        self.config = config
        m, c = config.members, config.width
        self.first = MemberLinear(m, ATOM_FEATURES + BOND_FEATURES, c, bias=False)
        self.message = MemberLinear(m, c, c, bias=False)
        self.atom = MemberLinear(m, ATOM_FEATURES, c)
        self.reached = MemberLinear(m, c, c, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.head = MolecularHead(m, c, config.readout_width, config.properties, config.descriptors, config.dropout)

    def pack(self, graphs: MolecularGraphs, descriptors: Tensor | None = None) -> PackedEnvironments:
        """Molecules in the form whose batches this model takes."""
        return PackedEnvironments.of(graphs, self.config.depth, descriptors)

    def forward(self, batch: EnvironmentBatch) -> Tensor:
        """[B, M, T]"""
        return self.head(self.fingerprint(batch), batch.descriptors)

    def fingerprint(self, batch: EnvironmentBatch) -> Tensor:
        """The learned vector of each molecule [B, M, C]."""
        first = self.first(batch.bonds)
        bond = _rows(first, batch.kinds[0]).relu()
        for kind, step in zip(batch.kinds[1:-1], batch.steps[:-1], strict=True):
            bond = self.dropout((_rows(first, kind) + step.sum(self.message(bond))).relu())
        reached = self.reached(batch.steps[-1].sum(bond))
        atom = self.dropout((_rows(self.atom(batch.atoms), batch.kinds[-1]) + reached).relu())
        total = batch.molecules.sum(atom)
        return total / (SUM_UNIT if self.config.aggregation == "norm" else batch.n_atoms[:, None, None])


def _rows(table: Tensor, index: Tensor) -> Tensor:
    """table[index], with a deterministic gradient."""
    return F.embedding(index, table.flatten(1)).unflatten(1, table.shape[1:])
