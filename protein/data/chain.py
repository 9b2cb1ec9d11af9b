"""One protein chain: its sequence and what is known of its atoms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from common.app.errors import DataFormatError
from protein.data.residues import COLUMN37, COLUMN37_OF_14, HAS_ATOM14, types_of

UNNUMBERED = -32768
"""The number of a residue to which the file gives none."""


@dataclass(frozen=True, eq=False)
class Chain:
    """L residues.

    id               such as "1ubq_A"
    sequence         one-letter codes, X where unknown; residues that the experiment does not show included if stated
    atom37           [L, 37, 3] float32 in Å, NaN where an atom is missing
    b_factor         [L, 37] float32 in Å^2 (of predictions: pLDDT), NaN where an atom is missing
    number           [L] int32, the author's residue number
    insertion        [L] text, insertion code, empty for most
    has_full_sequence  whether residues without coordinates are part of `sequence`
    resolution       Å, NaN if unknown
    method, deposit_date, source   text, empty if unknown

    Raises DataFormatError if shapes disagree.
    """

    id: str
    sequence: str
    atom37: np.ndarray
    b_factor: np.ndarray
    number: np.ndarray
    insertion: np.ndarray
    has_full_sequence: bool = False
    resolution: float = float("nan")
    method: str = ""
    deposit_date: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        n = len(self.sequence)
        shapes = {"atom37": (n, 37, 3), "b_factor": (n, 37), "number": (n,), "insertion": (n,)}
        for name, shape in shapes.items():
            found = np.shape(getattr(self, name))
            if found != shape:
                raise DataFormatError(f"chain {self.id}: {name} has shape {found}, expected {shape}")

    def __len__(self) -> int:
        return len(self.sequence)

    @cached_property
    def types(self) -> np.ndarray:
        """[L] int64, see `residues`."""
        return types_of(self.sequence)

    @cached_property
    def mask(self) -> np.ndarray:
        """[L, 37] bool: atoms that are there."""
        return np.isfinite(self.atom37[..., 0])

    @cached_property
    def atom14(self) -> np.ndarray:
        """[L, 14, 3] float32 in Å, NaN where missing."""
        atoms = np.take_along_axis(self.atom37, COLUMN37_OF_14[self.types][..., None], 1)
        return np.where(HAS_ATOM14[self.types][..., None], atoms, np.float32(np.nan))

    @property
    def observed(self) -> np.ndarray:
        """[L] bool: residues with a C-alpha atom."""
        return self.mask[:, COLUMN37["CA"]]
