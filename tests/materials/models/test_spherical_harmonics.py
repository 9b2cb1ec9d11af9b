"""Harmonics against their formula and their orthogonality; products on the sphere against the exact integral."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from materials.models.ace import ACEConfig, Layer
from materials.models.spherical_harmonics import SphericalHarmonics, real_harmonics, sphere_points


def directions(count: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_polynomials_are_the_textbook_harmonics():
    points = directions(50)
    found = SphericalHarmonics(5)(torch.tensor(points))
    np.testing.assert_allclose(found, real_harmonics(5, points), atol=1e-12)


def test_harmonics_are_orthonormal_in_the_mean_over_the_sphere():
    points, weights = sphere_points(8)
    values = real_harmonics(4, points)
    np.testing.assert_allclose(values.T @ (weights[:, None] * values), np.eye(25), atol=1e-12)


def test_first_degree_is_the_direction():
    points = directions(5)
    np.testing.assert_allclose(real_harmonics(1, points)[:, 1:] / 3**0.5, points[:, [1, 2, 0]], atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_invariants_do_not_change_under_rotation_or_inversion(seed):
    """Densities of random neighbours on the sphere, turned: every product of them stays."""
    torch.manual_seed(seed)
    layer = Layer(ACEConfig((1, 6), (0.0, 0.0), width=5, hidden=4), 2, 2).double()
    points = directions(6, seed)
    turned = -points @ Rotation.random(rng=seed).as_matrix()
    radial = torch.randn(6, 16, dtype=torch.float64)
    one, other = (SphericalHarmonics(3)(torch.tensor(p)).T @ radial for p in (points, turned))
    species = torch.tensor([1])
    torch.testing.assert_close(layer.invariants(one[None], species), layer.invariants(other[None], species))


def test_the_square_of_a_density_is_its_square():
    """Degrees 0-3 of f^2 by the layer's points against a far finer rule."""
    layer = Layer(ACEConfig((1,), (0.0,)), 1, 1)
    coefficients = torch.randn(16, 7, dtype=torch.float64)
    found = layer.project @ (layer.grid @ coefficients).square()
    points, weights = sphere_points(40)
    harmonics = torch.tensor(real_harmonics(3, points))
    expected = harmonics.T @ (torch.tensor(weights)[:, None] * (harmonics @ coefficients).square())
    torch.testing.assert_close(found, expected)
