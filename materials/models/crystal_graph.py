"""A batch of crystal graphs, and what every network over them needs.

Shapes: B crystals, V nodes (atoms, or one for several equivalent atoms), K neighbours of a node, E = V K edges,
T rows of a distance table, W width of an edge's features, Z highest atomic number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.data.packed import RaggedBatch

Z = 118


@dataclass(frozen=True)
class CrystalGraphBatch:
    """B crystals as one graph."""

    numbers: Tensor
    """Atomic numbers [V] int64."""
    neighbours: Tensor
    """Index of each node's neighbours in the batch [V, K] int64."""
    distances: Tensor
    """Their distances in angstrom [V, K]; inf where a node has fewer than K neighbours."""
    multiplicity: Tensor
    """How many atoms of the cell a node stands for [V]."""
    crystal: Tensor
    """Which crystal a node belongs to [V] int64."""
    crystals: int
    """B."""

    @classmethod
    def from_rows(cls, batch: RaggedBatch) -> CrystalGraphBatch:
        """From packed rows `numbers`, `neighbours` (counted within each crystal), `distances`, `multiplicity`."""
        rows = batch.rows
        neighbours = rows["neighbours"].to(torch.int64) + batch.start[batch.owner][:, None]
        return cls(rows["numbers"].to(torch.int64), neighbours, rows["distances"],
                   rows["multiplicity"].to(rows["distances"].dtype), batch.owner, len(batch))

    def atom_share(self) -> Tensor:
        """The part of its crystal's atoms that a node stands for [V]; adds up to 1 over a crystal."""
        total = self.multiplicity.new_zeros(self.crystals).index_add_(0, self.crystal, self.multiplicity)
        return self.multiplicity / total[self.crystal]

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the atoms of each crystal, [V, ...] -> [B, ...]."""
        share = self.atom_share().to(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
        return values.new_zeros(self.crystals, *values.shape[1:]).index_add_(0, self.crystal, values * share)


@dataclass(frozen=True)
class GroupedIndex:
    """An index [E] with, for each of its values, the places where it occurs: the transpose of a gather."""

    index: Tensor
    places: Tensor
    """Places in `index` sorted by value [E]."""
    first: Tensor
    """Where each value's places begin [number of values]."""

    @classmethod
    def of(cls, index: Tensor, values: int) -> GroupedIndex:
        counts = torch.bincount(index, minlength=values)
        return cls(index, torch.argsort(index, stable=True), torch.cumsum(counts, 0) - counts)

    def sum(self, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        """Sum of the rows (optionally weighted) at each value's places, [E, W] -> [values, W]."""
        return F.embedding_bag(self.places, rows, self.first, mode="sum", per_sample_weights=weights)


def table_distances(rows: int, cutoff_a: float) -> Tensor:
    """The distances at which the rows of a `DistanceTable` are taken [T]: 0 .. cutoff, and inf for no neighbour."""
    return torch.cat([torch.linspace(0, cutoff_a, rows - 1), torch.tensor([torch.inf])])


class DistanceTable:
    """Linear interpolation of any function of distance tabulated at `table_distances`.

    A filter costs one table of T rows a layer instead of one matrix product an edge.
    """

    def __init__(self, distances: Tensor, rows: int, cutoff_a: float) -> None:
        distance = distances.reshape(-1)
        position = distance.clamp(max=cutoff_a) * ((rows - 2) / cutoff_a)
        lower = position.to(torch.int64).clamp(max=rows - 3)
        fraction = position - lower
        missing = torch.isinf(distance)
        lower, fraction = torch.where(missing, rows - 2, lower), torch.where(missing, 1.0, fraction)
        self.rows = rows
        self.index = torch.stack([lower, lower + 1], dim=1)
        self.weights = torch.stack([1 - fraction, fraction], dim=1)

    def __call__(self, table: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Interpolated rows of edges start..stop, [T, W] -> [stop - start, W]."""
        weights = self.weights[start:stop].to(table.dtype)
        return F.embedding_bag(self.index[start:stop], table, mode="sum", per_sample_weights=weights)

    def transpose(self, gradient: Tensor) -> Tensor:
        """Gradient of the table from the gradient of its interpolated rows, [E, W] -> [T, W]."""
        grouped, weights = self._grouped
        return grouped.sum(gradient, weights.to(gradient.dtype))

    @cached_property
    def _grouped(self) -> tuple[GroupedIndex, Tensor]:
        """The edges that touch each row of the table, and with what weight."""
        flat = GroupedIndex.of(self.index.reshape(-1), self.rows)
        return GroupedIndex(flat.index, flat.places // 2, flat.first), self.weights.reshape(-1)[flat.places]


def gaussian_basis(distances: Tensor, count: int, cutoff_a: float, width_a: float | None = None) -> Tensor:
    """exp(-((d - mu) / width)^2) at `count` equidistant mu from 0 to the cutoff, [...] -> [..., count].

    Xie & Grossman, doi:10.1103/PhysRevLett.120.145301; `width_a` defaults to the spacing.
    """
    centres = torch.linspace(0, cutoff_a, count, dtype=distances.dtype, device=distances.device)
    width = width_a or cutoff_a / (count - 1)
    return torch.exp(-(((distances[..., None] - centres) / width) ** 2))


class PropertyScale(nn.Module):
    """From a network's output to physical units: scale * output + mean over atoms of an element's own contribution.

    The element contributions are a linear fit to the training targets (or one constant), so that the network learns
    only what composition does not explain.
    """

    element_offset: Tensor
    scale: Tensor

    def __init__(self, element_offset: Tensor | float = 0.0, scale: float = 1.0) -> None:
        super().__init__()
        offset = torch.as_tensor(element_offset, dtype=torch.float32).expand(Z + 1).clone()
        self.register_buffer("element_offset", offset)
        self.register_buffer("scale", torch.tensor(float(scale)))

    def forward(self, output: Tensor, batch: CrystalGraphBatch) -> Tensor:
        """[B] -> [B], in float32 whatever the network computes in."""
        return output.float() * self.scale + batch.mean(self.element_offset[batch.numbers])
