"""The spherical harmonic transform against torch-harmonics and against its own definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_harmonics

from common.app.errors import ConfigError
from weather.models.sphere.legendre import legendre, legendre_gradient, quadrature
from weather.models.sphere.spherical_transform import SphericalTransform

PEER = {"gaussian": "legendre-gauss", "equiangular_with_poles": "equiangular"}


@pytest.mark.parametrize("height", [10, 11])
@pytest.mark.parametrize("grid, degree", [("gaussian", 2), ("equiangular", 1), ("equiangular_with_poles", 1)])
def test_quadrature_is_exact_up_to_its_degree(grid, degree, height):
    x, weights = quadrature(grid, height)
    assert (np.diff(x) > 0).all() and (weights > 0).all()
    for power in range(degree * height):
        assert weights @ x**power == pytest.approx((1 + (-1) ** power) / (power + 1), abs=1e-14)


def test_legendre_functions_are_orthonormal():
    x, weights = quadrature("gaussian", 40)
    table = legendre(x, 40, 40)
    for order in (0, 1, 7, 39):
        gram = 2 * np.pi * (table[order, order:] * weights) @ table[order, order:].T
        assert np.abs(gram - np.eye(40 - order)).max() < 1e-12
        assert not table[order, :order].any()


def test_gradient_tables_are_derivatives():
    x, _ = quadrature("gaussian", 12)
    latitude, step = np.arcsin(x), 1e-6
    by_latitude, over_cosine = legendre_gradient(x, 9, 9)
    ahead, behind = (legendre(np.sin(latitude + sign * step), 9, 9) for sign in (1, -1))
    assert np.abs(by_latitude - (ahead - behind) / (2 * step)).max() < 1e-7
    order = np.arange(9)[:, None, None]
    assert np.abs(over_cosine - order * legendre(x, 9, 9) / np.cos(latitude)).max() < 1e-11


@pytest.mark.parametrize("grid", PEER)
@pytest.mark.parametrize("height, width, degrees, orders", [(16, 32, 16, 16), (15, 30, 9, 5), (33, 64, 33, 32)])
def test_equals_torch_harmonics(grid, height, width, degrees, orders):
    """Which stores latitudes from north to south."""
    torch.manual_seed(0)
    field = torch.randn(2, 3, height, width, dtype=torch.float64)
    ours = SphericalTransform(height, width, grid, degrees, orders, dtype=torch.float64)
    sizes = {"nlat": height, "nlon": width, "lmax": degrees, "mmax": orders, "grid": PEER[grid]}
    expected = torch_harmonics.RealSHT(**sizes)(field.flip(-2))
    assert torch.allclose(ours.analyse(field), expected, rtol=0, atol=1e-13)
    back = torch_harmonics.InverseRealSHT(**sizes)(expected.clone()).flip(-2)
    assert torch.allclose(ours.synthesise(expected), back, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "grid, degrees, dtype, tolerance",
    [
        ("gaussian", 24, torch.float64, 1e-13),
        ("gaussian", 24, torch.float32, 1e-5),
        ("equiangular", 12, torch.float64, 1e-13),
        ("equiangular_with_poles", 12, torch.float64, 1e-13),
    ],
)
def test_round_trip_returns_the_coefficients(grid, degrees, dtype, tolerance):
    torch.manual_seed(0)
    transform = SphericalTransform(24, 48, grid, degrees, dtype=dtype)
    coefficients = torch.randn(2, degrees, degrees, dtype=transform.analyse(torch.zeros(24, 48)).dtype).tril()
    coefficients[..., 0].imag = 0
    found = transform.analyse(transform.synthesise(coefficients))
    assert (found - coefficients).abs().max() < tolerance


@pytest.mark.parametrize("height, width, degrees, orders", [(7, 10, 5, 3), (12, 24, 12, 12)])
def test_gradients(height, width, degrees, orders):
    torch.manual_seed(0)
    transform = SphericalTransform(height, width, "equiangular", degrees, orders, dtype=torch.float64)
    field = torch.randn(height, width, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(transform.analyse_columns, field, fast_mode=True)
    assert torch.autograd.gradgradcheck(transform.analyse_columns, field, fast_mode=True)
    coefficients = torch.randn(degrees, orders, 2, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(transform.synthesise_columns, coefficients, fast_mode=True)


def test_turning_a_field_turns_the_phase_of_its_orders():
    torch.manual_seed(0)
    transform = SphericalTransform(12, 24, "gaussian", dtype=torch.float64)
    field = torch.randn(12, 24, dtype=torch.float64)
    phase = torch.exp(-2j * torch.pi * 5 / 24 * torch.arange(12))
    assert torch.allclose(transform.analyse(field.roll(5, -1)), transform.analyse(field) * phase, atol=1e-13)


def test_says_what_a_grid_cannot_carry():
    with pytest.raises(ConfigError, match="40 degrees and 32 orders on 32 latitudes"):
        SphericalTransform(32, 64, "gaussian", 40)
    with pytest.raises(ConfigError, match="unknown grid 'lobatto'"):
        SphericalTransform(32, 64, "lobatto")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"\[\.\.\., 32, 64\]"):
        SphericalTransform(32, 64, "gaussian").analyse(torch.zeros(64, 32))
