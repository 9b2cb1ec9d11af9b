"""Registry, reader and converter of the molecular data sets."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from common.app.errors import ConfigError, DataFormatError
from materials.data.moleculenet import DATASETS, SETS, convert, load, read_packed
from materials.data.splits import scaffold_split

SMILES = (Path(__file__).parents[1] / "golden" / "molecules_200.smi").read_text().split()


def test_registry_entries_are_complete() -> None:
    for name, dataset in DATASETS.items():
        (file,), ((source,),) = dataset.files, [one.files for one in dataset.sources]
        assert (len(file.sha256 or "") == 64) == (name not in ("muv", "qm9")), "nobody publishes their packed files"
        assert (len(source.sha256 or "") == 64) == (name != "qm9"), "its host promises no bytes"
        assert (source.url or "").startswith("https://raw.githubusercontent.com/" if source.sha256 else "https://")
        assert dataset.homepage.startswith("https://") and dataset.citation and dataset.licence
    originals = [dataset.sources[0].files[0].name for dataset in DATASETS.values()]
    assert len(set(originals)) == len(SETS) == 15


def test_a_set_without_registered_bytes_is_made_from_its_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ["mol_id", "smiles", "A", *SETS["qm9"].targets]
    rows = [[f"gdb_{i}", "C" * i, 0, *range(12)] for i in range(1, 21)]
    folder = tmp_path / "mirror" / "materials" / "originals"
    folder.mkdir(parents=True)
    with (folder / "qm9.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([columns, *rows])
    monkeypatch.setenv("TRIFOLD_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("TRIFOLD_DATA", str(tmp_path / "data"))
    parts = [load("qm9", split, offline=True) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [16, 2, 2]
    assert all((part.targets["gap"] == 4).all() for part in parts)
    assert SETS["qm9"].unit("cv") == "cal/(mol K)"


def test_conversion_splits_names_and_drops(tmp_path: Path) -> None:
    original = tmp_path / "delaney.csv"
    rows = [*SMILES[:50], "not smiles", *SMILES[50:]]
    original.write_text("smiles,logp\n" + "".join(f"{s},{i}\n" for i, s in enumerate(rows)))
    convert({"delaney.csv": original}, tmp_path)
    path = tmp_path / "esol.csv.gz"
    first = path.read_bytes()
    convert({"delaney.csv": original}, tmp_path)
    assert path.read_bytes() == first
    record = read_packed(path, ["logp"])
    assert list(record.smiles) == SMILES
    assert list(record.targets["logp"]) == [i for i, s in enumerate(rows) if s != "not smiles"]
    for name, indices in scaffold_split(SMILES).items():
        assert np.array_equal(np.flatnonzero(record.split == name), indices)


def test_a_repeated_column_keeps_its_first_meaning(tmp_path: Path) -> None:
    columns = ["smiles", *(f"E{i}" for i in range(2))]
    names = list(SETS["qm8"].targets.values())
    columns = ["smiles", *names[:8], *names[4:8], *names[8:]]
    with gzip.open(tmp_path / "qm8.csv.gz", "wt", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows([["C" * n, *range(len(columns) - 1)] for n in range(1, 21)])
    folder = tmp_path / "out"
    folder.mkdir()
    convert({"qm8.csv.gz": tmp_path / "qm8.csv.gz"}, folder)
    record = read_packed(folder / "qm8.csv.gz", names)
    assert record.targets["E1-PBE0"][0] == 4 and record.targets["E1-CAM"][0] == 12
    assert sorted(np.unique(record.split, return_counts=True)[1]) == [2, 2, 16]


@pytest.mark.parametrize(
    ("header", "row"),
    [("smiles,split", "C,train"), ("smiles,y,split", "C,1"), ("smiles,y,split", "C,x,val"), ("smiles,y,split", "C,1,")],
)
def test_a_damaged_table_is_refused(tmp_path: Path, header: str, row: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"row,{header}\n0,{row}\n")
    with pytest.raises(DataFormatError, match=r"x\.csv"):
        read_packed(path, ["y"])


def test_an_unknown_set_is_named() -> None:
    with pytest.raises(ConfigError, match="Known: esol"):
        load("delany", "train")


@pytest.mark.usefixtures("data_in_place")
def test_packed_files_have_the_rows_of_their_card() -> None:
    sizes = {"esol": (902, 113), "tox21": (6258, 782), "polymer-tg": (5801, 725), "sider": (1141, 143)}
    for name, counts in sizes.items():
        parts = [load(name, split, offline=True) for split in ("train", "val")]
        assert tuple(map(len, parts)) == counts
        assert all(np.isfinite(part.target_matrix(list(SETS[name].targets))).any(axis=0).all() for part in parts)
        with pytest.raises(ConfigError, match="split 'test'"):
            load(name, "test", offline=True)
