"""A batch of structures as pairs of atoms within a cutoff, and what follows from energies over them.

Shapes: B structures, A atoms, P pairs (each unordered pair of atoms once, periodic images included), S pairs within
the shorter angle cutoff (they come first), T angles. A pair p stands for two directed edges: p from `first` to
`second`, and its reverse; among the S short pairs the edge number of the reverse is p + S.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from materials.models.crystal_graph import CrystalNodes

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class AtomicGraph:
    """B structures as one graph; everything geometric follows from `vectors`."""

    numbers: Tensor
    """Atomic numbers [A] int64."""
    structure: Tensor
    """Which structure an atom belongs to [A] int64."""
    structures: int
    """B."""
    volumes: Tensor
    """Cell volumes in angstrom^3 [B]; NaN where a structure is not periodic in three directions."""
    first: Tensor
    """[P] int64."""
    second: Tensor
    """[P] int64."""
    vectors: Tensor
    """From the first atom of a pair to the second, in angstrom [P, 3]."""
    short: int
    """S."""
    angle_edges: Tensor
    """The two short edges of each angle, both leaving the same atom [2, T] int64; each angle once."""

    @classmethod
    def from_atoms(
        cls,
        atoms: Sequence[Atoms],
        cutoff_a: float,
        angle_cutoff_a: float = 0.0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> AtomicGraph:
        """Graph of all pairs within `cutoff_a`, and all angles between pairs within `angle_cutoff_a`.

        Distances are computed in float64, whatever `dtype` the model computes in.
        """
        counts = np.array([len(one) for one in atoms])
        first, second, vectors = _pairs(atoms, counts, cutoff_a)
        is_short = np.einsum("pk,pk->p", vectors, vectors) <= angle_cutoff_a**2
        order, short = np.argsort(~is_short, kind="stable"), int(is_short.sum())
        first, second, vectors = first[order], second[order], vectors[order]
        angles = _angles(np.concatenate([first[:short], second[:short]]), int(counts.sum()))
        volumes = [abs(np.linalg.det(one.cell.array)) if one.pbc.all() else np.nan for one in atoms]
        numbers = np.concatenate([one.numbers for one in atoms])

        def tensor(array: np.ndarray | list[float], to: torch.dtype = torch.int64) -> Tensor:
            return torch.as_tensor(np.asarray(array)).to(device, to)

        structure = tensor(np.repeat(np.arange(len(atoms)), counts))
        return cls(
            tensor(numbers), structure, len(atoms), tensor(volumes, dtype), tensor(first), tensor(second),
            tensor(vectors, dtype), short, tensor(angles),
        )  # fmt: skip

    @property
    def nodes(self) -> CrystalNodes:
        """The atoms as readouts see them, each a node of its own."""
        return CrystalNodes(self.numbers, self.vectors.new_ones(len(self.numbers)), self.structure, self.structures)

    def sum_atoms(self, values: Tensor) -> Tensor:
        """Sum over the atoms of each structure, [A, ...] -> [B, ...]."""
        return sum_rows(values, self.structure, self.structures)

    def repeated(self, times: int) -> AtomicGraph:
        """The structures `times` times, one copy behind the other; without angles, and no pair counts as short."""
        atoms, copy = len(self.numbers), torch.arange(times, device=self.numbers.device)[:, None]

        def counted(index: Tensor, size: int) -> Tensor:
            return (index + copy * size).flatten()

        return AtomicGraph(
            self.numbers.repeat(times), counted(self.structure, self.structures), times * self.structures,
            self.volumes.repeat(times), counted(self.first, atoms), counted(self.second, atoms),
            self.vectors.repeat(times, 1), 0, self.angle_edges[:, :0],
        )  # fmt: skip

    def with_vectors(self, vectors: Tensor) -> AtomicGraph:
        """The same pairs with other vectors between them."""
        return replace(self, vectors=vectors)


class SiteProperties(NamedTuple):
    """What an interatomic potential says of each atom."""

    energy: Tensor
    """eV [A]."""
    magmom: Tensor | None = None
    """Magnitudes in Bohr magnetons [A]."""


class Conservative(NamedTuple):
    """Energies and their derivatives."""

    energy: Tensor
    """eV, float64 [B]."""
    forces: Tensor
    """eV/angstrom [A, 3]."""
    stress: Tensor
    """eV/angstrom^3 [B, 3, 3], positive where the cell wants to shrink; NaN without a three-dimensional cell."""
    magmom: Tensor | None


def differentiate(
    model: Callable[[AtomicGraph], SiteProperties], graph: AtomicGraph, create_graph: bool = False
) -> Conservative:
    """Energy, forces and stress of a model that maps a graph to SiteProperties.

    The energy depends on positions and strain only through the pair vectors v: with g = dE/dv the force on an atom is
    the sum of g over pairs it is first in, less those it is second in, and the stress is sum(v g^T) / V. This is the
    exact gradient, at the cost of one backward pass that ends at the pairs. `create_graph`: for training on forces.
    """
    with torch.enable_grad():
        vectors = graph.vectors.detach().requires_grad_()
        sites = model(graph.with_vectors(vectors))
        energy = graph.sum_atoms(sites.energy.double())
        if len(vectors):
            (gradient,) = torch.autograd.grad(energy.sum(), vectors, create_graph=create_graph)
        else:  # a lone atom
            gradient = torch.zeros_like(vectors)
    pull = sum_rows(gradient, graph.first, len(graph.numbers)) - sum_rows(gradient, graph.second, len(graph.numbers))
    virial = sum_rows(vectors[:, :, None] * gradient[:, None, :], graph.structure[graph.first], graph.structures)
    # Symmetric in exact arithmetic, because energies do not change under rotation.
    stress = 0.5 * (virial + virial.mT) / graph.volumes[:, None, None]
    if not create_graph:
        energy, pull, stress = energy.detach(), pull.detach(), stress.detach()
    return Conservative(energy, pull, stress, sites.magmom)


def sum_rows(values: Tensor, index: Tensor, rows: int) -> Tensor:
    """out[index[n]] += values[n]: [N, ...] -> [rows, ...]."""
    return values.new_zeros(rows, *values.shape[1:]).index_add(0, index, values)


def _pairs(atoms: Sequence[Atoms], counts: np.ndarray, cutoff_a: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from vesin import NeighborList

    search = NeighborList(cutoff=cutoff_a, full_list=False, n_threads=1)
    pairs, vectors = [np.zeros((0, 2), np.int64)], [np.zeros((0, 3))]
    for start, one in zip((np.cumsum(counts) - counts).tolist(), atoms, strict=True):
        box = np.where(one.pbc[:, None], one.cell.array, 0.0) if not one.pbc.all() else one.cell.array
        found, vector = search.compute(one.positions, box, one.pbc, quantities="PD")
        pairs.append(found.astype(np.int64) + start)
        vectors.append(vector)
    joined = np.concatenate(pairs)
    return joined[:, 0], joined[:, 1], np.concatenate(vectors)


def _angles(centre: np.ndarray, atoms: int) -> np.ndarray:
    """All unordered pairs [2, T] of directed edges that leave the same atom; centre [2 S]."""
    order = np.argsort(centre, kind="stable")
    end = np.cumsum(np.bincount(centre, minlength=atoms))[centre[order]]
    place = np.arange(len(order))
    partners = end - place - 1
    left = np.repeat(place, partners)
    right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(partners) - partners, partners)
    return np.stack([order[left], order[right]])
