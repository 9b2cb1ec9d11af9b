"""What lies beyond the edge of a grid, for convolutions on planes.

On a globe longitudes close the circle, and beyond a pole lies the same latitude half a turn away (components of vectors
keep the sign they have in the file; a network learns the change). Around a region nothing is known: the edge is
repeated. Shapes: H latitudes, W longitudes.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Boundary = Literal["globe", "globe_with_poles", "region"]
"""Whether the first and last row lie half a cell from the poles, on them, or anywhere."""


def pad(x: Tensor, rows: int, columns: int, boundary: Boundary) -> Tensor:
    """[B, C, H, W] -> [B, C, H + 2 rows, W + 2 columns]; rows < H, columns <= W."""
    if boundary == "region":
        return F.pad(x, (columns, columns, rows, rows), mode="replicate")
    if rows:
        first = int(boundary == "globe_with_poles")
        turned = x.roll(x.shape[3] // 2, dims=3)
        south = turned[:, :, first : first + rows].flip(2)
        north = turned[:, :, x.shape[2] - first - rows : x.shape[2] - first].flip(2)
        x = torch.cat([south, x, north], dim=2)
    return torch.cat([x[..., x.shape[3] - columns :], x, x[..., :columns]], dim=3) if columns else x
