"""From molecules to graphs of atoms and bonds, with their features as small integer codes.

Shapes: N molecules, A atoms and P bonds of all molecules behind one another, F features.
The features are those of chemprop 2, "v2" (doi:10.1021/acs.jcim.3c01250): one-hot codes, aromaticity and mass of an
atom [72]; one-hot codes of a bond [14]. Eight numbers an atom and four a bond hold all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from common.app.errors import DataFormatError
from materials.data.read_molecule import read_molecule

if TYPE_CHECKING:
    from rdkit.Chem import Atom, Bond, Mol

ELEMENTS = (*range(1, 37), 53)
"""Atomic numbers with a code of their own: hydrogen to krypton, and iodine. All others, and `*`, share one."""

CHARGES = (-1, -2, 1, 2, 0)
HYBRIDIZATIONS = ("S", "SP", "SP2", "SP2D", "SP3", "SP3D", "SP3D2")
BOND_TYPES = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")

ATOM_CODES = {"element": 38, "degree": 7, "charge": 6, "chirality": 5, "hydrogens": 6, "hybridization": 8}
"""One-hot widths of an atom's codes, in order; the last code of each stands for everything else."""

STEREO_CODES = 7
ATOM_FEATURES = sum(ATOM_CODES.values()) + 2
BOND_FEATURES = 1 + len(BOND_TYPES) + 2 + STEREO_CODES


@dataclass(frozen=True, eq=False)
class MolecularGraphs:
    """One graph a molecule, atoms and bonds as two ragged arrays.

    n_atoms     [N]     int64
    n_bonds     [N]     int64
    atom_codes  [A, 7]  uint8: the six of ATOM_CODES, then aromatic 0/1
    masses      [A]     float32, in 100 dalton: of the isotope, or the element's mean
    ends        [P, 2]  int32, begin and end atom, counted within the molecule
    bond_codes  [P, 4]  uint8: type (4: other), conjugated 0/1, in a ring 0/1, stereo
    """

    n_atoms: np.ndarray
    n_bonds: np.ndarray
    atom_codes: np.ndarray
    masses: np.ndarray
    ends: np.ndarray
    bond_codes: np.ndarray

    def __len__(self) -> int:
        return len(self.n_atoms)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fields by name, as a cache stores them."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> MolecularGraphs:
        """The inverse of `to_arrays`; other names are ignored."""
        return cls(*(arrays[one.name] for one in fields(cls)))

    @classmethod
    def concatenate(cls, parts: Sequence[MolecularGraphs]) -> MolecularGraphs:
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))

    @classmethod
    def from_smiles(cls, smiles: Iterable[str]) -> MolecularGraphs:
        """Raises DataFormatError that names the row (from 0) and the reason."""
        molecules = []
        for row, one in enumerate(smiles):
            try:
                molecules.append(read_molecule(one))
            except DataFormatError as error:
                raise DataFormatError(f"row {row}: {error}") from error
        return cls.from_molecules(molecules)

    @classmethod
    def from_molecules(cls, molecules: Sequence[Mol]) -> MolecularGraphs:
        """From sanitised RDKit molecules, each with at least one atom."""
        atoms, bonds, masses, ends = [], [], [], []
        tables = _Tables()
        for molecule in molecules:
            # By index: RDKit's own sequences ask for their length at every step.
            for atom in map(molecule.GetAtomWithIdx, range(molecule.GetNumAtoms())):
                atoms.append(tables.atom(atom))
                masses.append(0.01 * atom.GetMass())
            for bond in map(molecule.GetBondWithIdx, range(molecule.GetNumBonds())):
                ends.append((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
                bonds.append(tables.bond(bond))
        return cls(
            np.array([molecule.GetNumAtoms() for molecule in molecules], np.int64),
            np.array([molecule.GetNumBonds() for molecule in molecules], np.int64),
            np.array(atoms, np.uint8).reshape(-1, len(ATOM_CODES) + 1),
            np.array(masses, np.float32),
            np.array(ends, np.int32).reshape(-1, 2),
            np.array(bonds, np.uint8).reshape(-1, 4),
        )


def atom_features(codes: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """The features as numbers, [A, 7], [A] -> [A, 72] float32."""
    features = np.zeros((len(codes), ATOM_FEATURES), np.float32)
    rows, first = np.arange(len(codes)), 0
    for column, width in enumerate(ATOM_CODES.values()):
        features[rows, first + codes[:, column]] = 1
        first += width
    features[:, first], features[:, first + 1] = codes[:, -1], masses
    return features


def bond_features(codes: np.ndarray) -> np.ndarray:
    """[P, 4] -> [P, 14] float32; the first feature, "no bond", is always 0."""
    features = np.zeros((len(codes), BOND_FEATURES), np.float32)
    rows, types = np.arange(len(codes)), len(BOND_TYPES)
    known = codes[:, 0] < types
    features[rows[known], 1 + codes[known, 0]] = 1
    features[:, 1 + types], features[:, 2 + types] = codes[:, 1], codes[:, 2]
    features[rows, 3 + types + codes[:, 3]] = 1
    return features


class _Tables:
    """RDKit's values to codes."""

    def __init__(self) -> None:
        from rdkit.Chem import BondStereo, BondType, ChiralType, HybridizationType

        self.element = {number: code for code, number in enumerate(ELEMENTS)}
        self.charge = {charge: code for code, charge in enumerate(CHARGES)}
        self.chirality = {tag: min(int(tag), ATOM_CODES["chirality"] - 1) for tag in ChiralType.values.values()}
        self.hybridization = {getattr(HybridizationType, name): code for code, name in enumerate(HYBRIDIZATIONS)}
        self.bond_type = {getattr(BondType, name): code for code, name in enumerate(BOND_TYPES)}
        self.stereo = {tag: min(int(tag), STEREO_CODES - 1) for tag in BondStereo.values.values()}

    def atom(self, atom: Atom) -> tuple[int, ...]:
        return (
            self.element.get(atom.GetAtomicNum(), len(ELEMENTS)),
            min(atom.GetTotalDegree(), ATOM_CODES["degree"] - 1),
            self.charge.get(atom.GetFormalCharge(), len(CHARGES)),
            self.chirality[atom.GetChiralTag()],
            min(atom.GetTotalNumHs(), ATOM_CODES["hydrogens"] - 1),
            self.hybridization.get(atom.GetHybridization(), len(HYBRIDIZATIONS)),
            atom.GetIsAromatic(),
        )

    def bond(self, bond: Bond) -> tuple[int, ...]:
        return (
            self.bond_type.get(bond.GetBondType(), len(BOND_TYPES)),
            bond.GetIsConjugated(),
            bond.IsInRing(),
            self.stereo[bond.GetStereo()],
        )
