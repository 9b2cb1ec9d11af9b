"""Features against chemprop's own (tests/materials/golden/make_chemprop.py); environments by their definition."""

from pathlib import Path

import numpy as np
import pytest

from common.app.errors import DataFormatError
from materials.data.descriptors import descriptor_names, morgan_fingerprints, rdkit_descriptors
from materials.data.environments import Environments
from materials.data.molecular_graphs import MolecularGraphs, atom_features, bond_features

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def diverse() -> MolecularGraphs:
    return MolecularGraphs.from_smiles((GOLDEN / "molecules_diverse.smi").read_text().split())


def test_features_are_those_of_chemprop_bit_for_bit(diverse: MolecularGraphs) -> None:
    golden = np.load(GOLDEN / "chemprop.npz")
    assert np.array_equal(atom_features(diverse.atom_codes, diverse.masses), golden["atoms"])
    assert np.array_equal(bond_features(diverse.bond_codes), golden["bonds"])
    assert np.array_equal(diverse.ends, golden["edges"])


def test_graphs_survive_arrays_and_concatenation(diverse: MolecularGraphs) -> None:
    again = MolecularGraphs.from_arrays(diverse.to_arrays())
    twice = MolecularGraphs.concatenate([again, again])
    assert len(twice) == 2 * len(diverse)
    assert np.array_equal(twice.atom_codes[: len(diverse.atom_codes)], diverse.atom_codes)


def test_an_unreadable_row_is_named() -> None:
    with pytest.raises(DataFormatError, match="row 1: 'C1CC' is not SMILES"):
        MolecularGraphs.from_smiles(["C", "C1CC"])


def test_symmetric_atoms_share_an_environment_and_others_do_not() -> None:
    smiles = ["c1ccccc1", "CCO", "OCC", "Cc1ccccc1"]
    environments = Environments.of(MolecularGraphs.from_smiles(smiles), depth=3)
    benzene, ethanol, reversed_ethanol, toluene = np.split(environments.atoms, np.cumsum(environments.n_atoms)[:-1])
    assert len(set(benzene)) == 1
    assert len(set(ethanol)) == 3
    assert list(ethanol) == list(reversed_ethanol[::-1])
    assert len(set(toluene)) == 5  # methyl, ipso, ortho, meta, para


def test_a_deeper_environment_tells_more_apart() -> None:
    graphs = MolecularGraphs.from_smiles(["CCCCCCO", "CCCCCCN"])
    carbon = [Environments.of(graphs, depth).atoms[[0, 7]] for depth in (1, 3, 5, 6, 7)]
    assert [int(a != b) for a, b in carbon] == [0, 0, 0, 1, 1]


def test_descriptors_are_finite_and_follow_the_molecule() -> None:
    table = rdkit_descriptors(["CCO", "c1ccccc1C(=O)O", "[Na+].[Cl-]", "*CC*"])
    assert table.shape == (4, len(descriptor_names())) and np.isfinite(table).all()
    assert table[0, descriptor_names().index("MolWt")] == pytest.approx(46.069, abs=1e-3)
    first, second, other = morgan_fingerprints(["CCO", "OCC", "CCN"])
    assert np.array_equal(first, second) and not np.array_equal(first, other)
