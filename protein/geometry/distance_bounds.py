"""Pairs of points that should be no nearer and no farther than given distances: what it costs to miss these.

Shapes: M points, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_A = 1e-3
"""Points closer than this are pushed apart no harder: which way is chance."""


@dataclass(frozen=True)
class Bounds:
    """Least and largest distances of pairs of points, in double precision.

    first, second    [P] int64, numbers of the points
    lowest, highest  [P] Å
    weight           [P] what a square Å costs by which a distance lies outside
    """

    first: Tensor
    second: Tensor
    lowest: Tensor
    highest: Tensor
    weight: Tensor

    @classmethod
    def of(
        cls, first: Tensor, second: Tensor, lowest: Tensor | float, highest: Tensor | float, weight: float
    ) -> Bounds:
        """Numbers hold for all pairs."""
        known = (torch.as_tensor(value, dtype=torch.float64) for value in (lowest, highest, weight))
        return cls(first, second, *(value.expand(len(first)) for value in known))

    @classmethod
    def joined(cls, parts: Sequence[Bounds]) -> Bounds:
        """The pairs of several."""
        return cls(*(torch.cat(columns) for columns in zip(*(vars(part).values() for part in parts), strict=True)))

    def missed(self, points: Tensor) -> Tensor:
        """By how much distances lie outside [P] in Å, negative where points [M, 3] are too near."""
        return self._missed(self._apart(points)[1])

    def cost(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The cost of points [M, 3] in Å, and its gradient [M, 3]."""
        apart, distance = self._apart(points)
        missed = self._missed(distance)
        (outside,) = torch.nonzero(missed, as_tuple=True)
        first, second, missed = (one[outside] for one in (self.first, self.second, missed))
        force = self.weight[outside] * missed
        gradient = pulled(points, first, second, apart[outside], 2 * force / distance[outside])
        return force @ missed, gradient

    def _apart(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return separation(points, self.first, self.second)

    def _missed(self, distance: Tensor) -> Tensor:
        return distance - distance.clamp(self.lowest, self.highest)


def separation(points: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors from the second points of pairs to the first [P, 3], and their lengths [P]."""
    apart = points.index_select(0, first) - points.index_select(0, second)
    return apart, torch.linalg.vector_norm(apart, dim=-1).clamp_min(LEAST_A)


def pulled(points: Tensor, first: Tensor, second: Tensor, apart: Tensor, share: Tensor) -> Tensor:
    """The gradient [M, 3] by points that has `share` [P] times `apart` [P, 3] at first points, less that at second."""
    along = apart * share[:, None]
    return torch.zeros_like(points).index_add_(0, first, along).index_add_(0, second, along, alpha=-1)
