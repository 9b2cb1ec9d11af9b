"""The crystal tasks of Matbench: official folds, and the converter against originals made here."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from common.app.errors import ConfigError, DataFormatError
from materials.data import matbench_crystals
from materials.data.crystals import Crystals
from materials.data.matbench_compositions import TASKS, load_folds
from materials.data.matbench_crystals import convert, load

SIZES = {"matbench-perovskites": (11_358, 3_785), "matbench-phonons": (759, 253), "nomad2018": (2_160, 240)}


@pytest.mark.parametrize("name", SIZES)
def test_parts_are_disjoint_and_complete(name: str, data_in_place: Path) -> None:
    train, val = load(name, "train"), load(name, "val")
    assert (len(train), len(val)) == SIZES[name]
    assert not set(train.ids) & set(val.ids)
    assert "fold" not in train.targets
    with pytest.raises(ConfigError, match="test"):
        load(name, "test")


def test_targets_are_those_of_the_recorded_benchmark(data_in_place: Path) -> None:
    recorded = load_folds("matbench-phonons-compositions", (3,))
    crystals = load("matbench-phonons", "val")
    value = dict(zip(recorded.ids, recorded.targets["last_phdos_peak"], strict=True))
    np.testing.assert_allclose(crystals.targets["last_phdos_peak"], [value[name] for name in crystals.ids], rtol=1e-6)


def original(folder: Path, monkeypatch: pytest.MonkeyPatch, occupation: float = 1.0) -> Path:
    rows = []
    for number, a in enumerate((5.64, 4.21, 4.03, 6.29, 5.0)):
        atoms = bulk("NaCl", "rocksalt", a=a)
        sites = [
            {"species": [{"element": symbol, "occu": occupation}], "abc": list(place)}
            for symbol, place in zip(atoms.symbols, atoms.get_scaled_positions(), strict=True)
        ]
        rows.append([{"lattice": {"matrix": atoms.cell.tolist()}, "sites": sites}, float(number)])
    content = {"index": list(range(5)), "columns": ["structure", "last phdos peak"], "data": rows}
    path = folder / "matbench_phonons.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    known = replace(TASKS["phonons"], original=("last phdos peak", sha256(path.read_bytes()).hexdigest()))
    monkeypatch.setitem(matbench_crystals.TASKS, "phonons", known)
    return path


def test_the_converter_keeps_structures_order_and_one_fold_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = original(tmp_path, monkeypatch)
    convert({path.name: path}, tmp_path)
    crystals = Crystals.from_npz(tmp_path / "matbench_phonons.npz")
    assert crystals.ids.tolist() == [f"mb-phonons-{n}" for n in range(1, 6)]
    assert crystals.targets["last_phdos_peak"].tolist() == [0, 1, 2, 3, 4]
    assert sorted(crystals.targets["fold"]) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(crystals.atoms(1).cell.lengths(), bulk("NaCl", "rocksalt", a=4.21).cell.lengths())


def test_partly_occupied_sites_and_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = original(tmp_path, monkeypatch, occupation=0.5)
    with pytest.raises(DataFormatError, match="partly occupied"):
        convert({path.name: path}, tmp_path)
    path.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(DataFormatError, match="not the published file"):
        convert({path.name: path}, tmp_path)
