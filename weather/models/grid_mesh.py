"""The graphs between a latitude-longitude grid and an icosahedral mesh, Lam et al. 2022, arXiv:2212.12794.

Grid points send to the mesh vertices within a radius, vertices to their neighbours on every level of refinement, and
the corners of the face under a grid point send back to it. Of a mesh only what lies near the grid is kept: all of it
for a globe; for a region its vertices and whatever edges, short or long, have both ends among them.

Shapes: G grid points, latitude by latitude; V mesh vertices, E edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from common.app.errors import ConfigError
from weather.models.icosahedron import IcosahedralMesh, directed_edges, icosahedral_mesh


@dataclass(frozen=True, eq=False)
class Edges:
    """Sorted by receiver.

    senders, receivers   [E] int64
    features             [E, 4] float32: length and relative position upwards, eastwards, northwards as seen by the
                         receiver, in units of the longest edge
    """

    senders: np.ndarray
    receivers: np.ndarray
    features: np.ndarray


@dataclass(frozen=True, eq=False)
class GridMesh:
    """
    grid, mesh     [G, 3], [V, 3] float32: sine of latitude, cosine and sine of longitude
    mesh_to_grid   has three edges for each grid point
    """

    grid: np.ndarray
    mesh: np.ndarray
    grid_to_mesh: Edges
    within_mesh: Edges
    mesh_to_grid: Edges


class _Points(NamedTuple):
    """Points on the unit sphere [., 3] float32 with longitudes [.] in radians, which at a pole only the grid knows."""

    position: np.ndarray
    longitude: np.ndarray

    @property
    def features(self) -> np.ndarray:
        columns = self.position[:, 2], np.cos(self.longitude), np.sin(self.longitude)
        return np.stack(columns, axis=1).astype(np.float32)

    @property
    def axes(self) -> np.ndarray:
        """Unit vectors upwards, eastwards and northwards at each point, [., 3, 3] float64."""
        up, longitude = self.position.astype(np.float64), self.longitude.astype(np.float64)
        east = np.stack([-np.sin(longitude), np.cos(longitude), np.zeros(len(up))], axis=1)
        return np.stack([up, east, np.cross(up, east)], axis=1)


def grid_mesh(
    latitudes: Sequence[float],
    longitudes: Sequence[float],
    refinements: int,
    radius: float = 0.6,
    margin: float = 2.0,
    mesh_to_grid_unit: float | None = None,
) -> GridMesh:
    """The graphs of a grid of latitudes [H] and longitudes [W] in degrees.

    radius              within which grid points send to a vertex, in longest edges of the finest mesh; from 0.58 on
                        every point of the sphere has a vertex within it
    margin              how far beyond the outermost grid points the mesh reaches, beside one step of the grid, in
                        longest edges of the finest mesh; at least 1, so that no face under a grid point is cut
    mesh_to_grid_unit   chord that mesh-to-grid features are divided by; by default the longest of those edges

    Raises ConfigError for a margin below 1 and where a grid point reaches no vertex.
    """
    if margin < 1 or refinements < 0:
        raise ConfigError(
            f"a mesh of {refinements} refinements with a margin of {margin:g} edges: expected no negative number of "
            "refinements and a margin of at least 1"
        )
    mesh, grid = icosahedral_mesh(refinements), _grid_points(latitudes, longitudes)
    reach = margin * mesh.longest_edge + _largest_step(latitudes, longitudes)
    kept = KDTree(grid.position).query(mesh.vertices)[0] <= reach
    index = np.where(kept, np.cumsum(kept) - 1, -1)
    near = _within(radius * mesh.longest_edge, grid.position, mesh.vertices[kept])
    vertices = _mesh_points(mesh.vertices[kept])
    starts, ends = (np.concatenate(part) for part in zip(*map(directed_edges, mesh.levels), strict=True))
    inside = kept[starts] & kept[ends]
    corners = index[mesh.faces[_face_under(grid.position, mesh)]]
    return GridMesh(
        grid.features,
        vertices.features,
        _edges(*near, grid, vertices),
        _edges(index[starts[inside]], index[ends[inside]], vertices, vertices),
        _edges(corners.reshape(-1), np.repeat(np.arange(len(corners)), 3), vertices, grid, mesh_to_grid_unit),
    )


def _grid_points(latitudes: Sequence[float], longitudes: Sequence[float]) -> _Points:
    axes = np.asarray(latitudes, np.float32), np.asarray(longitudes, np.float32)
    latitude, longitude = (axis.reshape(-1) for axis in np.meshgrid(*axes, indexing="ij"))
    return _points(latitude, longitude)


def _mesh_points(vertices: np.ndarray) -> _Points:
    x, y, z = vertices.T
    return _points(90 - np.rad2deg(np.arccos(z)), np.rad2deg(np.arctan2(y, x)) % 360)


def _points(latitude: np.ndarray, longitude: np.ndarray) -> _Points:
    """Of float32 degrees, in float32: with the rounding that published weights were trained with."""
    colatitude, longitude = np.deg2rad(90 - latitude), np.deg2rad(longitude)
    x, y = np.cos(longitude) * np.sin(colatitude), np.sin(longitude) * np.sin(colatitude)
    return _Points(np.stack([x, y, np.cos(colatitude)], axis=1), longitude)


def _within(radius: float, points: np.ndarray, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points and the vertices within the radius of each, [E] and [E]."""
    near = KDTree(vertices).query_ball_point(points, radius)
    degrees = np.array([len(found) for found in near])
    if not degrees.all():
        raise ConfigError(
            f"{int((degrees == 0).sum())} of {len(degrees)} grid points have no vertex of the mesh within a chord of "
            f"{radius:.3g}; choose a radius of at least 0.58 edges"
        )
    return np.repeat(np.arange(len(degrees)), degrees), np.concatenate(near).astype(np.int64)


def _largest_step(latitudes: Sequence[float], longitudes: Sequence[float]) -> float:
    """In radians: farther from all grid points lies nothing that a grid point stands for."""
    return float(np.deg2rad(max(np.abs(np.diff(latitudes)).max(), np.abs(np.diff(longitudes)).max())))


def _face_under(points: np.ndarray, mesh: IcosahedralMesh) -> np.ndarray:
    """The face of a mesh nearest to each point, [G]: of those around its nearest vertex the one it is highest above."""
    faces, corners = mesh.faces, mesh.vertices[mesh.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offsets = (normals * corners[:, 0]).sum(1)
    # Five or six faces around each vertex; the first fills the sixth place of the twelve with five.
    order = np.argsort(faces.reshape(-1), kind="stable")
    count = np.bincount(faces.reshape(-1))
    first = np.cumsum(count) - count
    slot = np.arange(6)
    around = order[first[:, None] + np.where(slot < count[:, None], slot, 0)] // 3
    candidates = around[KDTree(mesh.vertices).query(points)[1]]
    height = np.einsum("gfi,gi->gf", normals[candidates], points.astype(np.float64)) - offsets[candidates]
    return np.take_along_axis(candidates, height.argmax(1)[:, None], axis=1)[:, 0]


def _edges(
    senders: np.ndarray, receivers: np.ndarray, sent: _Points, received: _Points, unit: float | None = None
) -> Edges:
    order = np.lexsort((senders, receivers))
    senders, receivers = senders[order], receivers[order]
    offset = sent.position[senders].astype(np.float64) - received.position[receivers]
    relative = np.einsum("eij,ej->ei", received.axes[receivers], offset)
    features = np.concatenate([np.linalg.norm(relative, axis=1, keepdims=True), relative], axis=1)
    return Edges(senders, receivers, (features / (unit or features[:, 0].max())).astype(np.float32))
