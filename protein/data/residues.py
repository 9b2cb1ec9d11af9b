"""The twenty amino acids and their heavy atoms: letters, names and orders that every other module indexes by.

Residue types are numbered in alphabetical order of the three-letter names, as in AlphaFold 2 (Jumper et al., Nature
596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.2.1); 20 is X, any other residue. Two layouts of atoms:
atom37, one column for every name in any residue; atom14, a residue's own atoms one after another.
Names of atoms and torsions: IUPAC-IUB, Biochemistry 9, 3471 (1970), doi:10.1021/bi00820a001.
"""

from __future__ import annotations

from typing import Final

import numpy as np

LETTERS: Final = "ARNDCQEGHILKMFPSTWYV"
LETTERS_X: Final = LETTERS + "X"
UNKNOWN: Final = 20
"""The type of X."""

NAMES: Final = (
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE",
    "LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL", "UNK",
)  # fmt: skip
"""Three-letter name of each type."""

TYPE_OF_LETTER: Final = {letter: number for number, letter in enumerate(LETTERS_X)}
TYPE_OF_NAME: Final = {name: number for number, name in enumerate(NAMES)}

ATOM37: Final = (
    "N", "CA", "C", "CB", "O", "CG", "CG1", "CG2", "OG", "OG1", "SG", "CD", "CD1", "CD2", "ND1", "ND2", "OD1", "OD2",
    "SD", "CE", "CE1", "CE2", "CE3", "NE", "NE1", "NE2", "OE1", "OE2", "CH2", "NH1", "NH2", "OH", "CZ", "CZ2", "CZ3",
    "NZ", "OXT",
)  # fmt: skip
COLUMN37: Final = {name: column for column, name in enumerate(ATOM37)}

_SIDE_CHAINS: Final = (
    "CB",
    "CB CG CD NE CZ NH1 NH2",
    "CB CG OD1 ND2",
    "CB CG OD1 OD2",
    "CB SG",
    "CB CG CD OE1 NE2",
    "CB CG CD OE1 OE2",
    "",
    "CB CG ND1 CD2 CE1 NE2",
    "CB CG1 CG2 CD1",
    "CB CG CD1 CD2",
    "CB CG CD CE NZ",
    "CB CG SD CE",
    "CB CG CD1 CD2 CE1 CE2 CZ",
    "CB CG CD",
    "CB OG",
    "CB OG1 CG2",
    "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
    "CB CG CD1 CD2 CE1 CE2 CZ OH",
    "CB CG1 CG2",
    "CB",  # X is taken for what all residues but glycine share
)

ATOM14: Final = tuple(("N", "CA", "C", "O", *side_chain.split()) for side_chain in _SIDE_CHAINS)
"""Names of each type's atoms in their order."""

COLUMN14: Final = tuple({name: column for column, name in enumerate(names)} for names in ATOM14)

CHI_ATOMS: Final = {
    "ARG": ("N CA CB CG", "CA CB CG CD", "CB CG CD NE", "CG CD NE CZ"),
    "ASN": ("N CA CB CG", "CA CB CG OD1"),
    "ASP": ("N CA CB CG", "CA CB CG OD1"),
    "CYS": ("N CA CB SG",),
    "GLN": ("N CA CB CG", "CA CB CG CD", "CB CG CD OE1"),
    "GLU": ("N CA CB CG", "CA CB CG CD", "CB CG CD OE1"),
    "HIS": ("N CA CB CG", "CA CB CG ND1"),
    "ILE": ("N CA CB CG1", "CA CB CG1 CD1"),
    "LEU": ("N CA CB CG", "CA CB CG CD1"),
    "LYS": ("N CA CB CG", "CA CB CG CD", "CB CG CD CE", "CG CD CE NZ"),
    "MET": ("N CA CB CG", "CA CB CG SD", "CB CG SD CE"),
    "PHE": ("N CA CB CG", "CA CB CG CD1"),
    "PRO": ("N CA CB CG", "CA CB CG CD"),
    "SER": ("N CA CB OG",),
    "THR": ("N CA CB OG1",),
    "TRP": ("N CA CB CG", "CA CB CG CD1"),
    "TYR": ("N CA CB CG", "CA CB CG CD1"),
    "VAL": ("N CA CB CG1",),
}
"""The four atoms of each side-chain torsion. Arginine's fifth is always near 0."""

SYMMETRIC_CHI: Final = (("ASP", 1), ("GLU", 2), ("PHE", 1), ("TYR", 1))
"""(residue, torsion counted from 0) with the same atoms after half a turn."""

SWAPPED_ATOMS: Final = {
    "ASP": (("OD1", "OD2"),),
    "GLU": (("OE1", "OE2"),),
    "PHE": (("CD1", "CD2"), ("CE1", "CE2")),
    "TYR": (("CD1", "CD2"), ("CE1", "CE2")),
}
"""Atoms that half a turn of the last torsion exchanges: which is which is a matter of naming."""


def types_of(sequence: str) -> np.ndarray:
    """Residue types of upper-case one-letter codes [N] int64; a letter that is none of the twenty is X."""
    return _TYPE_OF_BYTE[np.frombuffer(sequence.encode("ascii", "replace"), np.uint8)]


def letters_of(types: np.ndarray) -> str:
    """One-letter codes of residue types [N]."""
    return _BYTE_OF_TYPE[types].tobytes().decode()


def _table(rows: list[list[int]]) -> np.ndarray:
    table = np.array(rows, dtype=np.int64)
    table.setflags(write=False)
    return table


_TYPE_OF_BYTE = _table([[TYPE_OF_LETTER.get(chr(byte), UNKNOWN) for byte in range(256)]])[0]
_BYTE_OF_TYPE = np.frombuffer(LETTERS_X.encode(), np.uint8)

COLUMN37_OF_14: Final = _table([[COLUMN37[name] for name in names] + [0] * (14 - len(names)) for names in ATOM14])
"""[21, 14]: the atom37 column of each atom14 column; 0 where a residue has no such atom."""

COLUMN14_OF_37: Final = _table([[columns.get(name, 0) for name in ATOM37] for columns in COLUMN14])
"""[21, 37]: the atom14 column of each atom37 column; 0 where a residue has no such atom."""

HAS_ATOM14: Final = _table([[int(column < len(names)) for column in range(14)] for names in ATOM14]).astype(bool)
"""[21, 14]: the atoms that a residue has."""

HAS_ATOM37: Final = _table([[int(name in columns) for name in ATOM37] for columns in COLUMN14]).astype(bool)
"""[21, 37]: the atoms that a residue has; OXT, of the last residue only, is never counted."""

CHI_COLUMNS37: Final = np.stack(
    [
        _table([[COLUMN37[atom] for atom in chi.split()] for chi in CHI_ATOMS.get(name, ())]
               + [[0] * 4] * (4 - len(CHI_ATOMS.get(name, ()))))
        for name in NAMES
    ]
)  # fmt: skip
"""[21, 4, 4]: the atom37 columns of each side-chain torsion's atoms; 0 where there is no such torsion."""

HAS_CHI: Final = _table([[int(chi < len(CHI_ATOMS.get(name, ()))) for chi in range(4)] for name in NAMES]).astype(bool)
"""[21, 4]: the torsions that a residue has."""

CHI_IS_SYMMETRIC: Final = _table(
    [[int((name, chi) in SYMMETRIC_CHI) for chi in range(4)] for name in NAMES]
).astype(bool)  # fmt: skip
"""[21, 4]: the torsions that half a turn does not change."""


def _swapped() -> np.ndarray:
    columns = np.tile(np.arange(14), (len(NAMES), 1))
    for name, pairs in SWAPPED_ATOMS.items():
        residue = TYPE_OF_NAME[name]
        for first, second in pairs:
            one, other = COLUMN14[residue][first], COLUMN14[residue][second]
            columns[residue, [one, other]] = other, one
    return _table(columns.tolist())


SWAPPED14: Final = _swapped()
"""[21, 14]: the column that an atom has under the other naming of a symmetric side chain."""
