"""Matbench by composition: registry, official folds, conversion of the public originals."""

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, StratifiedKFold

from common.app.errors import ConfigError, DataFormatError
from materials.data import matbench_compositions
from materials.data.formula import read_composition
from materials.data.matbench_compositions import (
    DATASETS,
    FOLD_SEED,
    PARTS,
    TASKS,
    convert,
    load,
    load_folds,
    official_folds,
    read_packed,
)  # fmt: skip


def test_registry_entries_are_complete() -> None:
    assert len(DATASETS) == len(TASKS) == 13 and DATASETS["matbench-expt-gap"] and "matbench-mp-gap" not in DATASETS
    for task, dataset in zip(TASKS, DATASETS.values(), strict=True):
        (file,), ((source,),) = dataset.files, [one.files for one in dataset.sources]
        assert source.url == f"https://ml.materialsproject.org/projects/matbench_{task}.json.gz"
        assert len(file.sha256 or "") == len(TASKS[task].original[1]) == 64
        assert dataset.citation and dataset.licence and dataset.homepage


@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize("samples", [25, 312, 1003])
def test_folds_are_scikit_learns(kind: str, samples: int) -> None:
    target = (np.random.default_rng(samples).random(samples) < 0.3).astype(float)
    target[:2] = [1, 0]
    official = (KFold if kind == "regression" else StratifiedKFold)(5, shuffle=True, random_state=FOLD_SEED)
    expected = np.empty(samples, int)
    for number, (_, test) in enumerate(official.split(target, target)):
        expected[test] = number
    assert np.array_equal(official_folds(target, kind), expected)  # pyright: ignore


@pytest.mark.usefixtures("data_in_place")
@pytest.mark.parametrize("task", [name for name, task in TASKS.items() if task.samples < 20_000])
def test_packed_files_follow_the_official_protocol(task: str) -> None:
    """Each row's place in the official order, which its id tells, gives its fold; only the blind fold is absent."""
    known, name = TASKS[task], matbench_compositions.dataset_name(task)
    parts = {part: load(name, part, offline=True) for part in ("train", "val")}
    ids = {part: {int(one.rpartition("-")[2]) - 1 for one in rows.ids} for part, rows in parts.items()}
    assert not ids["train"] & ids["val"]
    assert all(np.isfinite(part.targets[known.target]).all() for part in parts.values())
    with pytest.raises(ConfigError, match="fold 4"):
        load(name, "test", offline=True)
    if known.kind == "regression":
        fold = official_folds(np.zeros(known.samples), "regression")
        assert all(ids[part] == set(np.flatnonzero(np.isin(fold, PARTS[part]))) for part in parts)
    else:
        shares = [load_folds(name, [fold], offline=True).targets[known.target].mean() for fold in range(4)]
        assert max(shares) - min(shares) < 2e-3


@pytest.mark.parametrize("task", ["steels", "glass", "phonons"])
def test_conversion_keeps_order_and_folds(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known, samples = TASKS[task], 40
    target = [bool(row % 3) if known.kind == "classification" else row / 7 for row in range(samples)]
    cells = [{"Fe": row + 1, "O": 2} for row in range(samples)]
    inputs = [_structure(one) if known.structures else "".join(f"{k}{n}" for k, n in one.items()) for one in cells]
    columns = ["structure" if known.structures else "composition", known.original[0]]
    content = {"index": list(range(samples)), "columns": columns, "data": list(zip(inputs, target, strict=True))}
    original = tmp_path / f"matbench_{task}.json.gz"
    original.write_bytes(gzip.compress(json.dumps(content).encode()))
    with pytest.raises(DataFormatError, match="published file"):
        convert({original.name: original}, tmp_path)
    digest = hashlib.sha256(original.read_bytes()).hexdigest()
    monkeypatch.setitem(TASKS, task, replace(known, original=(known.original[0], digest)))
    convert({original.name: original}, tmp_path)
    packed = tmp_path / f"matbench_{task}.parquet"
    fold = official_folds(target, known.kind)
    for folds in PARTS.values():
        part, rows = read_packed(packed, "y", folds), np.flatnonzero(np.isin(fold, folds))
        assert list(part.ids) == [f"mb-{task}-{row + 1:02d}" for row in rows]
        assert part.targets["y"] == pytest.approx(np.array(target, float)[rows])
        for index, row in enumerate(rows):
            shares = part.fractions[part.offsets[index] : part.offsets[index + 1]]
            assert list(shares) == list(read_composition(cells[row]).values())


def test_other_files_and_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 not parquet")
    with pytest.raises(DataFormatError, match=r"x\.parquet"):
        read_packed(path, "y", [0])
    pd.DataFrame({"composition": ["Fe"]}).to_parquet(path)
    with pytest.raises(DataFormatError, match="mbid"):
        read_packed(path, "y", [0])
    with pytest.raises(ConfigError, match="Did you mean 'matbench-expt-gap'"):
        load("matbench-exp-gap", "train")
    with pytest.raises(ConfigError, match="'valid'"):
        load("matbench-expt-gap", "valid")


def _structure(content: dict[str, int]) -> dict:
    """As pymatgen writes one; iron shares its last site."""
    sites = [{"species": [{"element": symbol, "occu": 1.0}], "abc": [0, 0, 0]} for symbol, n in content.items()
             for _ in range(n - (symbol == "Fe"))]  # fmt: skip
    half = [{"element": "Fe", "occu": 0.5}, {"element": "Fe", "occu": 0.5}]
    return {"@class": "Structure", "lattice": {}, "sites": [*sites, {"species": half}]}
