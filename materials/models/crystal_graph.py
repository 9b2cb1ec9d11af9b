"""A batch of crystal graphs, and what every network over them needs.

Shapes: B crystals, V nodes (atoms, or one for several equivalent atoms), K neighbours of a node, E = V K edges,
D rows of a function of distance, W width of an edge's features, Z highest atomic number, M members of an ensemble,
T properties.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from common.data.packed import RaggedBatch

Z = 118


@dataclass(frozen=True)
class CrystalNodes:
    """The nodes of B crystals, whatever connects them: what is read out of them."""

    numbers: Tensor
    """Atomic numbers [V] int64."""
    multiplicity: Tensor
    """How many atoms of the cell a node stands for [V]."""
    crystal: Tensor
    """Which crystal a node belongs to [V] int64."""
    crystals: int
    """B."""

    def atom_share(self) -> Tensor:
        """The part of its crystal's atoms that a node stands for [V]; adds up to 1 over a crystal."""
        total = self.multiplicity.new_zeros(self.crystals).index_add_(0, self.crystal, self.multiplicity)
        return self.multiplicity / total[self.crystal]

    def softmax(self, score: Tensor) -> Tensor:
        """Weights over the atoms of each crystal, [V, H] -> [V, H]; those of a crystal add up to 1.

        A node that stands for m atoms weighs m times as much, so that merging equivalent atoms changes nothing.
        """
        score = score.float() + self.multiplicity.float().log()[:, None]
        owner = self.crystal[:, None].expand_as(score)
        lowest = score.new_full((self.crystals, score.shape[1]), -torch.inf)
        highest = lowest.scatter_reduce(0, owner, score.detach(), "amax")
        weight = (score - highest[self.crystal]).exp()
        return weight / weight.new_zeros(highest.shape).index_add_(0, self.crystal, weight)[self.crystal]

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the atoms of each crystal, [V, ...] -> [B, ...]."""
        share = self.atom_share().to(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
        return values.new_zeros(self.crystals, *values.shape[1:]).index_add_(0, self.crystal, values * share)


@dataclass(frozen=True)
class CrystalGraphBatch(CrystalNodes):
    """B crystals as one graph of nearest neighbours."""

    neighbours: Tensor
    """Index of each node's neighbours in the batch [V, K] int64."""
    distances: Tensor
    """Their distances in angstrom [V, K]; inf where a node has fewer than K neighbours."""

    @classmethod
    def from_rows(cls, batch: RaggedBatch) -> CrystalGraphBatch:
        """From packed rows `numbers`, `neighbours` (counted within each crystal), `distances`, `multiplicity`."""
        rows = batch.rows
        neighbours = rows["neighbours"].to(torch.int64) + batch.start[batch.owner][:, None]
        return cls(
            rows["numbers"].to(torch.int64),
            rows["multiplicity"].to(rows["distances"].dtype),
            batch.owner,
            len(batch),
            neighbours,
            rows["distances"],
        )

    def nearest(self, count: int) -> CrystalGraphBatch:
        """The same graph with no more than the first `count` neighbours of each node."""
        if count >= self.neighbours.shape[1]:
            return self
        neighbours, distances = (one[:, :count].contiguous() for one in (self.neighbours, self.distances))
        return replace(self, neighbours=neighbours, distances=distances)


class PropertyScale(nn.Module):
    """From a network's outputs to physical units: scale * output + mean over atoms of an element's own contribution.

    The element contributions [Z + 1, T] are a linear fit to the training targets (or one constant), so that the network
    learns only what composition does not explain. The identity for classes.
    """

    element_offset: Tensor
    scale: Tensor

    def __init__(self, properties: int = 1) -> None:
        super().__init__()
        self.register_buffer("element_offset", torch.zeros(Z + 1, properties))
        self.register_buffer("scale", torch.ones(properties))

    def set(self, element_offset: Tensor | float, scale: Tensor | float) -> None:
        """Take over contributions [Z + 1, T] and scales [T], or one constant for all.

        Outputs beyond T, such as predicted log variances, stay as they are.
        """
        offset, scale = torch.as_tensor(element_offset), torch.as_tensor(scale)
        properties = scale.shape[0] if scale.ndim else len(self.scale)
        self.element_offset[:, :properties] = offset
        self.scale[:properties] = scale

    def forward(self, output: Tensor, batch: CrystalNodes) -> Tensor:
        """[B, M, T] -> [B, M, T], at least in float32 whatever the network computes in."""
        output = output.to(torch.promote_types(output.dtype, torch.float32))
        return output * self.scale + batch.mean(self.element_offset.index_select(0, batch.numbers))[:, None]
