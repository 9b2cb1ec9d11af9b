"""Atoms that no network over the graph can tell apart, and one node for all of them.

Two atoms get the same state from every message-passing network if they are of one element and their neighbours
agree in distance and, again, in state. Colour refinement finds these classes [1]; that no message passing
distinguishes more is shown in [2]. Crystals are full of them: all atoms of one crystallographic orbit, and all
copies in a supercell. A node with a multiplicity stands for each class, as the asymmetric unit does in [3].

[1] Weisfeiler & Leman, Nauchno-Technicheskaya Informatsia 2(9), 12 (1968)
[2] Xu et al., arXiv:1810.00826
[3] Ruff et al., arXiv:2302.14102

Shapes: V nodes of all structures behind one another, K neighbours of a node.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from materials.data.graphs import CrystalGraphs

TOLERANCE_A = 1e-3
"""Distances of one structure that differ by less may count as equal."""

GAP = 0.1
"""Part of the tolerance by which a distance must exceed the next smaller one to begin a new shell."""

MAX_ROUNDS = 32


def distance_shells(distances: np.ndarray, structure: np.ndarray, tolerance_a: float = TOLERANCE_A) -> np.ndarray:
    """Number each distance by its shell, [P], [P] -> [P] int64: 0 for the shortest distances of its structure.

    A shell ends where the next larger distance is more than a tenth of the tolerance away: unlike rounding, this
    does not part equal distances that noise puts on two sides of a rounding boundary. A shell wider than the
    tolerance is cut into pieces of that width. Infinite distances (no neighbour) have a shell of their own.
    """
    exact = np.ascontiguousarray(distances, np.float32)
    # Positive floats are ordered as their bits are, so that one sort of integers orders (structure, distance).
    order = np.argsort((structure.astype(np.int64) << 32) | exact.view(np.int32))
    ordered, owner = exact[order], structure[order]
    with np.errstate(invalid="ignore"):
        apart = np.diff(ordered) > GAP * tolerance_a
    opens = np.diff(owner, prepend=-1) != 0
    begins = opens.copy()
    begins[1:] |= apart
    lowest = ordered[begins][np.cumsum(begins) - 1]
    with np.errstate(invalid="ignore"):
        piece = np.nan_to_num((ordered - lowest) / tolerance_a).astype(np.int64)
    begins[1:] |= np.diff(piece) != 0
    number = np.cumsum(begins)
    shells = np.empty(len(order), np.int64)
    shells[order] = number - number[opens][np.cumsum(opens) - 1]
    return shells


def equivalence_classes(
    numbers: np.ndarray, neighbours: np.ndarray, shells: np.ndarray, structure: np.ndarray
) -> np.ndarray:
    """Colour refinement until it is stable: [V], [V, K] (counted through all structures), [V, K], [V] -> [V].

    Nodes of one class have the same element and the same multiset of (shell, class) of their neighbours.
    """
    edge = mixed(shells.astype(np.uint64) + np.uint64(1))
    colour = mixed(structure.astype(np.uint64) << np.uint64(8) | numbers.astype(np.uint64))
    classes, found = np.unique(colour, return_inverse=True)[1], 0
    for _ in range(MAX_ROUNDS):
        if classes.max(initial=-1) + 1 == found:
            break
        found = classes.max() + 1
        # A sum of well-mixed 64-bit numbers identifies a multiset.
        colour = mixed(colour + mixed(colour[neighbours] ^ edge).sum(axis=1, dtype=np.uint64))
        classes = np.unique(colour, return_inverse=True)[1]
    return classes


def equivalent_nodes(graphs: CrystalGraphs, tolerance_a: float = TOLERANCE_A) -> np.ndarray:
    """The class of each node of each graph, [V] int64, classes numbered by their first node."""
    structure = np.repeat(np.arange(len(graphs)), graphs.n_nodes)
    neighbours = graphs.neighbours + _starts(graphs.n_nodes)[structure, None]
    owner = np.repeat(structure, neighbours.shape[1])
    shells = distance_shells(graphs.distances.ravel(), owner, tolerance_a).reshape(neighbours.shape)
    _, first, classes = np.unique(
        equivalence_classes(graphs.numbers, neighbours, shells, structure), return_index=True, return_inverse=True
    )
    return np.argsort(np.argsort(first))[classes]


def collapse(graphs: CrystalGraphs, tolerance_a: float = TOLERANCE_A) -> CrystalGraphs:
    """One node for each class of equivalent nodes; it keeps the edges of the class's first node.

    Networks over the result and over `graphs` agree, up to the tolerance in distance, if their readout weighs a node
    with its multiplicity.
    """
    structure = np.repeat(np.arange(len(graphs)), graphs.n_nodes)
    node = equivalent_nodes(graphs, tolerance_a)
    kept = np.unique(node, return_index=True)[1]
    n_nodes = np.bincount(structure[kept], minlength=len(graphs))
    old, new = _starts(graphs.n_nodes)[structure[kept], None], _starts(n_nodes)[structure[kept], None]
    return replace(
        graphs,
        n_nodes=n_nodes.astype(graphs.n_nodes.dtype),
        numbers=graphs.numbers[kept],
        neighbours=(node[graphs.neighbours[kept] + old] - new).astype(graphs.neighbours.dtype),
        distances=graphs.distances[kept],
        multiplicity=np.bincount(node, weights=graphs.multiplicity).astype(graphs.multiplicity.dtype),
    )


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.cumsum(counts) - counts


def mixed(values: np.ndarray) -> np.ndarray:
    """A bijection of 64-bit numbers that spreads every bit: splitmix64's finaliser, doi:10.1145/2714064.2660195."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
