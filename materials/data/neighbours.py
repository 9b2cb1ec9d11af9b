"""Periodic neighbour lists: all pairs of atoms within a cutoff, images included.

Two implementations of one definition, tested against each other: a C library on the CPU, and plain torch for a
batch of structures on any device, differentiable in positions and cells.

Shapes: m atoms of one structure, A atoms of a batch of B structures, P pairs. A pair (i, j, S) stands for the
vector r_j + S L - r_i with the lattice rows L; each pair appears twice, as (i, j, S) and (j, i, -S). An atom is a
neighbour of its own images, never of itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from materials.data.crystals import Crystals


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
    from vesin import NeighborList

    search = NeighborList(cutoff=1.0, full_list=False, n_threads=1)
    periodic = np.ones(3, bool)

    def one_by_one() -> Iterator[tuple[np.ndarray, ...]]:
        positions, offsets = crystals.positions, crystals.offsets.tolist()
        for index, (lattice, cutoff) in enumerate(zip(crystals.lattices, cutoffs_a.tolist(), strict=True)):
            start, stop = offsets[index : index + 2]
            search.cutoff = cutoff
            pairs, distance = search.compute(positions[start:stop], lattice, periodic, quantities="Pd", copy=False)
            yield pairs.astype(np.int64) + start, distance.copy()

    found = list(one_by_one())
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *(one[0] for one in found)])
    return pairs[:, 0], pairs[:, 1], np.concatenate([np.zeros(0), *(one[1] for one in found)])


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
