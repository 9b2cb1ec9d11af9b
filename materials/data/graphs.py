"""From crystals to graphs of nearest neighbours.

Shapes: N structures, V nodes of all structures behind one another, K neighbours of a node, P pairs of atoms.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from common.app.errors import ConfigError
from materials.data.crystals import Crystals
from materials.data.neighbours import half_neighbour_lists
from materials.data.symmetry import TOLERANCE_A, collapse, distance_shells, mixed

CHUNK_ATOMS = 16_384
"""Atoms that are worked on at a time: large enough to amortise numpy's calls, small enough for the cache."""

FIRST_RADIUS = 1.15
"""First search radius, in radii of the sphere that holds K + 1 atoms at the structure's mean density."""

GROWTH = 1.3
"""Factor of the next radius for structures where an atom found too few neighbours."""


@dataclass(frozen=True, eq=False)
class CrystalGraphs:
    """One graph a structure.

    n_nodes       [N]     int64
    numbers       [V]     uint8, atomic numbers
    neighbours    [V, K]  int32, counted within the structure; the node itself where there is none
    distances     [V, K]  float32, Å; inf where there is no neighbour
    multiplicity  [V]     int32, how many atoms of the cell a node stands for
    n_atoms       [N]     int64
    """

    n_nodes: np.ndarray
    numbers: np.ndarray
    neighbours: np.ndarray
    distances: np.ndarray
    multiplicity: np.ndarray
    n_atoms: np.ndarray

    def __len__(self) -> int:
        return len(self.n_nodes)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fields by name, as a cache stores them."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> CrystalGraphs:
        """The inverse of `to_arrays`; other names are ignored."""
        return cls(*(arrays[one.name] for one in fields(cls)))

    @classmethod
    def concatenate(cls, parts: Sequence[CrystalGraphs]) -> CrystalGraphs:
        """All graphs of `parts`, which must have the same K."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))


def k_nearest_graphs(
    crystals: Crystals,
    neighbours: int = 12,
    cutoff_a: float = 8.0,
    collapse_tolerance_a: float | None = None,
    workers: int | None = None,
) -> CrystalGraphs:
    """Each atom with its `neighbours` nearest atoms, images included, no farther than `cutoff_a`.

    Tie rule: distances within `symmetry.TOLERANCE_A` form a shell (see `distance_shells`). Neighbours are taken
    shell by shell; of a shell that does not fit, the heavier elements' atoms are left out first, and of one
    element those whose own nearest shells and elements rank last. So the graph does not depend on the order of
    the atoms, the cell chosen or the orientation, except where atoms of a cut shell differ only beyond their own
    nearest neighbours; of these the ones that come first in the pair list are taken.

    `collapse_tolerance_a` also merges equivalent atoms (`symmetry.collapse`). `workers` threads share the work
    (default: one a core); the result does not depend on their number.
    """
    if neighbours < 1 or not 0 < cutoff_a < np.inf:
        raise ConfigError(
            f"neighbours={neighbours}, cutoff_a={cutoff_a}: expected at least 1 neighbour and a cutoff > 0 Å"
        )

    def build(chunk: Crystals) -> CrystalGraphs:
        graphs = _k_nearest(chunk, neighbours, cutoff_a)
        return graphs if collapse_tolerance_a is None else collapse(graphs, collapse_tolerance_a)

    chunks = list(_chunks(crystals))
    if len(chunks) < 2:
        return build(crystals)
    # Threads, not processes: the C library and numpy's sorts release the interpreter lock, and nothing is pickled.
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        return CrystalGraphs.concatenate(list(pool.map(build, chunks)))


def _chunks(crystals: Crystals) -> Iterator[Crystals]:
    """Consecutive structures with about CHUNK_ATOMS atoms together."""
    starts = np.flatnonzero(np.diff(crystals.offsets[:-1] // CHUNK_ATOMS, prepend=-1))
    for start, stop in pairwise([*starts, len(crystals)]):
        yield crystals.subset(slice(start, stop))


def _k_nearest(crystals: Crystals, k: int, cutoff_a: float) -> CrystalGraphs:
    mean_radii = np.cbrt(3 * (k + 1) * crystals.volumes / (4 * np.pi * crystals.n_atoms))
    first, second, distance = _sufficient_pairs(crystals, k, cutoff_a, FIRST_RADIUS * mean_radii)
    structure = crystals.structure_of_atom
    shell = distance_shells(distance, structure[first])
    first, second = np.concatenate([first, second]), np.concatenate([second, first])
    distance, shell = np.tile(distance, 2), np.tile(shell, 2)
    kept, rank = _nearest(first, second, shell, crystals.numbers, k)

    total = len(crystals.numbers)
    start = crystals.offsets[structure]
    neighbours = np.repeat(np.arange(total) - start, k).reshape(total, k).astype(np.int32)
    distances = np.full((total, k), np.inf, np.float32)
    neighbours[first[kept], rank] = second[kept] - start[second[kept]]
    distances[first[kept], rank] = distance[kept]
    ones = np.ones(total, np.int32)
    return CrystalGraphs(crystals.n_atoms, crystals.numbers, neighbours, distances, ones, crystals.n_atoms)


def _sufficient_pairs(
    crystals: Crystals, k: int, cutoff_a: float, radii: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (first, second, distance), each once, with every shell of the k nearest; searched within `radii` first."""
    radii = np.minimum(cutoff_a, radii)
    first, second, distance = half_neighbour_lists(crystals, radii)
    structure = crystals.structure_of_atom
    # A shell that begins closer than one tolerance below the radius may go on beyond it.
    complete = distance <= (radii - TOLERANCE_A)[structure[first]]
    count = sum(np.bincount(end[complete], minlength=len(structure)) for end in (first, second))
    poor = count < k
    again = (np.bincount(structure[poor], minlength=len(crystals)) > 0) & (radii < cutoff_a)
    if not again.any():
        return first, second, distance
    wider = _sufficient_pairs(crystals.subset(again), k, cutoff_a, GROWTH * radii[again])
    atoms, done = np.flatnonzero(again[structure]), ~again[structure[first]]
    return (
        np.concatenate([first[done], atoms[wider[0]]]),
        np.concatenate([second[done], atoms[wider[1]]]),
        np.concatenate([distance[done], wider[2]]),
    )


def _nearest(
    first: np.ndarray, second: np.ndarray, shell: np.ndarray, numbers: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs to keep, by the tie rule, and the place of each among its first atom's neighbours."""
    total = len(numbers)
    key = (first << 40) | (shell << 8) | numbers[second]
    order = np.argsort(key)
    count = np.bincount(first, minlength=total)
    start = np.cumsum(count) - count
    rank = np.arange(len(order)) - np.repeat(start, count)
    nearest = order[rank < k]

    # What an atom sees first: the shells and elements of its own nearest neighbours, as one number.
    sight = np.zeros((total, k), np.uint64)
    sight[first[nearest], rank[rank < k]] = mixed((key[nearest] & ((1 << 40) - 1)).astype(np.uint64))
    view = np.unique(mixed(sight.sum(axis=1, dtype=np.uint64)), return_inverse=True)[1]

    # Of the last (shell, element) group of each atom that does not fit, reorder the members.
    crowded = np.flatnonzero(count > k)
    last = np.full(total, -1)
    last[crowded] = key[order[start[crowded] + k - 1]]
    places = np.flatnonzero(key[order] == last[first[order]])
    members = order[places]
    order[places] = members[np.argsort((first[members] << 32) | view[second[members]])]
    return order[rank < k], rank[rank < k]
