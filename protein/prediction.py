"""A predicted structure: what a researcher gets, and the files that it becomes.

Shapes: L residues, K bins of distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from protein.data.chain import Chain
from protein.data.write import write_mmcif, write_pdb


@dataclass(frozen=True, eq=False)
class Prediction:
    """One chain as a model sees it.

    id          name of the sequence
    sequence    one-letter codes as the model read them, see `protein.data.sequence`
    coords      [L, 37, 3] float32 in Å, NaN where a residue has no such atom; columns of `protein.data.residues.ATOM37`
    plddt       [L] float32, expected lDDT of the C-alpha atom in 0-100
    contacts    [L, L] float32, probability that C-beta atoms (C-alpha of glycine) are closer than 8 Å
    secondary   [L] letters of `protein.data.states.STATES`: by the model's own head, else by DSSP from `coords`
    pae         [L, L] float32 in Å, expected error of residue j seen from residue i; None where a model gives none
    ptm         expected TM-score in 0-1; None where a model gives none
    distogram   [L, L, K] float16, probabilities of distance between those atoms, see `distance_edges`; None unless
                asked for
    changes     what was read as something else, in words
    """

    id: str
    sequence: str
    coords: np.ndarray
    plddt: np.ndarray
    contacts: np.ndarray
    secondary: str
    pae: np.ndarray | None = None
    ptm: float | None = None
    distogram: np.ndarray | None = None
    changes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def mean_plddt(self) -> float:
        return float(self.plddt.mean())

    @cached_property
    def chain(self) -> Chain:
        """As a record of chain A, pLDDT in place of B factors."""
        present = np.isfinite(self.coords[..., 0])
        return Chain(
            f"{self.id}_A",
            self.sequence,
            self.coords,
            np.where(present, self.plddt[:, None], np.float32(np.nan)).astype(np.float32),
            np.arange(1, len(self) + 1, dtype=np.int32),
            np.full(len(self), "", "<U4"),
            has_full_sequence=True,
            method="THEORETICAL MODEL",
        )

    def to_pdb(self, path: str | Path) -> None:
        """Write a PDB file, pLDDT in the B-factor column; raises DataFormatError where the format has no room."""
        write_pdb(path, self.chain)

    def to_mmcif(self, path: str | Path) -> None:
        """Write an mmCIF file, pLDDT in the B-factor column."""
        write_mmcif(path, self.chain)
