"""A user's own table: what it says is what is learned, and what cannot be used is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from common.app.errors import ConfigError, DataFormatError
from materials.config import OwnCrystals, OwnMolecules
from materials.data.own_files import load_own

SMILES = ["C" * n + end for n in range(1, 21) for end in ("O", "N")]


def table(path: Path, rows: list[str], head: str = "smiles,y") -> str:
    path.write_text("\n".join([head, *rows]) + "\n")
    return str(path)


def molecules(path: str, **keys) -> OwnMolecules:
    return OwnMolecules(name="molecule-table", path=path, target="y", **keys)


def parts(data) -> dict[str, list[str]]:
    return {name: load_own(data, name).ids.tolist() for name in ("train", "val", "test")}


def test_parts_are_disjoint_complete_and_repeatable(tmp_path: Path) -> None:
    data = molecules(table(tmp_path / "t.csv", [f"{s},{i}" for i, s in enumerate(SMILES)]), split="random")
    first = parts(data)
    assert sorted((i for part in first.values() for i in part), key=int) == [str(n) for n in range(1, 41)]
    assert [len(part) for part in first.values()] == [32, 4, 4]
    assert parts(data) == first
    assert parts(data.model_copy(update={"split_seed": 1})) != first


def test_a_column_split_is_obeyed_and_an_empty_cell_is_unknown(tmp_path: Path) -> None:
    rows = ["a,CCO,1.5,train", "b,CCN,,train", "c,CCC,-2,valid", "d,CO,3,test"]
    data = molecules(table(tmp_path / "t.csv", rows, "id,SMILES,y,split"))
    assert parts(data) == {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    np.testing.assert_array_equal(load_own(data, "train").targets["y"], [1.5, np.nan])


def test_a_packed_table_with_a_byte_order_mark_is_the_same_table(tmp_path: Path) -> None:
    text = "\ufeffsmiles,y\n" + "\n".join(f"{s},{i}" for i, s in enumerate(SMILES)) + "\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    plain = table(tmp_path / "t.csv", [f"{s},{i}" for i, s in enumerate(SMILES)])
    packed = molecules(str(tmp_path / "t.csv.gz"), split="random")
    assert parts(packed) == parts(molecules(plain, split="random"))


@pytest.mark.parametrize(
    ("head", "rows", "said"),
    [
        ("smiles,z", ["C,1"], "no column y; its columns are smiles, z"),
        ("mol,y", ["C,1"], "no column smiles or psmiles"),
        ("smiles,y", ["C,1", "CC,two"], "row 2: y='two' is no number"),
        ("smiles,y,split", ["C,1,train", "xx,2,train"], "1 rows cannot be used"),
        ("smiles,y,split", ["C,1,trian"], "Did you mean 'train'"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, head: str, rows: list[str], said: str) -> None:
    with pytest.raises(DataFormatError, match=said):
        load_own(molecules(table(tmp_path / "t.csv", rows, head)), "train")


def test_an_absent_part_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rows of split 'val'"):
        load_own(molecules(table(tmp_path / "t.csv", ["C,1,train"], "smiles,y,split")), "val")


def test_crystals_come_from_a_table_of_files_or_from_cgcnn_s_folder(tmp_path: Path) -> None:
    for name, a in (("NaCl", 5.64), ("MgO", 4.21)):
        bulk(name, "rocksalt", a=a).write(tmp_path / f"{name}.cif")
    table(tmp_path / "t.csv", ["NaCl.cif,1,train", "MgO.cif,2,val"], "file,y,split")
    data = OwnCrystals(name="crystal-files", path=str(tmp_path / "t.csv"), target="y")
    assert load_own(data, "val").numbers.tolist() == [12, 8]
    (tmp_path / "id_prop.csv").write_text("".join(f"{name},{n}\n" for n, name in enumerate(["NaCl", "MgO"] * 10)))
    folder = OwnCrystals(name="crystal-files", path=str(tmp_path), target="y")
    assert len(load_own(folder, "train")) == 16 and set(load_own(folder, "train").ids) == {"NaCl", "MgO"}
