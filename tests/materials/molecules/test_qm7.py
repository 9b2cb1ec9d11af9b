"""QM7: bonds found from positions, the original's units, the parts."""

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem.rdDistGeom import EmbedMolecule
from rdkit.Chem.rdForceFieldHelpers import MMFFOptimizeMolecule
from scipy.io import savemat

from common.app.errors import ConfigError, DataFormatError
from materials.data.catalogue import CATALOGUE
from materials.data.qm7 import ANGSTROM_PER_BOHR, QM7, SPLIT_SEED, convert, load, smiles_of
from materials.data.splits import random_split

SMILES = ["CC", "C=C", "C#N", "CO", "CC(C)=O", "c1ccncc1", "CC(N)=O", "C1CC1O", "CSC", "N#CC#N"]


def geometry(smiles: str) -> tuple[np.ndarray, np.ndarray]:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    EmbedMolecule(molecule, randomSeed=1)
    MMFFOptimizeMolecule(molecule)
    return np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()]), molecule.GetConformer().GetPositions()


@pytest.mark.parametrize("smiles", SMILES)
def test_bonds_are_those_the_geometry_was_made_from(smiles: str) -> None:
    assert smiles_of(*geometry(smiles)) == Chem.CanonSmiles(smiles)


def test_impossible_geometry_is_refused() -> None:
    with pytest.raises(DataFormatError, match="no bonds fit 2 atoms"):
        smiles_of(np.array([6, 1]), np.array([[0.0, 0, 0], [1.1, 0, 0]]))


def test_parts_of_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = SMILES * 3
    positions, numbers = np.zeros((len(names), 23, 3)), np.zeros((len(names), 23))
    for row, smiles in enumerate(names):
        z, xyz = geometry(smiles)
        numbers[row, : len(z)], positions[row, : len(z)] = z, xyz / ANGSTROM_PER_BOHR
    lost = random_split(len(names), SPLIT_SEED)["train"][0]
    numbers[lost], numbers[lost, :2], positions[lost, :2] = 0, (6, 1), [[0, 0, 0], [2, 0, 0]]  # CH: no closed shell
    original = tmp_path / "qm7.mat"
    savemat(original, {"R": positions, "Z": numbers, "T": -100.0 * np.arange(len(names))[None]})
    folder = tmp_path / "data" / "materials" / "molecules"
    folder.mkdir(parents=True)
    convert({"qm7.mat": original}, folder)
    monkeypatch.setattr("materials.data.qm7.fetch", lambda *_, **__: {"qm7": folder / "qm7_3d.npz"})
    monkeypatch.setenv("TRIFOLD_DATA", str(tmp_path / "cache"))
    with pytest.warns(UserWarning, match="1 of 24 molecules without clear bonds left out"):
        parts = {"train": load("train")}
    parts |= {split: load(split) for split in ("val", "test")}
    assert [len(part) for part in parts.values()] == [23, 3, 3]
    for split, part in parts.items():
        assert set(np.asarray(part.split)) == {split}
        for row, smiles, energy in zip(part.ids, part.smiles, part.targets["u0_atom"], strict=True):
            assert (smiles, energy) == (Chem.CanonSmiles(names[int(row)]), -100.0 * int(row))
    with pytest.raises(ConfigError, match="no molecule of split 'extra'"):
        load("extra")
    with pytest.raises(DataFormatError, match="expected a MATLAB file"):
        original.write_bytes(b"no MATLAB")
        convert({"qm7.mat": original}, folder)


def test_registered() -> None:
    assert CATALOGUE["qm7"].properties["u0_atom"].unit == "kcal/mol"
    assert len(QM7.files[0].sha256 or "") == 64
