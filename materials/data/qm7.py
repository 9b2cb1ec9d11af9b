"""QM7: energies of atomisation of small molecules in their relaxed geometry.

Rupp et al., doi:10.1103/PhysRevLett.108.058301; Blum & Reymond, doi:10.1021/ja902302h. 7,165 molecules of up to seven
atoms of C, N, O, S beside hydrogen, PBE0.

The packed file `materials/molecules/qm7_3d.npz` holds z and pos (angstrom) of all atoms behind one another, n_atoms,
u0_atom (kcal/mol), row, split. The models of this domain take graphs, so the bonds are found from the positions.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from common.data.artifact import sha256_of
from common.data.cache import cached_arrays
from common.data.datasets import Dataset, File, Source, fetch
from materials.data.molecules import Molecules
from materials.data.splits import random_split

if TYPE_CHECKING:
    from rdkit.Chem import Mol

PACKED = "materials/molecules/qm7_3d.npz"
SPLIT_NAMES = {"train": "train", "val": "valid", "test": "test"}
"""How the suite calls the parts, and how the packed file does."""
SPLIT_SEED = 20261120
ANGSTROM_PER_BOHR = 0.529177210903
UNREADABLE = b""
VERSION = "1"

QM7 = Dataset(
    name="qm7",
    title="QM7: energies of atomisation",
    description=(
        "Energy of atomisation of small molecules of C, N, O, S and H and their geometry; regression, split by random: "
        "80 % train, 10 % val, 10 % test (test only in a file converted from the original). The packed file leaves out "
        "65 of the 7,165 molecules, whose geometry and energy do not belong together."
    ),
    licence="not stated",
    citation=(
        "Rupp et al., Phys. Rev. Lett. 108, 058301 (2012), doi:10.1103/PhysRevLett.108.058301; "
        "Blum and Reymond, J. Am. Chem. Soc. 131, 8732 (2009), doi:10.1021/ja902302h"
    ),
    homepage="http://quantum-machine.org/datasets/",
    files=(File(PACKED, 1_033_319, "2d7e51401c93b655847a6b1f7c3855fd81f6d7a11db724fb804229fad3eea781"),),
    sources=(
        Source(
            (File("materials/originals/qm7.mat", 40_000_000, None, "http://quantum-machine.org/data/qm7.mat"),),
            "materials.data.qm7:convert",
        ),
    ),
)


def load(split: str, offline: bool = False) -> Molecules:
    """The molecules of a part: train, val or test. Raises ConfigError where the file has no such part.

    Geometries that RDKit finds no bonds for, which fit all valences, are left out; a warning says how many.
    """
    (path,) = fetch(QM7, offline=offline).values()
    with np.load(path, allow_pickle=False) as file:
        n_atoms, numbers, positions, energy, row, part = (
            file[name] for name in ("n_atoms", "z", "pos", "u0_atom", "row", "split")
        )
    key = {"file": sha256_of(path)}
    text = cached_arrays("qm7-smiles", key, VERSION, lambda: _all_smiles(n_atoms, numbers, positions))["smiles"]
    smiles = np.ascontiguousarray(text).view(f"S{text.shape[1]}")[:, 0]
    chosen, readable = part == SPLIT_NAMES.get(split), smiles != UNREADABLE
    if not chosen.any():
        raise ConfigError(f"{path} holds no molecule of split '{split}'; it holds {', '.join(sorted(set(part)))}")
    if lost := int((chosen & ~readable).sum()):
        warnings.warn(f"qm7 {split}: {lost} of {chosen.sum()} molecules without clear bonds left out", stacklevel=2)
    kept = np.flatnonzero(chosen & readable)
    return Molecules(row[kept], smiles[kept].astype(str), {"u0_atom": energy[kept]}, np.full(len(kept), split))


def convert(originals: dict[str, Path], folder: Path) -> None:
    """The packed file of quantum-machine.org's qm7.mat: R [N, 23, 3] in bohr, Z [N, 23], 0 where no atom, T [1, N]."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    (path,) = originals.values()
    try:
        content = loadmat(path, variable_names=["R", "Z", "T"])
        positions, numbers, energy = content["R"], content["Z"].astype(np.uint8), content["T"].ravel()
    except (OSError, ValueError, KeyError, NotImplementedError, MatReadError) as error:
        raise DataFormatError(f"{path} ({error!r}): expected a MATLAB file with R, Z and T; fetch it again") from error
    atom = numbers > 0
    split = np.empty(len(energy), "U5")
    for name, rows in random_split(len(energy), SPLIT_SEED).items():
        split[rows] = SPLIT_NAMES[name]
    np.savez_compressed(
        folder / Path(PACKED).name,
        row=np.arange(len(energy), dtype=np.int32),
        n_atoms=atom.sum(axis=1, dtype=np.int32),
        z=numbers[atom],
        pos=(positions[atom] * ANGSTROM_PER_BOHR).astype(np.float32),
        u0_atom=energy.astype(np.float32),
        split=split,
    )


def smiles_of(numbers: np.ndarray, positions: np.ndarray) -> str:
    """Of a neutral molecule, atomic numbers [n] and positions [n, 3] in angstrom.

    Raises DataFormatError where no bonds fit: Kim & Kim, doi:10.1002/bkcs.10334, as RDKit has it.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDetermineBonds

    molecule = _atoms(numbers, positions)
    try:
        with rdBase.BlockLogs():
            rdDetermineBonds.DetermineBonds(molecule, charge=0)
            return Chem.MolToSmiles(Chem.RemoveHs(molecule))
    except (ValueError, RuntimeError) as error:
        raise DataFormatError(f"no bonds fit {len(numbers)} atoms: {str(error).strip()}") from error


def _atoms(numbers: np.ndarray, positions: np.ndarray) -> Mol:
    """Without any bonds."""
    from rdkit import Chem
    from rdkit.Geometry import Point3D

    molecule, conformer = Chem.RWMol(), Chem.Conformer(len(numbers))
    for number, position in zip(numbers.tolist(), positions.tolist(), strict=True):
        conformer.SetAtomPosition(molecule.AddAtom(Chem.Atom(number)), Point3D(*position))
    molecule.AddConformer(conformer)
    return molecule


def _all_smiles(n_atoms: np.ndarray, numbers: np.ndarray, positions: np.ndarray) -> dict[str, np.ndarray]:
    """{"smiles": [N, longest] bytes, filled up with zeros; none where no bonds fit}."""
    ends, smiles = np.cumsum(n_atoms), []
    for start, end in zip(ends - n_atoms, ends, strict=True):
        try:
            smiles.append(smiles_of(numbers[start:end], positions[start:end]).encode())
        except DataFormatError:
            smiles.append(UNREADABLE)
    text = np.array(smiles)
    return {"smiles": text.view(np.uint8).reshape(len(text), -1)}
