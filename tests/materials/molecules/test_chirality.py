"""Chirality: every SMILES of one molecule gives the same features; mirror images do not."""

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from materials.data.environments import Environments
from materials.data.read_molecule import read_molecule
from materials.substances.molecule import Molecule

GOLDEN = Path(__file__).parents[1] / "golden"
SPECIAL = [
    "C[C@H](N)O",
    "C[C@H]1CC[C@@H](C)CC1",  # ring stereo: no centre has four different neighbours
    "O[C@H]1[C@H](O)[C@H](O)[C@@H](O)[C@@H](O)[C@H]1O",
    "C[C@H](O)[C@H](O)[C@@H](C)O",  # a centre that differs only by its neighbours' handedness
    "C[S@](=O)c1ccccc1",
    "[2H][C@H](C)O",
    "*C[C@](*)(C)C(=O)OC",
    r"C/C=C/[C@@H](F)Cl",
    "OC(=O)[C@@H]1C[C@H](O)CN1.Cl",
]
SETTINGS = Molecule().settings(type("Data", (), {"descriptors": False}))


def environments(smiles: list[str], settings: dict = SETTINGS) -> list[list[int]]:
    """What a network with four steps can tell the atoms of each molecule apart by, sorted."""
    graphs = Molecule().graphs_of([read_molecule(one) for one in smiles], settings).graphs
    found = Environments.of(graphs, depth=4)
    return [sorted(part.tolist()) for part in np.split(found.atoms, np.cumsum(found.n_atoms)[:-1])]


def writings(smiles: str, count: int) -> list[str]:
    molecule = read_molecule(smiles)
    return list(Chem.MolToRandomSmilesVect(molecule, count, randomSeed=7))


@pytest.mark.parametrize("smiles", SPECIAL)
def test_every_writing_gives_the_same_features(smiles: str) -> None:
    many = [smiles, *writings(smiles, 30)]
    assert len(set(many)) > 3
    assert len({str(one) for one in environments(many)}) == 1


def test_every_writing_of_drugs_gives_the_same_features() -> None:
    chiral = [one for one in (GOLDEN / "molecules_200.smi").read_text().split() if "@" in one]
    assert len(chiral) >= 20
    for smiles in chiral:
        assert len({str(one) for one in environments([smiles, *writings(smiles, 3)])}) == 1, smiles


def test_without_the_canonical_order_writings_differ() -> None:
    first, second = environments(["C[C@H](N)O", "C[C@@H](O)N"], {"descriptors": []})
    assert first != second
    first, second = environments(["C[C@H](N)O", "C[C@@H](O)N"])
    assert first == second


@pytest.mark.parametrize(
    ("one", "other"), [("C[C@H](N)O", "C[C@@H](N)O"), ("C[C@H]1CC[C@H](C)CC1", "C[C@H]1CC[C@@H](C)CC1")]
)
def test_mirror_images_and_other_isomers_differ(one: str, other: str) -> None:
    first, second = environments([one, other])
    assert first != second


def test_atoms_keep_their_places_and_the_input_its_tags() -> None:
    molecule = read_molecule("O[C@@H](C)N")
    before = Chem.MolToMolBlock(molecule)
    graphs = Molecule().graphs_of([molecule], SETTINGS).graphs
    assert graphs.atom_codes[:, 0].tolist() == [atom.GetAtomicNum() - 1 for atom in molecule.GetAtoms()]
    assert Chem.MolToMolBlock(molecule) == before
