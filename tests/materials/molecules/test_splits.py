"""Splits against RDKit, scikit-learn, and the published parts of the data sets."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold
from sklearn.model_selection import KFold

from common.app.errors import ConfigError, DataFormatError
from materials.data.splits import FRACTIONS, k_folds, murcko_scaffold, random_split, scaffold_split

GOLDEN = Path(__file__).parents[1] / "golden"
SMILES = (GOLDEN / "molecules_200.smi").read_text().split()


def assert_partition(parts: dict[str, np.ndarray], samples: int) -> None:
    assert list(parts) == ["train", "val", "test"]
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(samples))


@given(st.integers(1, 500), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_random_split_is_a_partition_and_stable(samples: int, seed: int) -> None:
    parts = random_split(samples, seed)
    assert_partition(parts, samples)
    assert abs(len(parts["train"]) - 0.8 * samples) <= 1
    again = random_split(samples, seed)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)


@pytest.mark.parametrize(("samples", "folds", "seed"), [(10, 5, 0), (103, 5, 7), (7, 7, 1), (1128, 10, 42)])
def test_folds_are_those_of_scikit_learn(samples: int, folds: int, seed: int) -> None:
    theirs = KFold(folds, shuffle=True, random_state=seed).split(np.zeros(samples))
    for ours, (train, test) in zip(k_folds(samples, folds, seed), theirs, strict=True):
        assert np.array_equal(ours[0], train) and np.array_equal(ours[1], test)


def test_scaffolds_are_those_of_rdkit() -> None:
    for smiles in SMILES[:50]:
        core = MurckoScaffold.GetScaffoldForMol(Chem.MolFromSmiles(smiles))
        assert murcko_scaffold(smiles) == Chem.MolToSmiles(core, isomericSmiles=False)


def test_scaffold_split_keeps_scaffolds_together_and_the_large_ones_in_train() -> None:
    parts = scaffold_split(SMILES)
    assert_partition(parts, len(SMILES))
    owners: dict[str, set[str]] = {}
    for name, rows in parts.items():
        for row in rows:
            owners.setdefault(murcko_scaffold(SMILES[row]), set()).add(name)
    assert all(len(owner) == 1 for owner in owners.values())
    assert len(parts["train"]) <= FRACTIONS[0] * len(SMILES)
    assert owners[""] == {"train"}


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="add up to 1"):
        random_split(10, 0, (0.5, 0.5, 0.5))
    with pytest.raises(ConfigError, match="folds=11"):
        next(k_folds(10, 11, 0))
    with pytest.raises(DataFormatError, match="row 1"):
        scaffold_split(["C", "C("])


@pytest.mark.usefixtures("data_in_place")
@pytest.mark.parametrize("name", ["esol", "freesolv"])
def test_packed_train_parts_follow_from_the_rule(name: str) -> None:
    """Test rows are not there: with their share left out the same rule must find the same train rows."""
    from materials.data.moleculenet import load

    train, val = load(name, "train", offline=True), load(name, "val", offline=True)
    rows = np.concatenate([train.ids, val.ids]).astype(int)
    order = np.argsort(rows)
    smiles = np.concatenate([train.smiles, val.smiles])[order]
    share = len(train) / len(rows)
    parts = scaffold_split(list(smiles), (share, 1 - share, 0.0))
    assert np.array_equal(rows[order][parts["train"]], train.ids.astype(int))
