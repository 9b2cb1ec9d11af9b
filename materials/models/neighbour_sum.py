"""The parts of a convolution that act on edges: x_ij by an `EdgeMap`, a nonlinearity, and the sum over j.

Written with plain operations the [E, W] intermediates go through memory about ten times; on a CPU that, not
arithmetic, is the time of a crystal network. Here a block of nodes is carried through all operations before the
next one, and the derivative is kept instead of its inputs. On a GPU one block holds everything.
Shapes as in `edge_map.py`. All are differentiable in the three parts, not in distance; once, because the backward
pass works in the memory of what the forward pass kept (torch refuses a second one).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from common.training.batch_norm import sum_over_ranks
from materials.models.edge_map import EdgeMap

BLOCK_BYTES = 1 << 21
"""Size of a block's [., W] intermediate on a CPU: smaller ones fit the caches better, but cost more calls."""

LN2 = math.log(2)

LARGEST = 126.0
"""Largest power of two taken, which float32 holds; softplus stays at its value there, 87."""


def silu_neighbour_sum(centre: Tensor, neighbour: Tensor, radial: Tensor, edges: EdgeMap) -> Tensor:
    """sum_j silu(x_ij): centre [V, W], neighbour [V, W], radial [D, W] -> [V, W]."""
    parts = edges.joined(centre, neighbour, radial.to(centre.dtype))
    if torch.compiler.is_exporting():  # what is exported has no gradient, and its compiler makes blocks of its own
        return F.silu(edges(parts, slice(0, edges.nodes))).sum(dim=1)
    return _SiluNeighbourSum.apply(parts, edges)  # pyright: ignore


def gated_neighbour_sum(centre: Tensor, neighbour: Tensor, radial: Tensor, edges: EdgeMap) -> Tensor:
    """sum_j sigmoid(x'_ij) softplus(x''_ij) with the halves of x_ij: [V, 2C], [V, 2C], [D, 2C] -> [V, C] float32."""
    halves = edges.joined(*map(_halves, (centre, neighbour, radial)))
    return LN2 * _GatedNeighbourSum.apply(halves * _to_base_two(halves), edges)  # pyright: ignore


class NormalisedSum(NamedTuple):
    """message [V, C]; mean [2C] and (biased) variance [2C] of x over the edges of all atoms of all ranks."""

    message: Tensor
    mean: Tensor
    variance: Tensor


def normalised_gated_neighbour_sum(
    centre: Tensor, neighbour: Tensor, radial: Tensor, weight: Tensor, bias: Tensor, edges: EdgeMap, eps: float
) -> NormalisedSum:
    """`gated_neighbour_sum` of weight * (x - mean) / sqrt(variance + eps) + bias, with the batch's own statistics.

    An edge counts in them with the multiplicity of its node. weight [2C], bias [2C].
    """
    halves = edges.joined(*map(_halves, (centre, neighbour, radial)))
    affine = (_halves(value[None]) * _to_base_two(halves) for value in (weight, bias))
    message, mean, variance = _NormalisedGatedNeighbourSum.apply(halves, *affine, edges, eps)  # pyright: ignore
    return NormalisedSum(LN2 * message, mean.flatten(), variance.flatten())


def _halves(rows: Tensor) -> Tensor:
    """[R, 2C] -> [2, R, C], at least in float32: 1 + exp(x) and sums over all edges are too much for half precision."""
    return rows.to(torch.promote_types(rows.dtype, torch.float32)).view(len(rows), 2, -1).transpose(0, 1)


def _to_base_two(halves: Tensor) -> Tensor:
    """Takes x' to -x' / ln 2 and x'' to x'' / ln 2: powers of two are by far the cheapest way to both functions."""
    return halves.new_tensor([-1 / LN2, 1 / LN2])[:, None, None]


def _blocks(parts: Tensor, edges: EdgeMap) -> list[slice]:
    """Nodes in pieces, each with as many edges as are held at a time."""
    size = edges.nodes
    if parts.device.type == "cpu":
        size = max(1, BLOCK_BYTES // (edges.per_node * parts.shape[-1] * parts.element_size()))
    return [slice(start, min(edges.nodes, start + size)) for start in range(0, edges.nodes, size)]


def _at_edges(parts: Tensor, edges: EdgeMap) -> Tensor:
    """Room for a value at each edge and feature, [..., 2V + T, W] -> [..., V, K, W]."""
    return parts.new_empty(*parts.shape[:-2], edges.nodes, edges.per_node, parts.shape[-1])


def _gate(gate: Tensor, core: Tensor, derivative: Tensor | None) -> Tensor:
    """log2(1 + 2^core) / (1 + 2^gate), which is sigmoid(x') softplus(x'') / ln 2; overwrites both.

    `derivative` [2, ...] gets that in gate, which `_spread` multiplies by what it lacks, and that in core.
    """
    core.clamp_(max=LARGEST).exp2_().add_(1)
    gate.exp2_().add_(1)
    message = core.log2()
    if derivative is None:
        return message.div_(gate)
    gate.reciprocal_()
    message.mul_(gate)
    torch.addcmul(message, message, gate, value=-1, out=derivative[0])
    torch.addcmul(gate, gate, core.reciprocal_(), value=-1, out=derivative[1])
    return message


def _spread(gradient: Tensor) -> Tensor:
    """Gradient of the sum as it acts on the two derivatives of `_gate`, [V, C] -> [2, V, C]."""
    return torch.stack([-LN2 * gradient, gradient])


class _SiluNeighbourSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parts: Tensor, edges: EdgeMap) -> Tensor:
        result = parts.new_empty(edges.nodes, parts.shape[1])
        derivative = _at_edges(parts, edges) if ctx.needs_input_grad[0] else None
        for nodes in _blocks(parts, edges):
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
        return ctx.edges.transpose(derivative.mul_(gradient[:, None])), None


class _GatedNeighbourSum(torch.autograd.Function):
    """sum_j `_gate`, halves [2, 2V + T, C] -> [V, C]."""

    @staticmethod
    def forward(ctx: Any, halves: Tensor, edges: EdgeMap) -> Tensor:
        result = halves.new_empty(edges.nodes, halves.shape[-1])
        derivative = _at_edges(halves, edges) if ctx.needs_input_grad[0] else None
        for nodes in _blocks(halves, edges):
            gate, core = (edges(half, nodes) for half in halves)
            message = _gate(gate, core, None if derivative is None else derivative[:, nodes])
            torch.sum(message, dim=1, out=result[nodes])
        ctx.save_for_backward(derivative)
        ctx.edges = edges
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        (derivative,) = ctx.saved_tensors
        derivative.mul_(_spread(gradient)[:, :, None])
        return torch.stack([ctx.edges.transpose(half) for half in derivative]), None


class _NormalisedGatedNeighbourSum(torch.autograd.Function):
    """sum_j `_gate` of the normalised x, with its mean and variance: [2, 2V + T, C] -> [V, C], [2, 1, C], [2, 1, C].

    Two passes over the edges each way, as the statistics and their gradients are sums over all of them. With x centred,
    s its inverse deviation, z = weight s x + bias, D = d(sum) / dz and g the gradient of the sum, the gradient of an
    edge's x is  weight s (D g - share (sum D g + s^2 x sum D g x)).
    """

    @staticmethod
    def forward(
        ctx: Any, halves: Tensor, weight: Tensor, bias: Tensor, edges: EdgeMap, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean = sum_over_ranks((halves * edges.part_share).sum(dim=1, keepdim=True))
        centred = halves.clone()
        centred[:, edges.nodes : 2 * edges.nodes] -= mean
        blocks, kept, variance = _blocks(halves, edges), [], torch.zeros_like(mean)
        for nodes in blocks:
            x = [edges(half, nodes) for half in centred]
            square = torch.stack([half.square().sum(dim=1) for half in x])
            variance += (square * edges.share[nodes]).sum(dim=1, keepdim=True)
            kept.append(x)
        variance = sum_over_ranks(variance)
        inverse = torch.rsqrt(variance + eps)
        scale = weight * inverse

        result, derivative = halves.new_empty(edges.nodes, halves.shape[-1]), _at_edges(halves, edges)
        for nodes, x in zip(blocks, kept, strict=True):
            gate, core = (torch.addcmul(bias[half], x[half], scale[half]) for half in (0, 1))
            torch.sum(_gate(gate, core, derivative[:, nodes]), dim=1, out=result[nodes])
        ctx.edges, ctx.blocks = edges, blocks
        ctx.save_for_backward(derivative, weight, inverse, *(half for x in kept for half in x))
        ctx.mark_non_differentiable(mean, variance)
        return result, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        edges: EdgeMap = ctx.edges
        derivative, weight, inverse, *kept = ctx.saved_tensors
        gradient = _spread(gradient)
        blocks = [(half, nodes) for nodes in ctx.blocks for half in (0, 1)]
        of_bias, of_weight = torch.zeros_like(weight), torch.zeros_like(weight)
        for (half, nodes), x in zip(blocks, kept, strict=True):
            of_z = derivative[half, nodes].mul_(gradient[half, nodes, None])
            of_bias[half] += of_z.sum(dim=(0, 1))
            of_weight[half] += (of_z * x).sum(dim=(0, 1))
        of_norm, of_mean = sum_over_ranks(torch.stack([of_weight, of_bias]))
        of_variance = edges.share * (inverse.square() * of_norm)
        for (half, nodes), x in zip(blocks, kept, strict=True):
            derivative[half, nodes].addcmul_(x, of_variance[half, nodes, None], value=-1)
        of_halves = torch.stack([edges.transpose(half) for half in derivative])
        of_halves.addcmul_(edges.part_share, of_mean, value=-1).mul_(weight * inverse)
        return of_halves, of_weight * inverse, of_bias, None, None
