"""The tables of residues and ideal geometry as tensors, made once a device."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from protein.data import residues
from protein.geometry import ideal_geometry

_TABLES: dict[str, np.ndarray] = {
    "column37_of_14": residues.COLUMN37_OF_14,
    "column14_of_37": residues.COLUMN14_OF_37,
    "has_atom14": residues.HAS_ATOM14,
    "has_atom37": residues.HAS_ATOM37,
    "chi_columns37": residues.CHI_COLUMNS37,
    "has_chi": residues.HAS_CHI,
    "chi_is_symmetric": residues.CHI_IS_SYMMETRIC,
    "swapped14": residues.SWAPPED14,
    "group_of_atom14": ideal_geometry.GROUP_OF_ATOM14,
    "position14": ideal_geometry.POSITION14,
    "group_rotation": ideal_geometry.GROUP_ROTATION,
    "group_translation": ideal_geometry.GROUP_TRANSLATION,
    "group_columns37": ideal_geometry.GROUP_COLUMNS37,
    "has_group": ideal_geometry.HAS_GROUP,
    "distance_mean": ideal_geometry.DISTANCE_MEAN,
    "distance_deviation": ideal_geometry.DISTANCE_DEVIATION,
    "bond_mean": ideal_geometry.BOND_MEAN,
    "radius14": ideal_geometry.RADIUS14,
}


def look_up(name: str, types: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Rows of a table, by name, for residue types [...]: [..., shape of a row]."""
    return _tensor(name, types.device, dtype)[types]


@cache
def _tensor(name: str, device: torch.device, dtype: torch.dtype | None) -> Tensor:
    with torch.inference_mode(False):  # a tensor of inference could not take part in training later
        return torch.tensor(_TABLES[name], device=device, dtype=dtype)
