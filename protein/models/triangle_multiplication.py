"""Triangle multiplication: an edge is updated from the two other edges of all triangles that it belongs to.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithms 11 and 12.
Shapes: B batch, N residues, C width, K hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from protein.models.chunking import add_by_rows, collect, slices
from protein.models.dropout import shared_dropout
from protein.models.linear import linear

CHANNELS = 16
"""Multiplied at a time where memory is saved."""

NARROWEST = 16
"""Width of the smallest matrices that Triton multiplies."""


class TriangleMultiplication(nn.Module):
    """Pairs [B, N, N, C] plus, at (i, j), a gated sum over k of a(i, k) b(j, k), outgoing, or a(k, i) b(k, j).

    `by_kernels`: without gradients everything around the product is done by `triangle_kernels`.
    """

    def __init__(self, width: int, hidden: int, outgoing: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.outgoing, self.dropout, self.by_kernels = outgoing, dropout, False
        self.norm = nn.LayerNorm(width)
        self.edges = linear(width, 2 * hidden)
        self.edges_gate = linear(width, 2 * hidden, start="gate")
        self.norm_out = nn.LayerNorm(hidden)
        self.out = linear(hidden, width, start="zero")
        self.gate = linear(width, width, start="gate")

    def forward(self, pair: Tensor, mask: Tensor | None = None, chunk: int | None = None) -> Tensor:
        """mask [B, N] bool; chunk in rows. Without gradients `pair` itself is changed."""
        if self.by_kernels and not torch.is_grad_enabled():
            return self._by_kernels(pair, mask, chunk)
        product = self._product(collect(lambda rows, where: self._edges(rows, where, mask), pair, chunk, 2), chunk)
        keep = shared_dropout(pair, self.dropout, self.training)

        def update(rows: Tensor, where: slice) -> Tensor:
            found = self.out(self.norm_out(product[:, :, where].permute(0, 2, 3, 1)))
            found = found * torch.sigmoid(self.gate(self.norm(rows)))
            return found if keep is None else found * keep

        return add_by_rows(pair, update, chunk)

    def _by_kernels(self, pair: Tensor, mask: Tensor | None, chunk: int | None) -> Tensor:
        from protein.models.triangle_kernels import add_gated, gated_edges  # triton is not installed everywhere

        product = self._product(gated_edges(pair, self.norm, self.edges, self.edges_gate, mask, self.outgoing), chunk)
        return add_gated(pair, product, self.norm_out, self.out, self.norm, self.gate)

    def _edges(self, rows: Tensor, where: slice, mask: Tensor | None) -> Tensor:
        """a and b, [B, 2K, r, N]; zero where the node that is summed over is padding."""
        count, flat = rows.shape[1], self.norm(rows).flatten(1, 2).mT
        # Channels come first here, which products with the matrix on the left give without a transposition.
        values, gates = (
            torch.baddbmm(layer.bias[None, :, None], layer.weight.expand(flat.shape[0], -1, -1), flat)
            for layer in (self.edges, self.edges_gate)
        )
        edges = (values * gates.sigmoid_()).unflatten(2, (count, -1))
        if mask is None:
            return edges
        return edges * (mask[:, None, None, :] if self.outgoing else mask[:, None, where, None])

    def _product(self, edges: Tensor, chunk: int | None) -> Tensor:
        """[B, K, N, N]"""
        a, b = edges.chunk(2, 1)
        if not self.outgoing:
            a, b = a.mT, b.mT
        if chunk is None or torch.is_grad_enabled():
            return a @ b.mT
        for where in slices(a.shape[1], CHANNELS):
            a[:, where] = a[:, where] @ b[:, where].mT
        return a


def use_kernels(model: nn.Module) -> int:
    """Let Triton kernels multiply all triangles of a model that they can; returns in how many layers.

    They take widths that are powers of two from 16 on, which those of all published models are.
    """
    layers = [one for one in model.modules() if isinstance(one, TriangleMultiplication)]
    suited = [one for one in layers if _suits(one.out.in_features) and _suits(one.out.out_features)]
    for layer in suited:
        layer.by_kernels = True
    return len(suited)


def _suits(width: int) -> bool:
    return width >= NARROWEST and width & (width - 1) == 0
