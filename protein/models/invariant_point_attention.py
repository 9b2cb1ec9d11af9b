"""Invariant point attention: attention over residues that sees points in space, and does not see how space is turned.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithm 22.
Shapes: B batch, N residues, S width of single, C width of pair, H heads, D width of a head, P points.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from protein.geometry.frames import Frames
from protein.models.linear import linear

EPSILON = 1e-8
"""Added to squared lengths of points."""


class InvariantPointAttention(nn.Module):
    """Update [B, N, S] of the residues."""

    def __init__(
        self, single: int, pair: int, heads: int, head_width: int, query_points: int, value_points: int
    ) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.query_points, self.value_points = query_points, value_points
        self.query = linear(single, heads * head_width)
        self.key_value = linear(single, 2 * heads * head_width)
        self.query_point = linear(single, 3 * heads * query_points)
        self.key_value_point = linear(single, 3 * heads * (query_points + value_points))
        self.pair_bias = linear(pair, heads)
        # softplus of this is 1
        self.point_weight = nn.Parameter(torch.full((heads,), math.log(math.e - 1)))
        self.out = linear(heads * (head_width + 4 * value_points + pair), single, start="zero")

    def bias(self, pair: Tensor, key_bias: Tensor | None) -> Tensor:
        """[B, H, N, N]: what pairs [B, N, N, C] and padding add to the logits; the same for all frames."""
        bias = self.pair_bias(pair).permute(0, 3, 1, 2) * math.sqrt(1 / 3)
        return bias if key_bias is None else bias + key_bias

    def forward(self, single: Tensor, pair: Tensor, frames: Frames, bias: Tensor) -> Tensor:
        """frames [B, N]; their unit of length is that of the points. `bias` as `bias` gives it."""
        query = self.query(single).unflatten(-1, (self.heads, self.head_width))
        key, value = self.key_value(single).unflatten(-1, (self.heads, 2 * self.head_width)).chunk(2, -1)
        query_point = self._points(self.query_point(single), frames)
        key_point, value_point = self._points(self.key_value_point(single), frames).split(
            [self.query_points, self.value_points], -2
        )
        weights = torch.softmax(self._logits(query, key, query_point, key_point) + bias, -1)
        values = torch.cat([value, value_point.flatten(-2)], -1).transpose(1, 2)
        found, found_point = (weights @ values).transpose(1, 2).split([self.head_width, 3 * self.value_points], -1)
        from_pair = weights.transpose(1, 2) @ pair
        local = _by_residue(frames).apply_inverse(found_point.unflatten(-1, (-1, 3)))
        length = torch.sqrt(local.square().sum(-1) + EPSILON)
        x, y, z = local.unbind(-1)
        return self.out(torch.cat([part.flatten(2) for part in (found, x, y, z, length, from_pair)], -1))

    def _points(self, local: Tensor, frames: Frames) -> Tensor:
        """[B, N, H, P, 3] in global coordinates, from [B, N, 3 H P] in local ones."""
        return _by_residue(frames).apply(local.unflatten(-1, (3, self.heads, -1)).movedim(2, -1))

    def _logits(self, query: Tensor, key: Tensor, query_point: Tensor, key_point: Tensor) -> Tensor:
        """[B, H, N, N].

        The squared distance of points is |q|^2 + |k|^2 - 2 q k: the first term does not matter in a softmax over keys,
        the last joins the product of queries and keys. All points are seen from their mean, so that none of the terms
        is large.
        """
        weight = functional.softplus(self.point_weight) * math.sqrt(1 / (3 * self.query_points * 9 / 2))
        centre = key_point.mean((1, 2, 3), keepdim=True)
        query_point, key_point = ((point - centre).flatten(-2) for point in (query_point, key_point))
        queries = torch.cat([query * math.sqrt(1 / (3 * self.head_width)), query_point * weight[:, None]], -1)
        keys = torch.cat([key, key_point], -1)
        offset = -0.5 * weight * key_point.square().sum(-1)
        return queries.transpose(1, 2) @ keys.permute(0, 2, 3, 1) + offset.transpose(1, 2)[:, :, None]


def _by_residue(frames: Frames) -> Frames:
    """[B, N, 1, 1], for points [B, N, H, P, 3]."""
    return frames.unsqueeze(-1).unsqueeze(-1)
