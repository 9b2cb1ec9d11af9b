"""The superposition that suits a score best, where least squares over all residues is not it.

As in the TM-score program (Zhang & Skolnick, Proteins 57, 702 (2004), doi:10.1002/prot.20264) the search starts from
superpositions of fragments and improves each by superposing again with more weight on residues that lie close. The
weights are the derivative of the TM-score by squared distance, so that no round can lower it (majorisation).

Shapes: B pairs, S superpositions of each, N residues; pairs are independent, and padding changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from protein.geometry.superposition import nearest_rotation

LEVELS = 6
"""Fragments are the whole chain, halves, quarters and so on, so many times, each overlapping the next by half."""

SHORTEST_FRAGMENT = 4
SEARCH_SCALE_A = (4.5, 8.0)
"""Bounds of the distance at which weights fall off in the first rounds."""

FIRST_ROUNDS = 2
KEPT = 8
LAST_ROUNDS = 12
SHARP_ROUNDS = 24
OUTSIDE = 0.1
"""Factor of weights beyond the threshold in sharp rounds, where those within it count alike."""

CHUNK_ELEMENTS = 4_000_000
"""B S N at a time."""

Terms = Callable[[Tensor, Tensor], Tensor]
"""What residues add to a score, [B, S, N], by squared distance [B, S, N] and scale [B, 1, 1] in Å."""


class _Points(NamedTuple):
    """Residues present in both structures come first.

    products  [B, N, 17] of which weighted covariances and squared distances are linear functions
    present   [B, N] bool
    """

    products: Tensor
    present: Tensor


@torch.no_grad()
def largest_sum(
    model: Tensor, native: Tensor, mask: Tensor | None, terms: Terms, scale_a: Tensor, sharp: bool = False
) -> Tensor:
    """The largest sum over residues of `terms` that a superposition of the model was found to give, [...] float64.

    model, native  [..., N, 3] in Å
    mask           [..., N] bool (default: all)
    scale_a        [...] distance at which a term falls to half, Å
    sharp          terms fall to nothing there: superpose on residues within it as well
    """
    present = torch.ones_like(native[..., 0], dtype=torch.bool) if mask is None else mask
    shape, n = torch.broadcast_shapes(model.shape[:-2], native.shape[:-2], present.shape[:-1]), native.shape[-2]
    model, native = (points.expand(*shape, n, 3).reshape(-1, n, 3).double() for points in (model, native))
    present, scale = present.expand(*shape, n).reshape(-1, n), scale_a.double().expand(shape).reshape(-1)
    pairs = max(1, CHUNK_ELEMENTS // (max(n, 1) * (2 ** (LEVELS + 1))))
    chunks = zip(*(value.split(pairs) for value in (model, native, present, scale)), strict=True)
    best = [_search(_points(x, y, here), terms, s[:, None, None], sharp) for x, y, here, s in chunks]
    return torch.cat([native.new_zeros(0), *best]).reshape(shape)


def _search(points: _Points, terms: Terms, scale: Tensor, sharp: bool) -> Tensor:
    weights = _fragments(points.present)
    best = scale.new_zeros(len(scale))
    squared = scores = weights
    for _ in range(FIRST_ROUNDS):
        squared = _squared_distances(points, weights)
        scores = (terms(squared, scale) * points.present[:, None]).sum(-1)
        best = torch.maximum(best, scores.amax(-1))
        weights = _closeness(squared, scale.clamp(*SEARCH_SCALE_A), points.present)
    top = scores.topk(min(KEPT, scores.shape[-1])).indices[..., None].expand(-1, -1, squared.shape[-1])
    squared = squared.gather(1, top)
    for round in range(SHARP_ROUNDS if sharp else LAST_ROUNDS):
        weights = _closeness(squared, scale, points.present)
        if sharp and round % 4:
            weights = weights * torch.where(squared <= scale**2, 1 + squared / scale**2, OUTSIDE) ** 2
        squared = _squared_distances(points, weights)
        best = torch.maximum(best, (terms(squared, scale) * points.present[:, None]).sum(-1).amax(-1))
    return best


def _closeness(squared: Tensor, scale: Tensor, present: Tensor) -> Tensor:
    """Minus the derivative of 1 / (1 + d^2 / scale^2) by d^2, times scale^2."""
    return (1 + squared / scale**2) ** -2 * present[:, None]


def _points(model: Tensor, native: Tensor, present: Tensor) -> _Points:
    order = present.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
    present = present.gather(-1, order)
    count = present.sum(-1).clamp_min(1)[:, None, None]

    def centred(points: Tensor) -> Tensor:
        moved = points.gather(1, order[..., None].expand_as(points))
        moved = torch.where(present[..., None], moved, 0.0)
        return torch.where(present[..., None], moved - moved.sum(1, keepdim=True) / count, 0.0)

    x, y = centred(model), centred(native)
    outer = (y[..., :, None] * x[..., None, :]).flatten(-2)
    squares = (x * x + y * y).sum(-1, keepdim=True)
    return _Points(torch.cat([outer, x, y, squares, torch.ones_like(squares)], -1), present)


def _fragments(present: Tensor) -> Tensor:
    """[B, S, N] float64: 1 for the residues of each fragment."""
    count = present.sum(-1)[:, None]
    place = torch.arange(present.shape[-1], device=present.device)
    levels = []
    for level in range(LEVELS):
        length = (count // 2**level).clamp_min(SHORTEST_FRAGMENT).minimum(count)
        steps = torch.linspace(0, 1, 2 ** (level + 1) - 1, dtype=torch.float64, device=present.device)
        start = (steps * (count - length)).floor().long()[..., None]
        levels.append((place >= start) & (place < start + length[..., None]))
    return torch.cat(levels, 1).double()


def _squared_distances(points: _Points, weights: Tensor) -> Tensor:
    """[B, S, N] after superposing with weights [B, S, N].

    |R x + t - y|^2 is linear in the products of coordinates, so one matrix product serves all residues.
    """
    total = weights.sum(-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
    means = (weights @ points.products[..., :15]) / total
    outer, x, y = means.split([9, 3, 3], -1)
    covariance = outer.unflatten(-1, (3, 3)) - y[..., :, None] * x[..., None, :]
    rotation = nearest_rotation(covariance)
    shift = y - (rotation @ x[..., None])[..., 0]
    along = (rotation.mT @ shift[..., None])[..., 0]
    one = torch.ones_like(shift[..., :1])
    factors = [-2 * rotation.flatten(-2), 2 * along, -2 * shift, one, (shift * shift).sum(-1, keepdim=True)]
    return (torch.cat(factors, -1) @ points.products.mT).clamp_min_(0)
