"""Triangle multiplication in two Triton kernels around one product of matrices, for prediction on a GPU.

Each reads its pairs once and writes its result once; what lies between (normed pairs, values, gates) stays on the chip.
The reference is `triangle_multiplication`, in plain torch, which gradients take in any case.
Shapes: B batch, N residues, C width, K hidden width.
"""

from __future__ import annotations

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor, nn

ROWS, COLUMNS = 32, 32
"""Pairs and channels that are worked on together."""


def gated_edges(
    pair: Tensor, norm: nn.LayerNorm, values: nn.Linear, gates: nn.Linear, mask: Tensor | None, outgoing: bool
) -> Tensor:
    """values(norm(pair)) sigmoid(gates(norm(pair))) as [B, 2K, N, N]; zero where the node summed over is padding.

    pair [B, N, N, C]; mask [B, N] bool
    """
    dtype = _dtype(pair)
    batch, nodes, _, width = pair.shape
    channels = values.out_features
    found = pair.new_empty(batch, channels, nodes, nodes, dtype=dtype)
    grid = (triton.cdiv(nodes * nodes, ROWS), channels // COLUMNS, batch)
    _edges_kernel[grid](  # pyright: ignore[reportIndexIssue]
        pair.contiguous(), norm.weight, norm.bias, values.weight.to(dtype), values.bias, gates.weight.to(dtype),
        gates.bias, pair if mask is None else mask.to(torch.int8), found, nodes, norm.eps,
        WIDTH=width, CHANNELS=channels, ROWS=ROWS, COLUMNS=COLUMNS, MASKED=mask is not None, OUTGOING=outgoing,
    )  # fmt: skip
    return found


def add_gated(
    pair: Tensor, product: Tensor, norm_out: nn.LayerNorm, out: nn.Linear, norm: nn.LayerNorm, gate: nn.Linear
) -> Tensor:
    """pair plus out(norm_out(product)) sigmoid(gate(norm(pair))) [B, N, N, C], written over a contiguous `pair`.

    product [B, K, N, N]
    """
    dtype, pair, product = _dtype(pair), pair.contiguous(), product.contiguous()
    batch, nodes, _, width = pair.shape
    _update_kernel[(triton.cdiv(nodes * nodes, ROWS), batch)](  # pyright: ignore[reportIndexIssue]
        pair, product, norm_out.weight, norm_out.bias, out.weight.to(dtype), out.bias, norm.weight, norm.bias,
        gate.weight.to(dtype), gate.bias, nodes, norm_out.eps, norm.eps,
        WIDTH=width, HIDDEN=product.shape[1], ROWS=ROWS,
    )  # fmt: skip
    return pair


def _dtype(pair: Tensor) -> torch.dtype:
    """Of factors of products: what autocast asks for, if it does."""
    kind = pair.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else pair.dtype


@triton.jit
def _normed(x, scale, shift, epsilon, WIDTH: tl.constexpr):
    """Rows [r, WIDTH] in 32 bits less their mean, over their deviation."""
    centred = x - (tl.sum(x, 1) / WIDTH)[:, None]
    spread = tl.sum(centred * centred, 1) / WIDTH
    column = tl.arange(0, WIDTH)[None, :]
    normed = centred / tl.sqrt(spread + epsilon)[:, None]
    return normed * tl.load(scale + column).to(tl.float32) + tl.load(shift + column).to(tl.float32)


@triton.jit
def _linear(x, weight, bias, row, column):
    """x [r, inputs] through the outputs `row` [1, k] of a layer, in 32 bits [r, k]; `column` [inputs, 1]."""
    inputs = column.shape[0]
    factor = tl.load(weight + row * inputs + column)
    return tl.dot(x.to(factor.dtype), factor, input_precision="tf32x3") + tl.load(bias + row).to(tl.float32)


@triton.jit
def _edges_kernel(
    pair, scale, shift, weight, bias, gate_weight, gate_bias, mask, found, nodes, epsilon,
    WIDTH: tl.constexpr, CHANNELS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    MASKED: tl.constexpr, OUTGOING: tl.constexpr,
):  # fmt: skip
    count, sample = nodes * nodes, tl.program_id(2).to(tl.int64)
    place = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    channel = (tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    column = tl.arange(0, WIDTH)
    exists = place < count
    x = tl.load(pair + (sample * count + place) * WIDTH + column[None, :], mask=exists, other=0.0).to(tl.float32)
    x = _normed(x, scale, shift, epsilon, WIDTH)
    values = _linear(x, weight, bias, channel, column[:, None])
    edges = values * tl.sigmoid(_linear(x, gate_weight, gate_bias, channel, column[:, None]))
    if MASKED:
        node = place % nodes if OUTGOING else place // nodes
        edges = tl.where(tl.load(mask + sample * nodes + node, mask=exists, other=0) != 0, edges, 0.0)
    tl.store(found + (sample * CHANNELS + channel) * count + place, edges.to(found.dtype.element_ty), mask=exists)


@triton.jit
def _update_kernel(
    pair, product, scale_out, shift_out, weight, bias, scale, shift, gate_weight, gate_bias,
    nodes, epsilon_out, epsilon,
    WIDTH: tl.constexpr, HIDDEN: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    count, sample = nodes * nodes, tl.program_id(1).to(tl.int64)
    place = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    hidden, column = tl.arange(0, HIDDEN), tl.arange(0, WIDTH)
    exists = place < count
    summed = tl.load(product + (sample * HIDDEN + hidden[None, :]) * count + place, mask=exists, other=0.0)
    summed = _normed(summed.to(tl.float32), scale_out, shift_out, epsilon_out, HIDDEN)
    update = _linear(summed, weight, bias, column[None, :], hidden[:, None])
    here = pair + (sample * count + place) * WIDTH + column[None, :]
    x = tl.load(here, mask=exists, other=0.0).to(tl.float32)
    normed = _normed(x, scale, shift, epsilon, WIDTH)
    gate = _linear(normed, gate_weight, gate_bias, column[None, :], column[:, None])
    tl.store(here, (x + update * tl.sigmoid(gate)).to(pair.dtype.element_ty), mask=exists)
