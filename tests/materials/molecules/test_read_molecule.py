"""Reading molecules: what is right is read, what is wrong is refused with its reason, and nothing else is raised."""

import time
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from common.app.errors import ConfigError, DataFormatError
from materials.data.molecules import Molecules
from materials.data.read_molecule import MAX_ATOMS, read_molecule

GOLDEN = Path(__file__).parents[1] / "golden"
SMILES = (GOLDEN / "molecules_200.smi").read_text().split()
MUTATION_SECONDS = 5


@pytest.mark.parametrize("smiles", ["CCO", " CCO ", "*CC(*)c1ccccc1", "[*]CC[*]", "[Na+].[Cl-]", "[2H]O[2H]"])
def test_smiles_is_read(smiles: str) -> None:
    assert Chem.MolToSmiles(read_molecule(smiles)) == Chem.MolToSmiles(Chem.MolFromSmiles(smiles.strip()))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("C1CC", "open ring"),
        ("C(C", "is not SMILES"),
        ("hello", "is not SMILES"),
        ("CC\0", "zero byte"),
        ("F(C)(C)C", "valence"),
        ("c1cccc1", "kekulize"),
        ("C" * 10_001, "10,001 characters"),
        ("C" * (MAX_ATOMS + 1), "1,001 atoms"),
        ("C" * 9_000, "9,000 atoms"),
        (3.5, "from float"),
        (None, "from NoneType"),
        (Chem.Mol(), "no atoms"),
        ("\n\n\n", "MOL block"),
    ],
)
def test_what_is_wrong_is_named(source: object, reason: str) -> None:
    with pytest.raises(DataFormatError, match=f"(?i){reason}"):
        read_molecule(source)


def test_a_molecule_object_is_checked_and_left_alone() -> None:
    molecule = Chem.MolFromSmiles("c1ccccc1O", sanitize=False)
    assert read_molecule(molecule).GetAtomWithIdx(0).GetHybridization() == Chem.HybridizationType.SP2
    assert molecule.GetAtomWithIdx(0).GetHybridization() == Chem.HybridizationType.UNSPECIFIED


def mutated(text: str, random: np.random.Generator) -> str:
    letters = list(text)
    for _ in range(random.integers(1, 6)):
        place = int(random.integers(0, len(letters) + 1))
        match random.integers(0, 4):
            case 0:
                letters[place : place + int(random.integers(1, 8))] = []
            case 1:
                letters.insert(place, chr(random.integers(1, 256)))
            case 2:
                letters[place:place] = letters[max(0, place - 12) : place]
            case _:
                letters.insert(place, str(random.choice(list("()[]=#:.%@/\\+-*0123456789cnopsCNOFI~$"))))
    return "".join(letters)


def refused_or_read(source: str) -> bool:
    started = time.monotonic()
    try:
        assert read_molecule(source).GetNumAtoms() > 0
        return True
    except DataFormatError as error:
        assert str(error).strip()
        return False
    finally:
        assert time.monotonic() - started < MUTATION_SECONDS, source


def test_mutated_smiles_and_blocks_raise_only_typed_errors() -> None:
    random = np.random.default_rng(0)
    readable = [refused_or_read(mutated(str(random.choice(SMILES)), random)) for _ in range(1000)]
    blocks = [Chem.MolToMolBlock(Chem.MolFromSmiles(smiles)) for smiles in SMILES[:20]]
    readable += [refused_or_read(mutated(str(random.choice(blocks)), random)) for _ in range(300)]
    assert 30 < sum(readable) < 1200


@pytest.mark.parametrize(
    "smiles", ["C(" * 4999 + "C", "C1" * 4999, "[" * 9999, "C1CCCCC1" * 1249, "C%10" * 2400, "C" + "(C)" * 3333]
)
def test_hostile_long_smiles_end_soon(smiles: str) -> None:
    assert not refused_or_read(smiles)


def test_molecules_hold_their_shape() -> None:
    names, smiles, split = np.array(["a", "b"]), np.array(["C", "CC"]), np.array(["train", "val"])
    record = Molecules(names, smiles, {"y": np.array([1.0, np.nan])}, split)
    assert list(record.part("val").ids) == ["b"]
    assert record.target_matrix(["y"]).shape == (2, 1)
    with pytest.raises(ConfigError, match="no target 'z'"):
        record.target_matrix(["z"])
    with pytest.raises(ConfigError, match="split 'test'"):
        record.part("test")
    with pytest.raises(DataFormatError, match="empty SMILES"):
        Molecules(np.array(["a"]), np.array([""]))
    with pytest.raises(DataFormatError, match="'y' has shape"):
        Molecules(np.array(["a"]), np.array(["C"]), {"y": np.zeros(2)})
