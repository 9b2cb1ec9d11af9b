"""Periodic neighbour lists: all pairs of atoms within a cutoff, images included.

Three implementations of one definition, tested against each other: a C library for one structure, an enumeration for
many small ones on the CPU, and plain torch for a batch on any device, differentiable in positions and cells.

Shapes: m atoms of one structure, A atoms of a batch of B structures, P pairs. A pair (i, j, S) stands for the
vector r_j + S L - r_i with the lattice rows L; each pair appears twice, as (i, j, S) and (j, i, -S). An atom is a
neighbour of its own images, never of itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from materials.data.lattice_enumeration import HalfPairs, half_pairs

if TYPE_CHECKING:
    from torch import Tensor

    from materials.data.crystals import Crystals


LARGE = 400
"""Atoms above which the enumeration, whose time grows with their square, is slower than cell lists."""

CHUNK_PAIRS = 200_000
"""About as many pairs are found at a time: enough to amortise numpy's calls, some 30 MB of memory."""


class Pairs(NamedTuple):
    """first [P], second [P] int64; distance [P] float64, Å; shift [P, 3] int32, in lattice vectors."""

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    shift: np.ndarray


class TorchPairs(NamedTuple):
    """As Pairs, with atoms counted through the batch; shift [P, 3] int64."""

    first: Tensor
    second: Tensor
    distance: Tensor
    shift: Tensor


def neighbour_list(lattice: np.ndarray, positions: np.ndarray, cutoff_a: float) -> Pairs:
    """Pairs of one structure: lattice [3, 3] and Cartesian positions [m, 3] in Å, through vesin.

    vesin: https://github.com/Luthaf/vesin
    """
    # vesin imports torch where it is installed, which takes seconds: not before it is needed.
    from vesin import NeighborList

    search = NeighborList(cutoff=cutoff_a, full_list=True, n_threads=1)
    first, second, distance, shift = search.compute(
        np.asarray(positions, np.float64), np.asarray(lattice, np.float64), periodic=True, quantities="ijdS"
    )
    return Pairs(first.astype(np.int64), second.astype(np.int64), distance, shift)


def half_neighbour_lists(crystals: Crystals, cutoffs_a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of many structures, each with its own cutoff: (first, second, distance), atoms counted through all.

    Unlike elsewhere, each pair appears once: of (i, j) and (j, i) only one.
    """
    found = list(_half_pairs(crystals, cutoffs_a))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    first, second, distance, _ = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first, second, distance


def neighbour_lists(crystals: Crystals, cutoff_a: float) -> Pairs:
    """Pairs of many structures at once, atoms counted through all; faster than one structure after another."""
    found = list(_half_pairs(crystals, np.full(len(crystals), float(cutoff_a))))
    first, second, distance, shift = ([getattr(one, name) for one in found] for name in HalfPairs._fields)
    if not found:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 3), np.int32))
    there, half = np.empty((2 * sum(map(len, first)), 3), np.int32), sum(map(len, first))
    np.concatenate(shift, out=there[:half])
    np.negative(there[:half], out=there[half:])
    both = np.concatenate(first + second), np.concatenate(second + first)
    return Pairs(*both, np.concatenate(distance + distance), there)


def _half_pairs(crystals: Crystals, cutoffs_a: np.ndarray) -> Iterator[HalfPairs]:
    """Small structures by enumeration, as many together as fill the cache; large ones one by one through vesin."""
    offsets, large = crystals.offsets, crystals.n_atoms > LARGE
    expected = crystals.n_atoms**2 * (1 + 2 * cutoffs_a**3 / crystals.volumes)
    group = np.cumsum(np.where(large, CHUNK_PAIRS, expected)) // CHUNK_PAIRS
    starts = np.flatnonzero((np.diff(group, prepend=-1) > 0) | large | np.append(False, large[:-1]))
    for start, stop in pairwise([*starts.tolist(), len(crystals)]):
        atoms, cutoffs = slice(offsets[start], offsets[stop]), cutoffs_a[start:stop]
        if large[start]:
            lattice = crystals.lattices[start]
            found = _half_pairs_of_one(lattice, crystals.fractional[atoms] @ lattice, float(cutoffs[0]))
        else:
            part = slice(start, stop)
            found = half_pairs(crystals.lattices[part], crystals.fractional[atoms], crystals.n_atoms[part], cutoffs)
        yield found._replace(first=found.first + offsets[start], second=found.second + offsets[start])


def _half_pairs_of_one(lattice: np.ndarray, positions: np.ndarray, cutoff_a: float) -> HalfPairs:
    from vesin import NeighborList

    search = NeighborList(cutoff=cutoff_a, full_list=False, n_threads=1)
    first, second, distance, shift = search.compute(positions, lattice, periodic=True, quantities="ijdS")
    return HalfPairs(first.astype(np.int64), second.astype(np.int64), distance, shift)


def neighbour_list_torch(lattices: Tensor, positions: Tensor, n_atoms: Tensor, cutoff_a: float) -> TorchPairs:
    """Pairs of a batch: lattices [B, 3, 3], Cartesian positions [A, 3], n_atoms [B], on one device.

    Every image that can lie within the cutoff is tried, O(m^2) a structure: meant for unit cells, not for
    thousands of atoms. Distances are differentiable in `lattices` and `positions`.
    """
    import torch

    with torch.no_grad():
        owner = torch.repeat_interleave(n_atoms)
        inverse = torch.linalg.inv(lattices)
        home = torch.floor(torch.einsum("ai,aij->aj", positions, inverse[owner]))
        first, second, shift = _candidates(inverse, n_atoms, cutoff_a)
        # Candidate shifts are between wrapped atoms; the pair's own shift is between the atoms as given.
        shift = shift - home[second].to(torch.int64) + home[first].to(torch.int64)
        near = _distance(lattices[owner], positions, first, second, shift) <= cutoff_a
        itself = (first == second) & (shift == 0).all(dim=1)
        first, second, shift = (values[near & ~itself] for values in (first, second, shift))
    return TorchPairs(first, second, _distance(lattices[owner], positions, first, second, shift), shift)


def _candidates(inverse: Tensor, n_atoms: Tensor, cutoff_a: float) -> tuple[Tensor, Tensor, Tensor]:
    """All (i, j, S) with |S_k| <= floor(cutoff / height_k) + 1 between atoms of one structure."""
    import torch

    # The columns of the inverse are the reciprocal vectors, of length 1 / height. Between wrapped atoms the
    # fractional difference along k lies in (-1, 1), hence the one more.
    reach = torch.floor(cutoff_a * inverse.norm(dim=1)).to(torch.int64) + 1
    width = 2 * reach + 1
    images = width.prod(dim=1)
    tried = n_atoms * n_atoms * images
    structure = torch.repeat_interleave(tried)
    index = torch.arange(len(structure), device=structure.device) - (torch.cumsum(tried, 0) - tried)[structure]
    start = (torch.cumsum(n_atoms, 0) - n_atoms)[structure]
    pair, image = index // images[structure], index % images[structure]
    first, second = start + pair // n_atoms[structure], start + pair % n_atoms[structure]
    wide = width[structure]
    steps = torch.stack(
        [image // (wide[:, 1] * wide[:, 2]), image // wide[:, 2] % wide[:, 1], image % wide[:, 2]], dim=1
    )
    return first, second, steps - reach[structure]


def _distance(cells: Tensor, positions: Tensor, first: Tensor, second: Tensor, shift: Tensor) -> Tensor:
    """|r_j + S L - r_i| with the lattice of each atom, cells [A, 3, 3]."""
    image = (shift.to(positions.dtype)[:, None, :] @ cells[first])[:, 0]
    return (positions[second] - positions[first] + image).norm(dim=1)
