"""Refined icosahedra: nearly even triangulations of the sphere, each containing the vertices of all coarser ones.

V = 10 * 4 ^ r + 2 vertices, F = 20 * 4 ^ r faces after r refinements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

GOLDEN_RATIO = (1 + 5**0.5) / 2


@dataclass(frozen=True, eq=False)
class IcosahedralMesh:
    """
    vertices   [V, 3] float32 on the unit sphere; the z axis points north, the x axis to longitude 0
    levels     [F, 3] faces of every refinement, the icosahedron itself first; counter-clockwise from outside
    """

    vertices: np.ndarray
    levels: tuple[np.ndarray, ...]

    @property
    def faces(self) -> np.ndarray:
        """[F, 3] of the finest level."""
        return self.levels[-1]

    @cached_property
    def longest_edge(self) -> float:
        """Chord of the finest level's longest edge."""
        senders, receivers = directed_edges(self.faces)
        return float(np.linalg.norm(self.vertices[senders] - self.vertices[receivers], axis=1).max())


def icosahedral_mesh(refinements: int) -> IcosahedralMesh:
    """The icosahedron with a face around each pole and a vertex on the prime meridian, refined.

    Positions are rounded to float32 at every level, as those that published weights were trained with: on which side
    of an edge a point on that edge falls depends on it.
    """
    vertices, faces = _icosahedron()
    levels = [faces]
    for _ in range(refinements):
        vertices, faces = _refined(vertices, faces)
        levels.append(faces)
    return IcosahedralMesh(vertices, tuple(levels))


def directed_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Senders and receivers [3 F] around each face; a closed mesh has every edge once in each direction."""
    return faces.T.reshape(-1), np.roll(faces, -1, axis=1).T.reshape(-1)


def _icosahedron() -> tuple[np.ndarray, np.ndarray]:
    # Cyclic permutations of (+-1, +-golden ratio, 0), turned about the y axis until a face is level.
    corners = np.array([(a, b, 0) for a in (1, -1) for b in (GOLDEN_RATIO, -GOLDEN_RATIO)])
    corners = np.concatenate([np.roll(corners, shift, axis=1) for shift in range(3)])
    corners = (corners / np.hypot(1, GOLDEN_RATIO)).astype(np.float32)
    angle = np.pi / 2 - np.arcsin(GOLDEN_RATIO / np.sqrt(3))
    turn = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    vertices = (corners @ np.array(turn)).astype(np.float32)
    near = vertices @ vertices.T > 0.4  # neighbours: 1 / sqrt(5); others: -1 / sqrt(5)
    triples = [triple for triple in combinations(range(12), 3) if all(near[i, j] for i, j in combinations(triple, 2))]
    faces = np.array(triples)
    inwards = np.linalg.det(vertices[faces]) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    return vertices, faces


def _refined(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each face into four, over the middles of its edges pushed out to the sphere."""
    starts, ends = directed_edges(faces)
    edges, place = np.unique(np.sort(np.stack([starts, ends], axis=1), axis=1), axis=0, return_inverse=True)
    middles = vertices[edges].mean(axis=1)
    middles /= np.sqrt(np.vecdot(middles, middles))[:, None]
    a, b, c = faces.T
    ab, bc, ca = (place + len(vertices)).reshape(3, -1)
    children = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.concatenate([vertices, middles]), np.stack(children, axis=1).transpose(2, 1, 0).reshape(-1, 3)
