"""What reaches an edge is a linear map of a few rows: x_ij = centre_i + neighbour_j + sum_r w_r(d_ij) radial_r.

The three parts lie behind one another as the rows of one matrix; an edge is a weighted sum of some of them, which
one gather makes. Its transpose, for gradients, sums over grouped indices: deterministic, no atomic additions.
Shapes as in `crystal_graph.py`; R rows of a radial part that an edge mixes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from common.training.batch_norm import sum_over_ranks


@dataclass(frozen=True)
class GroupedIndex:
    """An index [E] with, for each of its values, the places where it occurs: the transpose of a gather."""

    index: Tensor
    values: int
    """How many values there are; the index is in 0 .. values - 1."""

    @cached_property
    def places(self) -> Tensor:
        """Places in `index` sorted by value [E]."""
        return torch.argsort(self.index, stable=True)

    @cached_property
    def first(self) -> Tensor:
        """Where each value's places begin [values]."""
        counts = torch.bincount(self.index, minlength=self.values)
        return torch.cumsum(counts, 0) - counts

    def sum(self, rows: Tensor) -> Tensor:
        """Sum of the rows at each value's places, [E, W] -> [values, W]."""
        return F.embedding_bag(self.places, rows, self.first, mode="sum")


class RadialMap(Protocol):
    """A linear map from the D rows of a function of distance to its values at the edges."""

    rows: int
    """T."""
    index: Tensor
    """Rows that an edge mixes [E, R]."""
    weights: Tensor
    """With what weights [E, R]."""

    def transpose(self, gradient: Tensor) -> Tensor:
        """Gradient of the rows from the gradient of the edges' values, [E, W] -> [D, W]."""
        ...


class EdgeMap:
    """The map from the parts [2V + T, W] of a convolution to x of the edges [E, W], for the graphs of a batch.

    neighbours [V, K] int64; multiplicity [V], how many atoms a node stands for.
    """

    def __init__(self, neighbours: Tensor, radial: RadialMap, multiplicity: Tensor) -> None:
        self.nodes, self.per_node = neighbours.shape
        self.multiplicity = multiplicity
        self._radial, self._neighbours = radial, GroupedIndex(neighbours.reshape(-1), self.nodes)
        node = torch.arange(self.nodes, 2 * self.nodes, dtype=torch.int32, device=neighbours.device)
        centre = node[:, None].expand(-1, self.per_node).reshape(-1, 1)
        first = neighbours.reshape(-1, 1).to(torch.int32)
        self._index = torch.cat([first, centre, radial.index.to(torch.int32) + 2 * self.nodes], dim=1)
        self._weights = F.pad(radial.weights, (2, 0), value=1.0)

    @staticmethod
    def joined(centre: Tensor, neighbour: Tensor, radial: Tensor) -> Tensor:
        """The parts behind one another: centre [..., V, W], neighbour [..., V, W], radial [..., T, W]."""
        return torch.cat([neighbour, centre, radial], dim=-2)

    def __call__(self, parts: Tensor, nodes: slice) -> Tensor:
        """x of the edges of some nodes, [2V + T, W] -> [nodes, K, W]."""
        edges = slice(nodes.start * self.per_node, nodes.stop * self.per_node)
        index, weights = self._index[edges], self._weights[edges].to(parts.dtype)
        if torch.compiler.is_exporting():  # the same in operations that other programs have, too
            x = (parts[index.long()] * weights[..., None]).sum(dim=1)
        else:
            x = F.embedding_bag(index, parts, mode="sum", per_sample_weights=weights)
        return x.view(-1, self.per_node, parts.shape[1])

    def transpose(self, gradient: Tensor) -> Tensor:
        """Gradient of the parts from that of x, [V, K, W] -> [2V + T, W]."""
        edges = gradient.view(-1, gradient.shape[-1])
        return self.joined(gradient.sum(dim=1), self._neighbours.sum(edges), self._radial.transpose(edges))

    @cached_property
    def edge_count(self) -> Tensor:
        """Number of edges of all atoms of all ranks, []."""
        return sum_over_ranks(self.multiplicity.sum() * self.per_node)

    @cached_property
    def share(self) -> Tensor:
        """Weight of an edge of each node in the mean over all edges of all atoms of all ranks [V, 1]."""
        return (self.multiplicity / self.edge_count)[:, None]

    @cached_property
    def part_share(self) -> Tensor:
        """Weight of each row of the parts in that mean of x [2V + T, 1]."""
        return self.transpose(self.share[:, None].expand(-1, self.per_node, 1).contiguous())


def table_distances(rows: int, cutoff_a: float) -> Tensor:
    """The distances at which the rows of a `DistanceTable` are taken [D]: 0 .. cutoff, and inf for no neighbour."""
    return torch.cat([torch.linspace(0, cutoff_a, rows - 1), torch.tensor([torch.inf])])


class DistanceTable(RadialMap):
    """Linear interpolation of any function of distance tabulated at `table_distances`.

    A filter costs one table of D rows a layer instead of one matrix product an edge.
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

    def transpose(self, gradient: Tensor) -> Tensor:
        edges, weights, first = self._grouped
        return F.embedding_bag(edges, gradient, first, mode="sum", per_sample_weights=weights.to(gradient.dtype))

    @cached_property
    def _grouped(self) -> tuple[Tensor, Tensor, Tensor]:
        """The edges that touch each row of the table, with what weight, and where those of a row begin."""
        flat = GroupedIndex(self.index.reshape(-1), self.rows)
        return flat.places // 2, self.weights.reshape(-1)[flat.places], flat.first


def gaussian(distance: Tensor, centre: Tensor, width_a: float) -> Tensor:
    return torch.exp(-(((distance - centre) / width_a) ** 2))


def gaussian_basis(distances: Tensor, count: int, cutoff_a: float, width_a: float | None = None) -> Tensor:
    """exp(-((d - mu) / width)^2) at `count` equidistant mu from 0 to the cutoff, [...] -> [..., count].

    Xie & Grossman, doi:10.1103/PhysRevLett.120.145301; `width_a` defaults to the spacing.
    """
    centres = torch.linspace(0, cutoff_a, count, dtype=distances.dtype, device=distances.device)
    return gaussian(distances[..., None], centres, width_a or cutoff_a / (count - 1))


class GaussianExpansion(RadialMap):
    """`gaussian_basis` as a map that mixes only the rows of those Gaussians that are not negligible at a distance.

    The ones farther than four widths away, each below 1.2e-7, the rounding of a float32, are left out.
    """

    def __init__(self, distances: Tensor, count: int, cutoff_a: float, width_a: float) -> None:
        distance = distances.reshape(-1, 1)
        spacing = cutoff_a / (count - 1)
        taken = min(count, 2 * math.ceil(4 * width_a / spacing))
        below = (distance.clamp(max=cutoff_a) / spacing).to(torch.int32)
        lowest = (below - (taken // 2 - 1)).clamp(0, count - taken)
        self.rows = count
        self.index = lowest + torch.arange(taken, dtype=torch.int32, device=distances.device)
        self.weights = gaussian(distance, self.index * spacing, width_a)

    def transpose(self, gradient: Tensor) -> Tensor:
        # Few rows, each of many edges: a matrix product, not a sum over grouped edges.
        return self._basis.to(gradient.dtype).T @ gradient

    @cached_property
    def _basis(self) -> Tensor:
        """The map as a matrix [E, D]."""
        return self.weights.new_zeros(len(self.index), self.rows).scatter_(1, self.index.long(), self.weights)
