"""The map from nodes and a function of distance to edges: what it computes, and that its transpose is its transpose."""

import pytest
import torch

from materials.models.edge_map import (
    DistanceTable,
    EdgeMap,
    GaussianExpansion,
    GroupedIndex,
    gaussian_basis,
    table_distances,
)

V, K, W, CUTOFF = 9, 5, 6, 8.0


def distances(dtype=torch.float64):
    torch.manual_seed(0)
    values = torch.rand(V, K, dtype=dtype) * CUTOFF
    values[0, :3] = torch.tensor([0.0, CUTOFF, torch.inf])
    return values


def gaussians(dtype=torch.float64):
    return GaussianExpansion(distances(dtype), 41, CUTOFF, 0.2)


def table(dtype=torch.float64):
    return DistanceTable(distances(dtype), 64, CUTOFF)


@pytest.fixture
def neighbours():
    return torch.randint(0, V, (V, K), generator=torch.Generator().manual_seed(1))


def edge_map(neighbours, radial):
    return EdgeMap(neighbours, radial, torch.arange(1, V + 1, dtype=torch.float64))


def random_parts(rows):
    torch.manual_seed(2)
    return [torch.randn(n, W, dtype=torch.float64) for n in (V, V, rows)]


def test_grouped_sum_is_the_transpose_of_a_gather():
    torch.manual_seed(0)
    index, x, y = torch.randint(0, V, (40,)), torch.randn(V, W), torch.randn(40, W)
    assert torch.allclose((x[index] * y).sum(), (x * GroupedIndex(index, V).sum(y)).sum(), rtol=1e-5)


def test_a_value_that_does_not_occur_has_the_sum_zero():
    sums = GroupedIndex(torch.tensor([0, 2, 2]), 4).sum(torch.ones(3, W))
    assert sums[:, 0].tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize("radial", [gaussians, table])
def test_edge_is_centre_plus_neighbour_plus_radial(neighbours, radial):
    radial = radial()
    centre, neighbour, rows = random_parts(radial.rows)
    x = edge_map(neighbours, radial)(EdgeMap.joined(centre, neighbour, rows), slice(2, 7))
    for i in range(2, 7):
        for j in range(K):
            edge = i * K + j
            expected = centre[i] + neighbour[neighbours[i, j]] + radial.weights[edge] @ rows[radial.index[edge]]
            assert torch.allclose(x[i - 2, j], expected)


@pytest.mark.parametrize("radial", [gaussians, table])
def test_transpose(neighbours, radial):
    edges = edge_map(neighbours, radial())
    parts = EdgeMap.joined(*random_parts(radial().rows))
    gradient = torch.randn(V, K, W, dtype=torch.float64)
    forward, backward = edges(parts, slice(0, V)) * gradient, parts * edges.transpose(gradient)
    assert torch.allclose(forward.sum(), backward.sum(), rtol=1e-12)


def test_mean_over_the_edges_of_all_atoms(neighbours):
    edges = edge_map(neighbours, gaussians())
    parts = EdgeMap.joined(*random_parts(41))
    x = edges(parts, slice(0, V)).repeat_interleave(torch.arange(1, V + 1), dim=0)
    assert int(edges.edge_count) == x.shape[0] * K
    assert torch.allclose((edges.part_share * parts).sum(0), x.mean(dim=(0, 1)))


def test_expansion_is_the_gaussian_basis_to_float32_rounding():
    rows = torch.randn(41, W, dtype=torch.float64)
    exact = gaussian_basis(distances().reshape(-1), 41, CUTOFF, 0.2) @ rows
    assert torch.allclose(gaussians().weights.unsqueeze(1).matmul(rows[gaussians().index])[:, 0], exact, atol=2e-6)


def test_wide_gaussians_are_all_taken():
    radial = GaussianExpansion(distances(), 5, CUTOFF, 4.0)
    exact = gaussian_basis(distances().reshape(-1), 5, CUTOFF, 4.0)
    assert torch.allclose(radial.weights, exact)


@pytest.mark.parametrize("radial", [gaussians, table])
def test_a_missing_neighbour_has_no_radial_part(radial):
    radial = radial()
    at_infinity_zero = gaussian_basis(table_distances(64, CUTOFF).double(), 41, CUTOFF).sum(1)
    rows = at_infinity_zero if isinstance(radial, DistanceTable) else torch.ones(41, dtype=torch.float64)
    value = radial.weights[2] @ rows[radial.index[2]]
    assert value.item() == 0


def test_table_is_exact_where_it_is_taken_and_second_order_between():
    def error(rows):
        points = table_distances(rows, CUTOFF).double()
        function = torch.where(torch.isinf(points), 0.0, torch.sin(points))
        radial = DistanceTable(at, rows, CUTOFF)
        return ((radial.weights * function[radial.index]).sum(1) - torch.sin(at)).abs().max()

    at = torch.linspace(0, CUTOFF, 997, dtype=torch.float64)
    assert error(998) < 1e-6  # its own points, which are float32
    assert 3 < error(65) / error(129) < 5
