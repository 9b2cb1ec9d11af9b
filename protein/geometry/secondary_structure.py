"""Secondary structure from coordinates by backbone hydrogen bonds.

Kabsch & Sander, Biopolymers 22, 2577 (1983), doi:10.1002/bip.360221211, in the version that prefers pi helices over
alpha helices where both are possible (Touw et al., Nucleic Acids Res. 43, D364 (2015), doi:10.1093/nar/gku1028).
Shapes: N residues of one chain.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from protein.data.states import THREE_STATES

COUPLING = 0.42 * 0.20 * 332
"""kcal/mol Å: charges of C=O and N-H, in electrons, and the conversion of units."""

BOND_KCAL = -0.5
"""A hydrogen bond is more stable than this."""

NEAREST_A = 0.5
"""Atoms closer than this count as bonded as strongly as can be."""

LOWEST_KCAL = -9.9
FARTHEST_CA_A = 9.0
PEPTIDE_BOND_A = 2.5
"""A C-N distance above this is a break of the chain."""

BEND_DEGREES = 70.0
PARALLEL, ANTIPARALLEL = 1, -1


class Ladder(NamedTuple):
    """Consecutive bridges of one kind: residues i and their partners j, both in the order of i."""

    kind: int
    i: tuple[int, ...]
    j: tuple[int, ...]


def assign(backbone: np.ndarray, is_proline: np.ndarray) -> str:
    """One letter of `data.states.STATES` for each residue.

    backbone    [N, 4, 3] N, CA, C, O in Å; NaN where missing: such a residue is C, and the chain is broken there
    is_proline  [N] bool, residues without an amide hydrogen
    """
    known = np.asarray(np.isfinite(backbone).all((1, 2)))
    atoms = np.where(known[:, None, None], backbone, 0.0).astype(np.float64)
    gaps = np.linalg.norm(atoms[1:, 0] - atoms[:-1, 2], axis=-1) > PEPTIDE_BOND_A
    segment = np.concatenate([[0], np.cumsum(gaps | ~known[1:] | ~known[:-1])])
    bonds = hydrogen_bonds(atoms, is_proline, segment, known)
    states = np.full(len(atoms), "C")
    _mark_bends(states, atoms[:, 1], segment)
    turns = {n: _turns(bonds, segment, n) for n in (3, 4, 5)}
    for n, starts in turns.items():
        for i in np.flatnonzero(starts):
            states[i + 1 : i + n] = "T"
    marked = np.full(len(atoms), "C")  # of strands and helices
    _mark_strands(marked, _ladders(_bridges(bonds, segment)))
    for n, state, over in ((4, "H", "HBEC"), (3, "G", "GC"), (5, "I", "IHC")):
        for i in np.flatnonzero(turns[n][1:] & turns[n][:-1]) + 1:
            if n == 4 or np.isin(marked[i : i + n], list(over)).all():
                marked[i : i + n] = state
    return "".join(np.where(marked != "C", marked, states))


def to_three_states(states: str) -> str:
    """H (helices), E (strands and bridges) and C (the rest)."""
    return "".join(THREE_STATES[state] for state in states)


def hydrogen_bonds(atoms: np.ndarray, is_proline: np.ndarray, segment: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[N, N] bool: the N-H of the row's residue is bonded to the C=O of the column's.

    The hydrogen lies 1 Å from N, opposite to the C=O before it. Of each N-H the two strongest bonds count.
    """
    n, ca, c, o = (atoms[:, column] for column in range(4))
    follows = np.concatenate([[False], segment[1:] == segment[:-1]])
    carbonyl = np.roll(c - o, 1, axis=0)
    h = n + carbonyl / np.maximum(np.linalg.norm(carbonyl, axis=-1, keepdims=True), NEAREST_A)

    def distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.linalg.norm(first[:, None] - second[None], axis=-1)

    apart = [distance(n, o), distance(h, c), distance(h, o), distance(n, c)]
    with np.errstate(divide="ignore", invalid="ignore"):
        energy = COUPLING * (1 / apart[0] + 1 / apart[1] - 1 / apart[2] - 1 / apart[3])
    energy = np.where(np.min(apart, axis=0) < NEAREST_A, LOWEST_KCAL, np.maximum(energy, LOWEST_KCAL))
    donor = follows & known & ~is_proline
    allowed = donor[:, None] & known & (distance(ca, ca) < FARTHEST_CA_A)
    own, before = np.arange(len(n)), np.arange(1, len(n))
    allowed[own, own] = False
    allowed[before, before - 1] = False  # its own peptide bond
    energy = np.where(allowed, np.round(energy, 3), 0.0)
    if len(n) > 2:
        energy[energy > np.partition(energy, 1, axis=1)[:, 1:2]] = 0.0
    return energy < BOND_KCAL


def _turns(bonds: np.ndarray, segment: np.ndarray, n: int) -> np.ndarray:
    """[N] bool: an n-turn begins here, C=O of i bonded to N-H of i + n."""
    starts = np.zeros(len(bonds), bool)
    if len(bonds) > n:
        starts[:-n] = np.diagonal(bonds, -n) & (segment[n:] == segment[:-n])
    return starts


def _mark_bends(states: np.ndarray, ca: np.ndarray, segment: np.ndarray) -> None:
    if len(ca) < 5:
        return
    before, after = ca[2:-2] - ca[:-4], ca[4:] - ca[2:-2]
    length = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
    cosine = (before * after).sum(-1) / np.maximum(length, NEAREST_A)
    bent = (cosine < np.cos(np.radians(BEND_DEGREES))) & (segment[4:] == segment[:-4])
    states[2:-2][bent] = "S"


def _bridges(bonds: np.ndarray, segment: np.ndarray) -> list[tuple[int, int, int]]:
    """(i, j, kind) with i + 2 < j, in order."""
    inner = np.zeros(len(bonds), bool)
    inner[1:-1] = segment[2:] == segment[:-2]

    def bonded(donor: int, acceptor: int) -> np.ndarray:
        """[N, N], of i and j: N-H of the one shifted by `donor` to C=O of the other shifted by `acceptor`."""
        return np.roll(bonds, (-donor, -acceptor), (0, 1))

    parallel = (bonded(1, 0) & bonded(0, -1).T) | (bonded(1, 0).T & bonded(0, -1))
    antiparallel = (bonded(1, -1) & bonded(1, -1).T) | (bonds & bonds.T)
    apart = np.arange(len(bonds)) - np.arange(len(bonds))[:, None] > 2
    possible = apart & inner[:, None] & inner
    kinds = np.where(parallel, PARALLEL, np.where(antiparallel, ANTIPARALLEL, 0)) * possible
    return [(int(i), int(j), int(kinds[i, j])) for i, j in zip(*np.nonzero(kinds), strict=True)]


def _ladders(bridges: list[tuple[int, int, int]]) -> list[Ladder]:
    """Bridges that continue one another, then ladders joined over a bulge: one extra residue on one strand, up to four
    on the other."""
    ladders: list[Ladder] = []
    for i, j, kind in bridges:
        for place, ladder in enumerate(ladders):
            if (ladder.kind, ladder.i[-1] + 1, ladder.j[-1] + kind) == (kind, i, j):
                ladders[place] = Ladder(kind, (*ladder.i, i), (*ladder.j, j))
                break
        else:
            ladders.append(Ladder(kind, (i,), (j,)))
    ladders.sort(key=lambda ladder: ladder.i[0])
    joined: list[Ladder] = []
    for ladder in ladders:
        for place, first in enumerate(joined):
            if _bulge(first, ladder):
                joined[place] = Ladder(first.kind, first.i + ladder.i, first.j + ladder.j)
                break
        else:
            joined.append(ladder)
    return joined


def _bulge(first: Ladder, second: Ladder) -> bool:
    if first.kind != second.kind:
        return False
    along = second.i[0] - first.i[-1]
    across = (second.j[0] - first.j[-1]) * first.kind
    return 0 < along < 6 and 0 < across < 6 and min(along, across) < 3


def _mark_strands(marked: np.ndarray, ladders: list[Ladder]) -> None:
    for ladder in ladders:
        for strand in (ladder.i, ladder.j):
            if len(strand) == 1:
                if marked[strand[0]] != "E":
                    marked[strand[0]] = "B"
                continue
            for one, other in pairwise(strand):
                marked[min(one, other) : max(one, other) + 1] = "E"
