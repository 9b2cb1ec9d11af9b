"""Layers against their formulas, written out; and what turning space may change."""

import math

import pytest
import torch
from torch.nn import functional

from protein.geometry.frames import Frames
from protein.models.attention import Attention, attend, key_bias
from protein.models.esm2 import ESM2, ESM2Config
from protein.models.invariant_point_attention import InvariantPointAttention
from protein.models.outer_product_mean import OuterProductMean
from protein.models.recycling import Previous, Recycling
from protein.models.relative_position import RelativePosition
from protein.models.triangle_attention import TriangleAttention
from protein.models.triangle_multiplication import TriangleMultiplication
from tests.protein.models.conftest import randomized

N = 7


def frames(batch=1):
    return Frames.from_quaternion(torch.randn(batch, N, 4), torch.randn(batch, N, 3))


def test_attention_is_that_of_its_formula_for_every_row_and_batch():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, N, 4, 5).unbind(0)  # [B, R, N, H, D]
    bias = torch.randn(2, 4, N, N) + key_bias(torch.arange(N) < torch.tensor([[N], [4]]))
    logits = torch.einsum("brihd,brjhd->brhij", q, k) / math.sqrt(5) + bias[:, None]
    expected = torch.einsum("brhij,brjhd->brihd", logits.softmax(-1), v)
    assert (attend(q, k, v, bias) - expected).abs().max() < 1e-6


@pytest.mark.parametrize("outgoing", [True, False])
@pytest.mark.parametrize("chunk", [None, 3])
def test_triangle_multiplication_sums_over_the_third_node(outgoing, chunk):
    layer = randomized(TriangleMultiplication(6, 4, outgoing))
    pair, mask = torch.randn(2, N, N, 6), torch.arange(N) < torch.tensor([[N], [5]])
    x = layer.norm(pair)
    a, b = (layer.edges(x) * layer.edges_gate(x).sigmoid()).chunk(2, -1)
    formula = "bikc,bjkc,bk->bijc" if outgoing else "bkic,bkjc,bk->bijc"
    found = layer.norm_out(torch.einsum(formula, a, b, mask.float()))
    expected = pair + layer.out(found) * layer.gate(x).sigmoid()
    with torch.no_grad():
        assert (layer(pair.clone(), mask, chunk) - expected).abs().max() < 1e-5
    assert (layer(pair, mask, chunk) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("chunk", [None, 3])
def test_attention_at_the_ending_node_is_that_at_the_starting_node_of_the_transposed_pairs(chunk):
    ending = randomized(TriangleAttention(6, 2, 3, ending=True))
    starting = randomized(TriangleAttention(6, 2, 3, ending=False))
    pair = torch.randn(1, N, N, 6)
    with torch.no_grad():
        found = ending(pair.clone(), chunk=chunk)
        assert (found.transpose(1, 2) - starting(pair.transpose(1, 2).clone())).abs().max() < 1e-6
        assert (found - starting(pair.clone())).abs().max() > 0.01


@pytest.mark.parametrize("chunk", [None, 3])
def test_outer_product_mean_is_a_mean_over_the_sequences_that_are_there(chunk):
    layer = randomized(OuterProductMean(5, 6, 3))
    msa, pair, rows = torch.randn(1, 4, N, 5), torch.randn(1, N, N, 6), torch.tensor([[1, 1, 0, 1]]).bool()
    a, b = layer.columns(layer.norm(msa)).chunk(2, -1)
    products = torch.einsum("bsic,bsjd,bs->bijcd", a, b, rows.float()).flatten(3)
    with torch.no_grad():
        assert (layer(msa, pair.clone(), rows, chunk) - pair - layer.out(products) / 3.001).abs().max() < 1e-6


def test_invariant_point_attention_is_that_of_its_formula():
    """Algorithm 22 with all differences of points written out."""
    torch.manual_seed(1)
    heads, width, queries, values = 3, 4, 2, 5
    layer = randomized(InvariantPointAttention(8, 6, heads, width, queries, values))
    single, pair, where = torch.randn(1, N, 8), torch.randn(1, N, N, 6), frames()
    q = layer.query(single).view(1, N, heads, width)
    k, v = layer.key_value(single).view(1, N, heads, 2 * width).split(width, -1)

    def points(local, count):
        local = torch.stack(local.chunk(3, -1), -1).view(1, N, heads, count, 3)
        return where.unsqueeze(-1).unsqueeze(-1).apply(local)

    q_point = points(layer.query_point(single), queries)
    k_point, v_point = points(layer.key_value_point(single), queries + values).split([queries, values], 3)
    squared = (q_point[:, :, None] - k_point[:, None]).square().sum((-1, -2))
    weight = functional.softplus(layer.point_weight) * math.sqrt(2 / (9 * queries))
    logits = torch.einsum("bihd,bjhd->bijh", q, k) / math.sqrt(width) + layer.pair_bias(pair) - weight / 2 * squared
    a = (math.sqrt(1 / 3) * logits).softmax(2)
    local = where.unsqueeze(-1).unsqueeze(-1).apply_inverse(torch.einsum("bijh,bjhpx->bihpx", a, v_point))
    parts = [
        torch.einsum("bijh,bjhd->bihd", a, v), *local.unbind(-1), (local.square().sum(-1) + 1e-8).sqrt(),
        torch.einsum("bijh,bijc->bihc", a, pair),
    ]  # fmt: skip
    expected = layer.out(torch.cat([part.flatten(2) for part in parts], -1))
    found = layer(single, pair, where, layer.bias(pair, None))
    assert (found - expected).abs().max() < 2e-6


def test_turning_and_moving_all_frames_does_not_change_invariant_point_attention():
    layer = randomized(InvariantPointAttention(8, 6, 3, 4, 2, 5))
    single, pair, where = torch.randn(1, N, 8), torch.randn(1, N, N, 6), frames()
    turn = Frames.from_quaternion(torch.randn(1, 1, 4), 50 * torch.randn(1, 1, 3))
    with torch.no_grad():
        bias = layer.bias(pair, None)
        plain = layer(single, pair, where, bias)
        assert (layer(single, pair, turn.compose(where), bias) - plain).abs().max() < 1e-4
        mirrored = Frames(where.rotation, where.translation * torch.tensor([1.0, 1.0, -1.0]))
        assert (layer(single, pair, mirrored, bias) - plain).abs().max() > 0.01


def test_relative_position_is_the_same_for_all_far_residues_and_has_a_sign():
    layer = RelativePosition(4, reach=2)
    index = torch.tensor([[0, 1, 2, 3, 50]])
    found = layer(index, index)
    assert torch.equal(found[0, 0, 3], found[0, 0, 4])
    assert torch.equal(found[0, 1, 2], found[0, 2, 3])
    assert not torch.equal(found[0, 0, 1], found[0, 1, 0])


def test_recycling_tells_distances_apart_by_the_edges_they_exceed():
    layer = Recycling(4, 4, (2.0, 6.0, 3))
    beta = torch.tensor([[[0.0, 0, 0], [1.9, 0, 0], [5.0, 0, 0], [40.0, 0, 0]]])
    previous = Previous(torch.zeros(1, 4, 4), torch.zeros(1, 4, 4, 4), beta)
    found = layer(previous, slice(0, 1))[0, 0] - layer.norm_pair.bias
    for column, exceeded in enumerate((0, 0, 2, 3)):
        assert torch.allclose(found[column], layer.distance.weight[exceeded])


def test_masked_and_padded_tokens_of_esm2():
    """A token that is masked may have been anything; padding changes nothing."""
    model = randomized(ESM2(ESM2Config(2, 16, 2)))
    tokens = torch.tensor([[0, 5, 6, 7, 8, 2]])
    with torch.no_grad():
        plain = model(tokens)
        padded = model(torch.tensor([[0, 5, 6, 7, 8, 2, 1, 1], [0, 9, 9, 9, 9, 9, 9, 2]]))
        assert (padded[0, :6] - plain[0]).abs().max() < 1e-5
        model.embedding.weight[32] = 100.0
        masked = model(torch.tensor([[0, 5, 32, 7, 8, 2]]))
    assert masked.abs().max() < 100
    assert (masked - plain).abs().max() > 0.01


def test_gates_and_outputs_start_as_alphafold_starts_them():
    layer = Attention(8, 2, 4)
    assert torch.equal(layer(torch.randn(1, 2, N, 8)), torch.zeros(1, 2, N, 8))
    assert torch.equal(layer.gate(torch.randn(3, 8)), torch.ones(3, 8))
