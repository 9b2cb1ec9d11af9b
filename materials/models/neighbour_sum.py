"""The parts of a convolution that act on edges: x_ij by an `EdgeMap`, a nonlinearity, and the sum over j.

Written with plain operations the [E, W] intermediates go through memory about ten times; on a CPU that, not
arithmetic, is the time of a crystal network. Here a block of nodes is carried through all operations before the
next one, and the derivative is kept instead of its inputs. On a GPU one block holds everything.
Shapes as in `edge_map.py`. All are differentiable in the three parts, not in distance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from materials.models.edge_map import EdgeMap

BLOCK_BYTES = 1 << 19
"""Size of a block's [., W] intermediate on a CPU: about the second-level cache."""

LN2 = math.log(2)

LARGEST = 126.0
"""Largest power of two taken, which float32 holds; softplus stays at its value there, 87."""


def silu_neighbour_sum(centre: Tensor, neighbour: Tensor, radial: Tensor, edges: EdgeMap) -> Tensor:
    """sum_j silu(x_ij): centre [V, W], neighbour [V, W], radial [T, W] -> [V, W]."""
    return _SiluNeighbourSum.apply(centre, neighbour, radial.to(centre.dtype), edges)  # pyright: ignore


def gated_neighbour_sum(centre: Tensor, neighbour: Tensor, radial: Tensor, edges: EdgeMap) -> Tensor:
    """sum_j sigmoid(x'_ij) softplus(x''_ij) with the halves of x_ij: [V, 2C], [V, 2C], [T, 2C] -> [V, C] float32."""
    return _GatedNeighbourSum.apply(*_precise(centre, neighbour, radial), edges)  # pyright: ignore


class NormalisedSum(NamedTuple):
    """message [V, C]; mean [2C] and (biased) variance [2C] of x over the edges of all atoms."""

    message: Tensor
    mean: Tensor
    variance: Tensor


def normalised_gated_neighbour_sum(
    centre: Tensor, neighbour: Tensor, radial: Tensor, weight: Tensor, bias: Tensor, edges: EdgeMap, eps: float
) -> NormalisedSum:
    """`gated_neighbour_sum` of weight * (x - mean) / sqrt(variance + eps) + bias, with the batch's own statistics.

    An edge counts in them with the multiplicity of its node. weight [2C], bias [2C].
    """
    parts = _precise(centre, neighbour, radial, weight, bias)
    return NormalisedSum(*_NormalisedGatedNeighbourSum.apply(*parts, edges, eps))  # pyright: ignore


def _precise(*tensors: Tensor) -> Iterator[Tensor]:
    """At least float32: 1 + exp(x) and sums over all edges need more digits than half precision has."""
    return (tensor.to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in tensors)


def _node_blocks(rows: Tensor, edges: EdgeMap) -> Iterator[slice]:
    """Nodes in pieces whose edges' rows, each as wide as `rows`, are held at a time."""
    size = edges.nodes
    if rows.device.type == "cpu":
        size = max(1, BLOCK_BYTES // (edges.per_node * rows.shape[1] * rows.element_size()))
    for start in range(0, edges.nodes, size):
        yield slice(start, min(edges.nodes, start + size))


def _base_two(like: Tensor) -> Tensor:
    """What takes (x', x'') to (-x', x'') / ln 2 [2C]: sigmoid and softplus by the powers of two 1 + 2^x, the fastest way."""
    half = like.shape[-1] // 2
    return torch.cat([like.new_full((half,), -1 / LN2), like.new_full((half,), 1 / LN2)])


def _gate(x: Tensor, derivative: Tensor | None) -> Tensor:
    """sigmoid(x') softplus(x'') / ln 2 from x in base two, [..., 2C] -> [..., C]; overwrites x.

    `derivative` [..., 2C] gets that in x', and times ln 2 that in x''.
    """
    powers = x.clamp_(max=LARGEST).exp2_().add_(1)
    message = powers[..., powers.shape[-1] // 2 :].log2()
    gate, rest = powers.reciprocal_().chunk(2, dim=-1)  # sigmoid(x'), 1 - sigmoid(x'')
    message.mul_(gate)
    if derivative is not None:
        of_gate, of_core = derivative.chunk(2, dim=-1)
        torch.addcmul(message, message, gate, value=-1, out=of_gate)
        torch.addcmul(gate, gate, rest, value=-1, out=of_core)
    return message


def _spread(gradient: Tensor) -> Tensor:
    """Gradient of the sum for the two halves as `_gate` scales their derivatives, [V, C] -> [V, 2C]."""
    return torch.cat([gradient * LN2, gradient], dim=1)


def _derivative(ctx: Any, like: Tensor, edges: EdgeMap) -> Tensor | None:
    """Room for the derivative at each edge [V, K, W], when it will be needed.

    The backward pass works in its memory; a second one over the same forward pass is refused by torch.
    """
    return like.new_empty(edges.nodes, edges.per_node, like.shape[1]) if any(ctx.needs_input_grad) else None


class _SiluNeighbourSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, centre: Tensor, neighbour: Tensor, radial: Tensor, edges: EdgeMap) -> Tensor:
        parts, result = edges.joined(centre, neighbour, radial), torch.empty_like(centre)
        derivative = _derivative(ctx, centre, edges)
        for nodes in _node_blocks(centre, edges):
            x = edges(parts, nodes)
            gate = torch.sigmoid(x)
            torch.sum(x.mul_(gate), dim=1, out=result[nodes])
            if derivative is not None:  # silu' = g + s - s g with s = silu(x), g = sigmoid(x)
                torch.addcmul(x, x, gate, value=-1, out=x)
                torch.add(x, gate, out=derivative[nodes])
        ctx.save_for_backward(derivative)
        ctx.edges = edges
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        (derivative,) = ctx.saved_tensors
        return *ctx.edges.transpose(derivative.mul_(gradient[:, None])), None


class _GatedNeighbourSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, centre: Tensor, neighbour: Tensor, radial: Tensor, edges: EdgeMap) -> Tensor:
        parts = edges.joined(centre, neighbour, radial)
        parts *= _base_two(parts)
        result = centre.new_empty(edges.nodes, centre.shape[1] // 2)
        derivative = _derivative(ctx, centre, edges)
        for nodes in _node_blocks(centre, edges):
            message = _gate(edges(parts, nodes), None if derivative is None else derivative[nodes])
            torch.sum(message, dim=1, out=result[nodes])
        ctx.save_for_backward(derivative)
        ctx.edges = edges
        return result.mul_(LN2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        (derivative,) = ctx.saved_tensors
        return *ctx.edges.transpose(derivative.mul_(_spread(gradient)[:, None])), None


class _NormalisedGatedNeighbourSum(torch.autograd.Function):
    """Two passes over the edges forward, for the statistics and the sum, and one backward.

    With z = weight x / deviation + bias, x centred, and D = d(sum) / dz, an edge's gradient is, for the gradient g of
    its node's sum,  weight / deviation * (D g - share * (sum D g + x / deviation^2 * sum D g x)),  the sums over all
    edges. They follow from the sums of D and D x over the edges of each node, which the forward pass takes while it
    has both at hand.
    """

    @staticmethod
    def forward(ctx: Any, centre: Tensor, neighbour: Tensor, radial: Tensor, weight: Tensor, bias: Tensor,
                edges: EdgeMap, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        parts = edges.joined(centre, neighbour, radial)
        mean = (parts * edges.joined(*edges.share)).sum(dim=0)
        parts[edges.nodes : 2 * edges.nodes] -= mean
        share = (edges.multiplicity / (edges.atoms * edges.per_node)).to(parts.dtype)
        blocks, kept, variance = list(_node_blocks(centre, edges)), [], torch.zeros_like(mean)
        for nodes in blocks:
            kept.append(edges(parts, nodes))
            variance += (share[nodes, None] * kept[-1].square().sum(dim=1)).sum(dim=0)
        inverse = torch.rsqrt(variance + eps)
        scale, shift = weight * inverse * _base_two(weight), bias * _base_two(weight)

        result = centre.new_empty(edges.nodes, centre.shape[1] // 2)
        derivative = centre.new_empty(edges.nodes, edges.per_node, centre.shape[1])
        sums = torch.empty_like(centre), torch.empty_like(centre)
        for nodes, x in zip(blocks, kept, strict=True):
            message = _gate(torch.addcmul(shift, x, scale), derivative[nodes])
            torch.sum(message, dim=1, out=result[nodes])
            torch.sum(derivative[nodes], dim=1, out=sums[0][nodes])
            torch.sum(derivative[nodes] * x, dim=1, out=sums[1][nodes])
        ctx.blocks, ctx.edges = blocks, edges
        ctx.save_for_backward(derivative, *sums, weight, inverse, share, *kept)
        ctx.mark_non_differentiable(mean, variance)
        return result.mul_(LN2), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        edges: EdgeMap = ctx.edges
        derivative, sum_d, sum_dx, weight, inverse, share, *kept = ctx.saved_tensors
        gradient = _spread(gradient)
        of_bias = (gradient * sum_d).sum(dim=0)
        of_weight = (gradient * sum_dx).sum(dim=0) * inverse
        scale = weight * inverse
        of_x = share[:, None] * (scale * inverse * of_weight)
        gradient *= scale
        for nodes, x in zip(ctx.blocks, kept, strict=True):
            derivative[nodes].mul_(gradient[nodes, None]).addcmul_(x, of_x[nodes, None], value=-1)
        of_mean = scale * of_bias
        of_parts = (part.addcmul_(share, of_mean, value=-1) for part, share in
                    zip(edges.transpose(derivative), edges.share, strict=True))
        return *of_parts, of_weight, of_bias, None, None
