"""Ideal geometry of the amino acids: atoms in their rigid groups, bond lengths and angles, radii.

ideal_atoms.csv       position of every heavy atom in the frame of the rigid group that carries it, Å; from Jumper et
                      al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2 (Apache-2.0)
stereochemistry.csv   bond lengths (Å) and angles (degrees), mean and standard deviation: Engh & Huber, International
                      Tables for Crystallography F, 382 (2001), doi:10.1107/97809553602060000695

Groups: 0 backbone, 1 omega, 2 phi (both hold hydrogens only), 3 psi (the O), 4-7 the side-chain torsions chi 1-4.
A group turns about the x axis of its frame; the atom that defines its torsion lies in the xy plane at positive y.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import resources
from typing import Final

import numpy as np

from protein.data.residues import ATOM14, CHI_ATOMS, COLUMN14, COLUMN37, HAS_ATOM14, HAS_CHI, NAMES, TYPE_OF_NAME

GROUPS: Final = 8
PSI_GROUP: Final = 3
CHI_GROUPS: Final = slice(4, 8)

RADIUS_A: Final = {"C": 1.7, "N": 1.55, "O": 1.52, "S": 1.8}
"""Van der Waals radii: Bondi, J. Phys. Chem. 68, 441 (1964), doi:10.1021/j100785a001."""

PEPTIDE_BOND_A: Final = (1.329, 0.014)
PEPTIDE_BOND_PROLINE_A: Final = (1.341, 0.016)
"""C-N between residues, before any residue and before proline: mean and standard deviation (Engh & Huber)."""

COS_CA_C_N: Final = (-0.4473, 0.0311)
COS_C_N_CA: Final = (-0.5203, 0.0353)
"""Cosines of the angles at a peptide bond, 116.6 and 121.4 degrees (Engh & Huber)."""

CA_CA_A: Final = 3.80209737096
"""Between neighbouring C-alpha atoms of a trans peptide with the angles and lengths above."""


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = resources.files("protein.geometry").joinpath(name).read_text()
    yield from csv.DictReader(text.splitlines())


def _ideal_atoms() -> tuple[np.ndarray, np.ndarray]:
    group, position = np.zeros((21, 14), np.int64), np.zeros((21, 14, 3))
    for row in _rows("ideal_atoms.csv"):
        residue = TYPE_OF_NAME[row["residue"]]
        column = COLUMN14[residue][row["atom"]]
        group[residue, column] = int(row["group"])
        position[residue, column] = [float(row[axis]) for axis in ("x_a", "y_a", "z_a")]
    unknown, alanine = TYPE_OF_NAME["UNK"], TYPE_OF_NAME["ALA"]
    group[unknown], position[unknown] = group[alanine], position[alanine]
    return group, position


def _axes(along_x: np.ndarray, in_xy_plane: np.ndarray) -> np.ndarray:
    x = along_x / np.linalg.norm(along_x)
    y = in_xy_plane - x * (x @ in_xy_plane)
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], -1)


def _group_frames() -> tuple[np.ndarray, np.ndarray]:
    """Frame of each group at torsion 0 in that of the group it hangs on: the backbone, for chi 2-4 the chi before."""
    rotation, translation = np.tile(np.eye(3), (21, GROUPS, 1, 1)), np.zeros((21, GROUPS, 3))
    for residue, name in enumerate(NAMES):
        atoms = dict(zip(ATOM14[residue], POSITION14[residue], strict=False))
        rotation[residue, 2], translation[residue, 2] = _axes(atoms["N"], np.array([1.0, 0, 0])), atoms["N"]
        rotation[residue, 3], translation[residue, 3] = _axes(atoms["C"], -atoms["N"]), atoms["C"]
        for chi, names in enumerate(CHI_ATOMS.get(name, ())):
            before, start, end = (atoms[atom] for atom in names.split()[:3])
            along, plane = (end - start, before - start) if chi == 0 else (end, np.array([-1.0, 0, 0]))
            rotation[residue, 4 + chi], translation[residue, 4 + chi] = _axes(along, plane), end
    return rotation, translation


def _group_columns() -> np.ndarray:
    columns = np.zeros((21, GROUPS, 3), np.int64)
    for residue, name in enumerate(NAMES):
        chis = [chi.split()[1:] for chi in CHI_ATOMS.get(name, ())]
        for group, atoms in ((0, ["C", "CA", "N"]), (PSI_GROUP, ["CA", "C", "O"]), *enumerate(chis, 4)):
            columns[residue, group] = [COLUMN37[atom] for atom in atoms]
    return columns


def _distances() -> tuple[np.ndarray, np.ndarray]:
    """Distances that bonds and bond angles fix, the latter by the law of cosines, with propagated deviations."""
    mean, deviation = np.zeros((21, 14, 14)), np.zeros((21, 14, 14))
    rows = [(TYPE_OF_NAME[row["residue"]], row["atoms"].split("-"), row) for row in _rows("stereochemistry.csv")]
    for residue, atoms, row in sorted(rows, key=lambda item: len(item[1])):
        value, spread = float(row["mean"]), float(row["deviation"])
        columns = [COLUMN14[residue][atom] for atom in atoms]
        if len(columns) == 3:
            a, b = ((mean[residue, one, columns[1]], deviation[residue, one, columns[1]]) for one in columns[::2])
            value, spread = _opposite(a, b, (np.radians(value), np.radians(spread)))
        one, other = columns[0], columns[-1]
        mean[residue, [one, other], [other, one]] = value
        deviation[residue, [one, other], [other, one]] = spread
    return mean, deviation


def _opposite(a: tuple[float, float], b: tuple[float, float], angle: tuple[float, float]) -> tuple[float, float]:
    """The third side of a triangle, and its deviation for independent errors of two sides and their angle."""
    cosine, sine = np.cos(angle[0]), np.sin(angle[0])
    side = np.sqrt(a[0] ** 2 + b[0] ** 2 - 2 * a[0] * b[0] * cosine)
    by_angle, by_a, by_b = a[0] * b[0] * sine / side, (a[0] - b[0] * cosine) / side, (b[0] - a[0] * cosine) / side
    return side, float(np.sqrt((by_angle * angle[1]) ** 2 + (by_a * a[1]) ** 2 + (by_b * b[1]) ** 2))


GROUP_OF_ATOM14, POSITION14 = _ideal_atoms()
"""[21, 14] and [21, 14, 3] Å."""

GROUP_ROTATION, GROUP_TRANSLATION = _group_frames()
"""[21, 8, 3, 3] and [21, 8, 3] Å."""

GROUP_COLUMNS37 = _group_columns()
"""[21, 8, 3] atom37 columns: an atom on the negative x axis, the origin, and one in the xy plane. For the backbone
the first lies on the positive x axis."""

HAS_GROUP = np.concatenate([np.tile([True, False, False, True], (21, 1)), HAS_CHI], -1)
"""[21, 8]: the groups that heavy atoms of a residue define."""

DISTANCE_MEAN, DISTANCE_DEVIATION = _distances()
"""[21, 14, 14] Å: distances within a residue that bond lengths and angles fix; 0 elsewhere."""

BOND_MEAN = np.zeros((21, 14, 14))
for _row in _rows("stereochemistry.csv"):
    _columns = [COLUMN14[TYPE_OF_NAME[_row["residue"]]][_atom] for _atom in _row["atoms"].split("-")]
    if len(_columns) == 2:
        BOND_MEAN[TYPE_OF_NAME[_row["residue"]], _columns, _columns[::-1]] = float(_row["mean"])
"""[21, 14, 14] Å: lengths of covalent bonds within a residue; 0 elsewhere."""

RADIUS14 = np.where(
    HAS_ATOM14, [[RADIUS_A[name[0]] for name in names] + [0.0] * (14 - len(names)) for names in ATOM14], 0.0
)
"""[21, 14] Å."""
