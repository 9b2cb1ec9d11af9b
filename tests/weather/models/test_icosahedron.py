"""Refined icosahedra and their graphs with grids."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from common.app.errors import ConfigError
from weather.models.grid_mesh import grid_mesh
from weather.models.icosahedron import directed_edges, icosahedral_mesh

GRIDS = {
    "cells": (np.linspace(-87.1875, 87.1875, 32), np.arange(64) * 5.625),
    "poles": (np.linspace(-90, 90, 19), np.arange(36) * 10.0),
    "gaussian": (np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(16)[0])), np.arange(32) * 11.25),
    "region": (np.linspace(20, 70, 21), np.linspace(200, 300, 41)),
    "across the seam": (np.linspace(49, 60, 23), np.linspace(-11, 3, 29)),
}


def turned(points, degrees):
    """About the axis of the Earth."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


@pytest.mark.parametrize("refinements", range(5))
def test_counts_and_euler(refinements):
    mesh = icosahedral_mesh(refinements)
    senders, receivers = directed_edges(mesh.faces)
    edges = {frozenset(edge) for edge in zip(senders.tolist(), receivers.tolist(), strict=True)}
    assert len(mesh.vertices) == 10 * 4**refinements + 2
    assert len(mesh.faces) == 20 * 4**refinements
    assert len(edges) == 30 * 4**refinements and len(senders) == 2 * len(edges)
    assert len(mesh.vertices) - len(edges) + len(mesh.faces) == 2
    assert np.bincount(np.bincount(receivers)).tolist()[5:] == (
        [12] if not refinements else [12, len(mesh.vertices) - 12]
    )
    assert np.allclose(np.linalg.norm(mesh.vertices, axis=1), 1, atol=1e-6)


def test_faces_look_outwards_and_cover_the_sphere():
    mesh = icosahedral_mesh(4)
    a, b, c = mesh.vertices[mesh.faces].astype(float).transpose(1, 0, 2)
    triple = np.linalg.det(np.stack([a, b, c], axis=1))
    assert triple.min() > 0
    # Solid angle of a spherical triangle, doi:10.1109/TBME.1983.325207.
    solid = 2 * np.arctan2(triple, 1 + (a * b).sum(1) + (b * c).sum(1) + (c * a).sum(1))
    assert solid.sum() == pytest.approx(4 * np.pi, rel=1e-6)
    assert solid.max() < 2 * solid.min()


def test_each_level_contains_the_coarser_ones():
    coarse, fine = icosahedral_mesh(2), icosahedral_mesh(3)
    assert np.array_equal(fine.vertices[: len(coarse.vertices)], coarse.vertices)
    assert all(np.array_equal(one, other) for one, other in zip(coarse.levels, fine.levels[:3], strict=True))
    assert [len(b) // len(a) for a, b in pairwise(fine.levels)] == [4, 4, 4]


def test_a_face_around_each_pole_and_thirds_of_a_turn_are_symmetries():
    mesh = icosahedral_mesh(3)
    distances = np.linalg.norm(turned(mesh.vertices, 120)[:, None] - mesh.vertices, axis=2)
    assert distances.min(1).max() < 1e-6
    corners = mesh.vertices[mesh.faces].mean(1)
    assert np.abs(corners[corners[:, 2].argmax(), :2]).max() < 1e-6


@pytest.mark.parametrize("name", GRIDS)
def test_every_grid_point_is_joined_to_the_mesh(name):
    latitudes, longitudes = GRIDS[name]
    graphs, points = grid_mesh(latitudes, longitudes, 3), len(latitudes) * len(longitudes)
    assert len(graphs.grid) == points
    assert np.array_equal(np.unique(graphs.grid_to_mesh.senders), np.arange(points))
    assert np.array_equal(graphs.mesh_to_grid.receivers, np.repeat(np.arange(points), 3))
    vertices = len(graphs.mesh)
    assert vertices == 642 if name in ("cells", "poles", "gaussian") else vertices < 300
    for edges, nodes in (
        (graphs.grid_to_mesh, vertices),
        (graphs.within_mesh, vertices),
        (graphs.mesh_to_grid, points),
    ):
        assert edges.receivers.min() >= 0 and edges.receivers.max() < nodes
        assert (np.diff(edges.receivers) >= 0).all()
    assert set(zip(graphs.within_mesh.senders.tolist(), graphs.within_mesh.receivers.tolist(), strict=True)) == set(
        zip(graphs.within_mesh.receivers.tolist(), graphs.within_mesh.senders.tolist(), strict=True)
    )


def position(features):
    """Points on the sphere from sine of latitude, cosine and sine of longitude."""
    sine, cosines = features[:, :1].astype(float), features[:, 1:]
    return np.concatenate([cosines * np.sqrt(np.maximum(1 - sine**2, 0)), sine], axis=1)


@pytest.mark.parametrize("name", GRIDS)
def test_grid_points_lie_in_their_face(name):
    """By central projection, up to the sliver by which the nearest face can differ from the one on the ray."""
    graphs = grid_mesh(*GRIDS[name], 4)
    corners = position(graphs.mesh)[graphs.mesh_to_grid.senders.reshape(-1, 3)]
    weights = np.linalg.solve(corners.transpose(0, 2, 1), position(graphs.grid)[:, :, None])[:, :, 0]
    assert weights.min() > -0.01
    assert (weights < -1e-6).any(1).mean() < 0.01


def test_features_are_lengths_and_directions_seen_by_the_receiver():
    graphs = grid_mesh(*GRIDS["poles"], 2, mesh_to_grid_unit=0.5)
    for edges, sent, received, unit in (
        (graphs.mesh_to_grid, graphs.mesh, graphs.grid, 0.5),
        (graphs.within_mesh, graphs.mesh, graphs.mesh, np.sqrt(2 - 2 / np.sqrt(5))),  # the icosahedron's own edges
    ):
        sender, receiver = position(sent)[edges.senders], position(received)[edges.receivers]
        length, up, east, north = edges.features.T * unit
        assert np.allclose(length, np.linalg.norm(sender - receiver, axis=1), atol=1e-6)
        # On the unit sphere the sender lies a half of the squared chord below the receiver's horizon.
        assert np.allclose(up, -(length**2) / 2, atol=1e-6)
        assert np.allclose(length**2, up**2 + east**2 + north**2, atol=1e-6)
        # Pole to pole the way north is the one that raises the sine of latitude.
        away = np.abs(receiver[:, 2]) < 0.99
        rise = sender[:, 2] - receiver[:, 2] * (1 + up)
        assert np.allclose(rise[away], (north * np.sqrt(1 - receiver[:, 2] ** 2))[away], atol=1e-6)


def test_turning_the_grid_by_a_symmetry_of_the_mesh_turns_the_graph():
    """A third of a turn is 24 columns of 72; offset, so that no point lies on an edge."""
    latitudes, longitudes = np.linspace(-87, 88, 23), np.arange(72) * 5.0 + 1.3
    graphs = grid_mesh(latitudes, longitudes, 2)
    corners = position(graphs.mesh)[graphs.mesh_to_grid.senders].reshape(23, 72, 3, 3)
    centres = corners.mean(2)
    assert np.allclose(np.roll(centres, -24, axis=1), turned(centres, 120), atol=1e-6)


def test_says_what_does_not_fit():
    with pytest.raises(ConfigError, match="grid points have no vertex"):
        grid_mesh(*GRIDS["cells"], 2, radius=0.3)
    with pytest.raises(ConfigError, match="margin"):
        grid_mesh(*GRIDS["region"], 2, margin=0.5)
