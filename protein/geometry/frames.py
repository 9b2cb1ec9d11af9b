"""Rigid frames: a rotation and a translation that take local coordinates to global ones, x -> R x + t.

Shapes: ... any batch of frames, that of rotation[..., 3, 3] without its last two axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-8
"""Å^2, added to squared lengths: keeps gradients finite where points coincide."""


@dataclass(frozen=True)
class Frames:
    """A batch of rigid frames.

    rotation     [..., 3, 3], columns are the local axes
    translation  [..., 3], the local origin, Å
    """

    rotation: Tensor
    translation: Tensor

    @classmethod
    def identity(cls, shape: Sequence[int], like: Tensor) -> Frames:
        """Frames that change nothing, of dtype and device as `like`."""
        rotation = torch.eye(3, dtype=like.dtype, device=like.device).expand(*shape, 3, 3)
        return cls(rotation, like.new_zeros(*shape, 3))

    @classmethod
    def from_axes(cls, origin: Tensor, along_x: Tensor, in_xy_plane: Tensor) -> Frames:
        """Gram-Schmidt: x along the first vector, y in the plane of both, on the side of the second.

        Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithm 21.
        """
        x = unit(along_x)
        y = unit(in_xy_plane - x * (x * in_xy_plane).sum(-1, keepdim=True))
        return cls(torch.stack([x, y, torch.linalg.cross(x, y)], -1), origin)

    @classmethod
    def of_backbone(cls, n: Tensor, ca: Tensor, c: Tensor) -> Frames:
        """The frame of a residue: origin at C-alpha, x towards C, N in the xy plane; atoms [..., 3] in Å."""
        return cls.from_axes(ca, c - ca, n - ca)

    @classmethod
    def from_quaternion(cls, quaternion: Tensor, translation: Tensor) -> Frames:
        """Quaternions [..., 4], real part first, of any length but zero."""
        w, x, y, z = functional.normalize(quaternion, dim=-1, eps=EPSILON).unbind(-1)
        rows = [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ]  # fmt: skip
        return cls(torch.stack(rows, -1).unflatten(-1, (3, 3)), translation)

    def quaternion(self) -> Tensor:
        """[..., 4], real part first and not negative, length 1.

        Of the four ways to read it off the matrix the one with the largest divisor is taken: Shepperd, J. Guid.
        Control 1, 223 (1978), doi:10.2514/3.55767b.
        """
        (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in self.rotation.unbind(-2))
        table = torch.stack(
            [
                torch.stack([1 + a + e + i, h - f, c - g, d - b], -1),
                torch.stack([h - f, 1 + a - e - i, b + d, c + g], -1),
                torch.stack([c - g, b + d, 1 - a + e - i, f + h], -1),
                torch.stack([d - b, c + g, f + h, 1 - a - e + i], -1),
            ],
            -2,
        )
        best = table.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None].expand(*table.shape[:-2], 1, 4)
        chosen = functional.normalize(table.gather(-2, best).squeeze(-2), dim=-1)
        return torch.where(chosen[..., :1] < 0, -chosen, chosen)

    def compose(self, inner: Frames) -> Frames:
        """`inner` first, then this one."""
        return Frames(self.rotation @ inner.rotation, self.apply(inner.translation))

    def invert(self) -> Frames:
        """Global to local."""
        back = self.rotation.mT
        return Frames(back, -_rotate(back, self.translation))

    def apply(self, points: Tensor) -> Tensor:
        """Local points [..., 3] to global ones."""
        return _rotate(self.rotation, points) + self.translation

    def apply_inverse(self, points: Tensor) -> Tensor:
        """Global points [..., 3] to local ones."""
        return _rotate(self.rotation.mT, points - self.translation)

    def update(self, step: Tensor) -> Frames:
        """Turned and moved by [..., 6] in local axes: the imaginary part of the quaternion (1, b, c, d), and Å.

        Jumper et al., supplement, algorithm 23.
        """
        turn = torch.cat([torch.ones_like(step[..., :1]), step[..., :3]], -1)
        return self.compose(Frames.from_quaternion(turn, step[..., 3:]))

    def with_fixed_rotation(self) -> Frames:
        """No gradient through the rotation."""
        return Frames(self.rotation.detach(), self.translation)

    def scaled(self, factor: float) -> Frames:
        """Translation in another unit of length."""
        return Frames(self.rotation, self.translation * factor)

    def unsqueeze(self, dim: int) -> Frames:
        """A new axis of the batch at `dim`, negative: counted from the batch's end."""
        return Frames(self.rotation.unsqueeze(dim - 2), self.translation.unsqueeze(dim - 1))

    @property
    def shape(self) -> torch.Size:
        """Of the batch."""
        return self.translation.shape[:-1]

    def to(self, dtype: torch.dtype) -> Frames:
        """With other numbers."""
        return Frames(self.rotation.to(dtype), self.translation.to(dtype))


def unit(vector: Tensor) -> Tensor:
    """Vectors [..., 3] of length 1; zero stays zero, with a finite gradient."""
    return vector * torch.rsqrt((vector * vector).sum(-1, keepdim=True) + EPSILON)


def _rotate(rotation: Tensor, points: Tensor) -> Tensor:
    """[..., 3, 3] times [..., 3], in full precision also under autocast."""
    x, y, z = rotation.unbind(-1)
    along_x, along_y, along_z = points.unsqueeze(-2).unbind(-1)
    return x * along_x + y * along_y + z * along_z  # several times as fast as a sum over an axis of three
