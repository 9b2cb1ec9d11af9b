"""The rigid motion that brings one set of points onto another with the least squared distance.

Kabsch, Acta Cryst. A34, 827 (1978), doi:10.1107/S0567739478001680; Umeyama, IEEE TPAMI 13, 376 (1991),
doi:10.1109/34.88573. Shapes: ... batch, N points.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from protein.geometry.frames import Frames

SINGULAR = 1e-6
"""Share of the trace below which a direction of turning counts as undetermined: it gets no gradient to speak of."""


def superpose(moving: Tensor, fixed: Tensor, weights: Tensor | None = None) -> Frames:
    """The motion [...] that takes `moving` [..., N, 3] nearest to `fixed` [..., N, 3]; never a mirror image.

    weights  [..., N], not negative; zero leaves a point out (default: all 1)

    Differentiable in both sets. Where several rotations are equally good (fewer than three points, all on a line) one
    of them is returned and its gradient stays finite.
    """
    share = torch.ones_like(moving[..., 0]) if weights is None else weights.to(moving.dtype)
    share = share / share.sum(-1, keepdim=True).clamp_min(torch.finfo(moving.dtype).tiny)
    from_centre, to_centre = (torch.einsum("...n,...ni->...i", share, points) for points in (moving, fixed))
    covariance = torch.einsum(
        "...n,...ni,...nj->...ij", share, fixed - to_centre[..., None, :], moving - from_centre[..., None, :]
    )
    rotation = nearest_rotation(covariance)
    return Frames(rotation, to_centre - torch.einsum("...ij,...j->...i", rotation, from_centre))


def rmsd(moving: Tensor, fixed: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root mean square distance [...] after superposition, of points [..., N, 3] where mask [..., N]; same unit."""
    weights = torch.ones_like(moving[..., 0]) if mask is None else mask.to(moving.dtype)
    moved = superpose(moving, fixed, weights).unsqueeze(-1).apply(moving)
    squared = ((moved - fixed) ** 2).sum(-1)
    return torch.sqrt((squared * weights).sum(-1) / weights.sum(-1).clamp_min(1))


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotation R [..., 3, 3] with the largest trace of R^T M, for M [..., 3, 3]."""
    return _NearestRotation.apply(matrix)  # pyright: ignore[reportReturnType]


class _NearestRotation(torch.autograd.Function):
    """By singular values; its derivative by the stationarity of R instead of theirs, which diverges where two agree.

    At the optimum S = R^T M is symmetric. A change dM turns R by R [w], where (tr(S) 1 - S) w is the axial vector of
    R^T dM. That matrix is singular only where the optimum is not unique.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        u, _, vh = torch.linalg.svd(matrix)
        handed = torch.ones_like(matrix[..., 0])
        handed[..., 2] = torch.linalg.det(u @ vh).sign()
        rotation = (u * handed[..., None, :]) @ vh
        ctx.save_for_backward(matrix, rotation)
        return rotation

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        matrix, rotation = ctx.saved_tensors
        stretch = rotation.mT @ matrix
        trace = stretch.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        one = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
        tiny = torch.finfo(matrix.dtype).tiny ** 0.5
        system = trace * one - (stretch + stretch.mT) / 2 + (trace.abs() * SINGULAR + tiny) * one
        turn = torch.linalg.solve(system, _axial(rotation.mT @ gradients[0])[..., None])[..., 0]
        return rotation @ _cross_matrix(turn)


def _axial(matrix: Tensor) -> Tensor:
    """The vector [..., 3] of the antisymmetric part of [..., 3, 3], twice."""
    turned = matrix - matrix.mT
    return torch.stack([turned[..., 2, 1], turned[..., 0, 2], turned[..., 1, 0]], -1)


def _cross_matrix(vector: Tensor) -> Tensor:
    """[..., 3, 3] that takes x to vector times x."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
