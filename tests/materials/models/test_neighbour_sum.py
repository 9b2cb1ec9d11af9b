"""The fused sums over neighbours against their definitions, and their gradients against finite differences."""

import pytest
import torch
import torch.nn.functional as F

from materials.models import neighbour_sum
from materials.models.edge_map import EdgeMap, GaussianExpansion
from materials.models.neighbour_sum import gated_neighbour_sum, normalised_gated_neighbour_sum, silu_neighbour_sum

V, K, C, T, EPS = 6, 4, 2, 8, 1e-5


@pytest.fixture
def edges():
    torch.manual_seed(0)
    distances = torch.rand(V, K, dtype=torch.float64) * 8
    distances[2, 3] = torch.inf
    multiplicity = torch.randint(1, 5, (V,)).double()
    return EdgeMap(torch.randint(0, V, (V, K)), GaussianExpansion(distances, T, 8.0, 0.6), multiplicity)


@pytest.fixture
def parts():
    torch.manual_seed(1)
    return [torch.randn(rows, 2 * C, dtype=torch.float64, requires_grad=True) for rows in (V, V, T)]


@pytest.fixture
def affine():
    torch.manual_seed(2)
    return [torch.randn(2 * C, dtype=torch.float64, requires_grad=True) for _ in range(2)]


@pytest.fixture(params=[400, 1 << 20], ids=["small blocks", "one block"])
def blocks(request, monkeypatch):
    monkeypatch.setattr(neighbour_sum, "BLOCK_BYTES", request.param)


def at_edges(parts, edges):
    return edges(EdgeMap.joined(*parts), slice(0, V))


def gated(x):
    gate, core = x.chunk(2, dim=-1)
    return (torch.sigmoid(gate) * F.softplus(core)).sum(dim=1)


def normalised(parts, weight, bias, edges):
    x = at_edges(parts, edges)
    atoms = x.repeat_interleave(edges.multiplicity.long(), dim=0)
    mean, variance = atoms.mean(dim=(0, 1)), atoms.var(dim=(0, 1), unbiased=False)
    return gated(weight * (x - mean) / torch.sqrt(variance + EPS) + bias), mean, variance


def fresh(function):
    """The function with a forward pass of its own for every backward pass: gradcheck runs several over one."""

    class Fresh(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return function(*inputs).detach()

        @staticmethod
        def backward(ctx, gradient):
            inputs = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
            with torch.enable_grad():
                return torch.autograd.grad(function(*inputs), inputs, gradient)

    return Fresh.apply


@pytest.mark.usefixtures("blocks")
def test_values(edges, parts, affine):
    assert torch.allclose(silu_neighbour_sum(*parts, edges), F.silu(at_edges(parts, edges)).sum(1), rtol=1e-12)
    assert torch.allclose(gated_neighbour_sum(*parts, edges), gated(at_edges(parts, edges)), rtol=1e-12)
    for found, expected in zip(
        normalised_gated_neighbour_sum(*parts, *affine, edges, EPS), normalised(parts, *affine, edges), strict=True
    ):
        assert torch.allclose(found, expected, rtol=1e-10)


@pytest.mark.usefixtures("blocks")
def test_gradients(edges, parts, affine):
    assert torch.autograd.gradcheck(fresh(lambda *p: silu_neighbour_sum(*p, edges)), parts)
    assert torch.autograd.gradcheck(fresh(lambda *p: gated_neighbour_sum(*p, edges)), parts)
    assert torch.autograd.gradcheck(
        fresh(lambda *p: normalised_gated_neighbour_sum(*p, edges, EPS).message), [*parts, *affine]
    )


@pytest.mark.parametrize("function", [silu_neighbour_sum, gated_neighbour_sum])
def test_a_second_backward_pass_over_one_forward_pass_is_refused(function, edges, parts):
    total = function(*parts, edges).sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_far_beyond_the_range_of_exp_nothing_overflows(edges, parts):
    large = [(1e3 * part).detach().float().requires_grad_() for part in parts]
    message = gated_neighbour_sum(*large, edges)
    message.sum().backward()
    assert torch.isfinite(message).all()
    assert all(torch.isfinite(part.grad).all() for part in large)


def test_half_precision_parts_are_summed_in_float32(edges, parts):
    half = [part.to(torch.bfloat16) for part in parts]
    message = gated_neighbour_sum(*half, edges)
    assert message.dtype == torch.float32
    exact = gated(at_edges([part.double() for part in half], edges))
    assert torch.allclose(message.double(), exact, rtol=1e-5, atol=1e-6)
