"""The environments of atoms and bonds that directed message passing tells apart, each listed once.

After t steps the message of a directed bond depends on nothing but the atoms and bonds within t bonds behind it [1].
Molecules share most of these environments: 64 drug-like molecules have about 3,700 directed bonds, but only some 80
different ones at t = 0 and 400 at t = 1. Equal environments have equal messages, so that a network computes one for
each and nothing is lost. Colour refinement [2] finds them, as Morgan's algorithm does for fingerprints [3].

[1] Yang et al., doi:10.1021/acs.jcim.9b00237
[2] Weisfeiler & Leman, Nauchno-Technicheskaya Informatsia 2(9), 12 (1968)
[3] Rogers & Hahn, doi:10.1021/ci100050t

Shapes: N molecules, A atoms, D directed bonds of all molecules behind one another, C environments of a level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from materials.data.molecular_graphs import MolecularGraphs, atom_features, bond_features
from materials.data.symmetry import mixed


@dataclass(frozen=True, eq=False)
class Level:
    """The environments of one radius, each by its kind and by those of the next smaller radius that reach it.

    kind      [C]  int64: row of `Environments.bond_kinds`, or of `atom_kinds` in the last level
    counts    [C]  int64: how many smaller environments reach it
    children  [sum counts]  int64: which, as indices into the level below
    """

    kind: np.ndarray
    counts: np.ndarray
    children: np.ndarray


@dataclass(frozen=True, eq=False)
class Environments:
    """All environments of N molecules, up to `depth` bonds.

    n_atoms     [N]
    atoms       [A] int64: environment of each atom, an index into the last level
    levels      depth + 1 levels: 0 .. depth - 1 of directed bonds, the last of atoms; level 0 has no children
    bond_kinds  [K, 86] float32: features of a directed bond's first atom and of the bond
    atom_kinds  [K', 72] float32: features of an atom
    """

    n_atoms: np.ndarray
    atoms: np.ndarray
    levels: list[Level]
    bond_kinds: np.ndarray
    atom_kinds: np.ndarray

    @classmethod
    def of(cls, graphs: MolecularGraphs, depth: int) -> Environments:
        """Environments are told apart by a 64-bit hash: of a million, two fall together with probability 3e-8."""
        source, target = _directed(graphs)
        incoming = _Incoming(source, target, len(graphs.atom_codes))
        atom_kind, atom_rows = _distinct(_atom_key(graphs))
        bond_kind, bond_rows = _distinct(_bond_key(graphs, atom_kind[source]))
        features = atom_features(graphs.atom_codes[atom_rows], graphs.masses[atom_rows])
        of_bond = bond_features(graphs.bond_codes[bond_rows // 2])
        bond_kinds = np.concatenate([features[atom_kind[source[bond_rows]]], of_bond], axis=1)

        state = bond_kind
        none = np.zeros(0, np.int64)
        levels = [Level(np.arange(len(bond_rows)), np.zeros(len(bond_rows), np.int64), none)]
        for _ in range(1, depth):
            state, level = incoming.refine_bonds(bond_kind, state)
            levels.append(level)
        atoms, level = incoming.refine_atoms(atom_kind, state)
        return cls(graphs.n_atoms, atoms, [*levels, level], bond_kinds, features)


class _Incoming:
    """The directed bonds that point to each atom."""

    def __init__(self, source: np.ndarray, target: np.ndarray, atoms: int) -> None:
        self.source, self.target = source, target
        self.order = np.argsort(target, kind="stable")
        self.counts = np.bincount(target, minlength=atoms)
        self.first = np.cumsum(self.counts) - self.counts

    def refine_atoms(self, kind: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, Level]:
        """Atoms that agree in kind and in what reaches them."""
        number, rows = _distinct(_hash(kind) + self._sum(state))
        bonds, counts = self._bonds_into(rows)
        return number, Level(kind[rows], counts, state[bonds])

    def refine_bonds(self, kind: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, Level]:
        """Directed bonds that agree in kind and in what reaches their first atom, their own reverse left out."""
        reverse = np.arange(len(state)) ^ 1
        number, rows = _distinct(_hash(kind) + self._sum(state)[self.source] - _marked(state)[reverse])
        bonds, counts = self._bonds_into(self.source[rows])
        kept = bonds != np.repeat(reverse[rows], counts)
        return number, Level(kind[rows], counts - 1, state[bonds[kept]])

    def _sum(self, state: np.ndarray) -> np.ndarray:
        """Sum over the bonds into each atom [A] of the hash of their state; equal for equal multisets."""
        total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_marked(state)[self.order], dtype=np.uint64)])
        return total[self.first + self.counts] - total[self.first]

    def _bonds_into(self, atoms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        counts = self.counts[atoms]
        start = np.cumsum(counts) - counts
        place = np.arange(counts.sum()) + np.repeat(self.first[atoms] - start, counts)
        return self.order[place], counts


def _directed(graphs: MolecularGraphs) -> tuple[np.ndarray, np.ndarray]:
    """First and last atom of each directed bond, counted over all molecules; 2p and 2p + 1 are bond p both ways."""
    offset = np.repeat(np.cumsum(graphs.n_atoms) - graphs.n_atoms, graphs.n_bonds)
    ends = graphs.ends + offset[:, None]
    return ends.reshape(-1), ends[:, ::-1].reshape(-1)


def _atom_key(graphs: MolecularGraphs) -> np.ndarray:
    codes = np.zeros((len(graphs.masses), 8), np.uint8)
    codes[:, : graphs.atom_codes.shape[1]] = graphs.atom_codes
    return _hash(codes.view(np.uint64)[:, 0]) + graphs.masses.view(np.uint32)


def _bond_key(graphs: MolecularGraphs, kind: np.ndarray) -> np.ndarray:
    codes = np.repeat(np.ascontiguousarray(graphs.bond_codes).view(np.uint32)[:, 0], 2)
    return _hash(kind) + codes


def _distinct(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each key among the distinct ones, and a place where each of those occurs."""
    _, rows, number = np.unique(mixed(key), return_index=True, return_inverse=True)
    return number, rows


def _hash(values: np.ndarray) -> np.ndarray:
    return mixed(values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))


def _marked(state: np.ndarray) -> np.ndarray:
    """A hash unrelated to `_hash`: what reaches an environment must not be taken for what it is."""
    return mixed(state.astype(np.uint64) + np.uint64(0xC2B2AE3D27D4EB4F))
