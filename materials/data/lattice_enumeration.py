"""Pairs of atoms within a cutoff, of many structures at once, without candidates that are tried in vain.

With the lattice in triangular form, a = (a1, a2, a3), b = (0, b2, b3), c = (0, 0, c3), the shifts along a, then b,
then c that keep a pair within the cutoff are three nested intervals; all pairs of all structures take each step
together. Fincke & Pohst, Math. Comp. 44, 463 (1985), doi:10.1090/S0025-5718-1985-0777278-8. Axes are taken by falling
length, which leaves the fewest open intervals.

Shapes: N structures, A atoms, D pairs of atoms of the cells, Q open intervals, P pairs of an atom and an image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SLACK = 1e-9
"""By how much an interval is widened, in cells, so that rounding loses nothing that lies on the sphere."""


class HalfPairs(NamedTuple):
    """first [P], second [P] int64, atoms counted through all; distance [P] float64, Å; shift of the second atom in
    lattice vectors, [P, 3] int32. Of (i, j, S) and (j, i, -S) there is one."""

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    shift: np.ndarray


def half_pairs(lattices: np.ndarray, fractional: np.ndarray, n_atoms: np.ndarray, cutoffs_a: np.ndarray) -> HalfPairs:
    """lattices [N, 3, 3] and cutoffs_a [N] in Å, fractional [A, 3], n_atoms [N]. Time grows as n_atoms^2."""
    axes = np.argsort(-np.linalg.norm(lattices, axis=2), axis=1)
    vectors = _triangular(np.take_along_axis(lattices, axes[:, :, None], axis=1))
    first, second, structure = _pairs_of_atoms(n_atoms)
    ordered = np.take_along_axis(fractional, np.repeat(axes, n_atoms, axis=0), axis=1).T.copy()
    difference = [coordinate.take(second) - coordinate.take(first) for coordinate in ordered]
    pair, squared, shifts = _nested(vectors, difference, first == second, structure, cutoffs_a**2)
    distance, structure = np.sqrt(squared), structure.take(pair)
    found = HalfPairs(first.take(pair), second.take(pair), distance, _in_order(shifts, axes, structure))
    near = distance <= cutoffs_a.take(structure)
    return found if near.all() else HalfPairs(*(one[near] for one in found))


def _in_order(shifts: list[np.ndarray], axes: np.ndarray, structure: np.ndarray) -> np.ndarray:
    """Shifts along the axes as they were taken -> [P, 3] along a, b, c as given."""
    rows = np.stack(shifts).astype(np.int32).ravel()
    place = np.argsort(axes, axis=1).T * len(structure)
    column = np.arange(len(structure))
    return np.stack([rows.take(place[axis].take(structure) + column) for axis in range(3)], axis=1)


def _nested(
    vectors: np.ndarray, difference: list[np.ndarray], itself: np.ndarray, structure: np.ndarray, limit: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Which of the D pairs [P], squared distance [P], and the shift along each axis [P].

    Of an atom and its own images, one of S and -S is kept: the first shift that is not zero is positive.
    """
    pair, squared = np.arange(len(structure)), np.zeros(len(structure))
    lowest = np.where(itself, 0.0, -np.inf)
    moved: list[np.ndarray] = []  # along the axes that are decided, difference and shift, in lattice vectors
    shifts: list[np.ndarray] = []
    for axis in range(3):
        owner, ahead = structure.take(pair), difference[axis].take(pair)
        spacing = vectors[axis, axis].take(owner)
        offset = ahead * spacing
        for before, done in enumerate(moved):
            offset += done * vectors[before, axis].take(owner)
        reach = np.sqrt(np.maximum(limit.take(owner) - squared, 0.0)) / spacing + SLACK
        centre = offset / spacing
        low = np.maximum(np.ceil(-centre - reach), lowest + (axis == 2))
        count = np.maximum(np.floor(reach - centre) - low + 1, 0).astype(np.int64)
        end = np.cumsum(count)
        line = np.repeat(np.arange(len(count)), count)
        shift = np.arange(len(line)) + (low - (end - count)).take(line)
        squared = squared.take(line) + (offset.take(line) + shift * spacing.take(line)) ** 2
        pair, shifts = pair.take(line), [*(one.take(line) for one in shifts), shift]
        if axis < 2:
            moved = [*(one.take(line) for one in moved), ahead.take(line) + shift]
            lowest = np.where(shift == 0, lowest.take(line), -np.inf)
    return pair, squared, shifts


def _triangular(lattices: np.ndarray) -> np.ndarray:
    """[3, 3, N]: coordinate x of vector k at [k, x], in axes of which c is along the last and b in the last two."""
    vectors = np.zeros((3, 3, len(lattices)))
    units: list[tuple[int, np.ndarray]] = []
    for axis in (2, 1, 0):  # Gram-Schmidt for all at once; a QR factorisation each takes longer
        rest = lattices[:, axis]
        for before, unit in units:
            vectors[axis, before] = np.einsum("nx,nx->n", rest, unit)
            rest = rest - vectors[axis, before][:, None] * unit
        vectors[axis, axis] = np.linalg.norm(rest, axis=1)
        units.append((axis, rest / vectors[axis, axis][:, None]))
    return vectors


def _pairs_of_atoms(n_atoms: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of first and second atom, first <= second, and the structure [D] each."""
    owner = np.repeat(np.arange(len(n_atoms)), n_atoms)
    atom = np.arange(len(owner))
    count = np.cumsum(n_atoms)[owner] - atom
    first = np.repeat(atom, count)
    second = np.arange(len(first)) - np.repeat(np.cumsum(count) - count - atom, count)
    return first, second, owner[first]
