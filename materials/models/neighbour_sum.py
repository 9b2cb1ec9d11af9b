"""The parts of a convolution that act on edges: x_ij = a_i + b_j + f(d_ij), a nonlinearity, and the sum over j.

Written with plain operations the [E, W] intermediates go through memory about ten times; on a CPU that, not
arithmetic, is the time of a crystal network. Here a block of nodes is carried through all operations before the
next one, the derivative is kept instead of its inputs, and the transposes of the two gathers are sums over grouped
indices, which are deterministic and need no atomic additions. On a GPU one block holds everything.
Shapes as in `crystal_graph.py`. All are differentiable in the three parts, not in distance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from materials.models.crystal_graph import DistanceTable, GroupedIndex

BLOCK_BYTES = 1 << 20
"""Size of a block's [., W] intermediate on a CPU: about the second-level cache."""


def edge_sum(centre: Tensor, neighbour: Tensor, table: Tensor, distances: DistanceTable, neighbours: GroupedIndex) -> Tensor:
    """x_ij of every edge: centre [V, W], neighbour [V, W], table [T, W] -> [E, W]."""
    return _EdgeSum.apply(centre, neighbour, table.to(centre.dtype), distances, neighbours)  # pyright: ignore


def silu_neighbour_sum(
    centre: Tensor, neighbour: Tensor, table: Tensor, distances: DistanceTable, neighbours: GroupedIndex
) -> Tensor:
    """sum_j silu(x_ij): centre [V, W], neighbour [V, W], table [T, W] -> [V, W]."""
    return _SiluNeighbourSum.apply(centre, neighbour, table.to(centre.dtype), distances, neighbours)  # pyright: ignore


@torch.no_grad()
def gated_neighbour_sum(
    centre: Tensor, neighbour: Tensor, table: Tensor, distances: DistanceTable, neighbours: GroupedIndex
) -> Tensor:
    """sum_j sigmoid(x'_ij) softplus(x''_ij) with the halves of x_ij, for inference: [V, 2C], [V, 2C], [T, 2C] -> [V, C]."""
    result = centre.new_empty(len(centre), centre.shape[1] // 2)
    for nodes, _, x in _blocks(centre, neighbour, table.to(centre.dtype), distances, neighbours):
        gate, core = x.chunk(2, dim=-1)
        torch.sum(torch.sigmoid(gate).mul_(F.softplus(core)), dim=1, out=result[nodes])
    return result


def _blocks(centre: Tensor, neighbour: Tensor, table: Tensor, distances: DistanceTable,
            neighbours: GroupedIndex) -> Iterator[tuple[slice, slice, Tensor]]:
    """Blocks of nodes, their edges, and x_ij of these as [nodes, K, W]."""
    count = neighbours.index.numel() // len(centre)
    for nodes in _slices(centre, count):
        edges = slice(nodes.start * count, nodes.stop * count)
        x = distances(table, edges.start, edges.stop)
        x += neighbour.index_select(0, neighbours.index[edges])
        yield nodes, edges, x.view(-1, count, x.shape[-1]).add_(centre[nodes, None])


def _slices(rows: Tensor, count: int) -> Iterator[slice]:
    size = len(rows)
    if rows.device.type == "cpu":
        size = max(1, BLOCK_BYTES // (count * rows.shape[1] * rows.element_size()))
    for start in range(0, len(rows), size):
        yield slice(start, min(len(rows), start + size))


class _EdgeSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, centre: Tensor, neighbour: Tensor, table: Tensor, distances: DistanceTable,
                neighbours: GroupedIndex) -> Tensor:
        ctx.indices = distances, neighbours
        result = centre.new_empty(neighbours.index.numel(), centre.shape[1])
        for _, edges, x in _blocks(centre, neighbour, table, distances, neighbours):
            result[edges] = x.view(-1, x.shape[-1])
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        distances, neighbours = ctx.indices
        centre = gradient.view(neighbours.first.shape[0], -1, gradient.shape[-1]).sum(dim=1)
        return centre, neighbours.sum(gradient), distances.transpose(gradient), None, None


class _SiluNeighbourSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, centre: Tensor, neighbour: Tensor, table: Tensor, distances: DistanceTable,
                neighbours: GroupedIndex) -> Tensor:
        result = torch.empty_like(centre)
        derivative = centre.new_empty(neighbours.index.numel(), centre.shape[1]) if any(ctx.needs_input_grad) else None
        for nodes, edges, x in _blocks(centre, neighbour, table, distances, neighbours):
            gate = torch.sigmoid(x)
            torch.sum(x.mul_(gate), dim=1, out=result[nodes])
            if derivative is not None:  # silu' = g + s - s g with s = silu(x), g = sigmoid(x)
                torch.addcmul(x, x, gate, value=-1, out=x)
                torch.add(x, gate, out=derivative[edges].view(x.shape))
        # kept aside from save_for_backward because the backward pass works in its memory
        ctx.derivative, ctx.indices = derivative, (distances, neighbours)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        edge_gradient, ctx.derivative = ctx.derivative, None
        if edge_gradient is None:
            raise RuntimeError("silu_neighbour_sum: backward ran twice over one forward pass; run the forward pass again")
        distances, neighbours = ctx.indices
        count = len(edge_gradient) // len(gradient)
        centre = torch.empty_like(gradient)
        for nodes in _slices(gradient, count):
            edges = slice(nodes.start * count, nodes.stop * count)
            block = edge_gradient[edges].view(-1, count, gradient.shape[1]).mul_(gradient[nodes, None])
            torch.sum(block, dim=1, out=centre[nodes])
        return centre, neighbours.sum(edge_gradient), distances.transpose(edge_gradient), None, None
