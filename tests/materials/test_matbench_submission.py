"""Matbench's format: the package's own checks, its scores, and a file of a shipped model through the command line."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from common.app.cli import main
from common.app.composition import load_config
from common.app.errors import ConfigError
from materials import benchmarks
from materials.benchmarks.matbench_submission import Fold, submission
from materials.data import matbench_compositions, matbench_crystals

REFERENCE = "materials/reference"


def frozen(content: dict[str, Any]) -> dict[str, Any]:
    """What the package hashes: every dictionary by sorted keys."""
    return {key: frozen(value) if isinstance(value, dict) else value for key, value in sorted(content.items())}


def test_the_hash_is_the_one_that_the_package_computes() -> None:
    parameters = {"width": 3, "list": [2, 1], "a": {"z": 1, "b": None}}
    fold = Fold(["b", "a"], np.array([1.0, 0.1]), np.array([1 / 3, 2e-30]), parameters)
    content = json.loads(json.dumps(submission({"matbench_phonons": {3: fold}})))
    keys = {"@module", "@class", "version", "benchmark_name", "tasks", "user_metadata", "datestamp", "hash"}
    assert set(content) == keys
    found = content.pop("hash")
    assert found == hashlib.sha256(json.dumps(frozen(content)).encode()).hexdigest()
    task = content["tasks"]["matbench_phonons"]
    assert (task["dataset_name"], task["benchmark_name"]) == ("matbench_phonons", content["benchmark_name"])
    assert set(task["results"]["fold_3"]) == {"data", "parameters", "scores"}
    assert task["results"]["fold_3"]["data"] == {"b": 1 / 3, "a": 2e-30}


def test_scores_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    target, predicted = random.normal(size=(2, 50))
    scores = Fold([str(n) for n in range(50)], target, predicted, {}).scores()
    assert scores["mae"] == pytest.approx(metrics.mean_absolute_error(target, predicted))
    assert scores["rmse"] == pytest.approx(metrics.root_mean_squared_error(target, predicted))
    assert scores["mape"] == pytest.approx(metrics.mean_absolute_percentage_error(target, predicted))
    assert scores["max_error"] == pytest.approx(metrics.max_error(target, predicted))
    with_zero = Fold(["0", "1"], np.array([0.0, 2.0]), np.array([1.0, 1.0]), {}).scores()
    assert with_zero["mape"] == 0.5, "Matbench leaves out targets near zero"


def test_scores_of_recorded_predictions_are_the_recorded_ones(shared_data: Path) -> None:
    recorded = pd.read_csv(shared_data / REFERENCE / "matbench_scores_per_fold.csv")
    predictions = pd.read_parquet(shared_data / REFERENCE / "matbench_phonons_predictions.parquet").set_index("mbid")
    for fold in range(4):
        known = matbench_compositions.load_folds("matbench-phonons-compositions", [fold])
        target = known.targets["last_phdos_peak"]
        predicted = predictions.loc[known.ids, "alignn"].to_numpy(float)
        row = recorded[(recorded.task == "matbench_phonons") & (recorded.fold == fold)]
        score = row[row.algorithm.str.contains("alignn", case=False)]["recorded"].item()
        assert Fold(list(known.ids), target, predicted, {}).scores()["mae"] == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize("name", ["matbench-phonons", "matbench-expt-gap"])
def test_a_fold_is_held_out_of_all_others(name: str, shared_data: Path) -> None:
    load = (matbench_crystals if name == "matbench-phonons" else matbench_compositions).load
    held = [set(load(name, "val", fold=fold).ids) for fold in range(4)]
    for fold, ids in enumerate(held):
        others = set.union(*(one for number, one in enumerate(held) if number != fold))
        assert set(load(name, "train", fold=fold).ids) == others and not ids & others
    assert held[3] == set(load(name, "val").ids)
    with pytest.raises(ConfigError, match="test"):
        load(name, "test", fold=0)


def test_only_matbench_has_folds() -> None:
    config = load_config("materials", "train", ["experiment=matbench_phonons", "data.fold=1"])
    assert config.data.fold == 1  # pyright: ignore
    with pytest.raises(ConfigError, match="fold"):
        load_config("materials", "train", ["experiment=mp2018_eform", "+data.fold=1"])
    with pytest.raises(ConfigError, match="submission"):
        load_config("materials", "benchmark", ["table=mp2018", "submission=results.json"])


def test_the_command_writes_a_file(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = tuple(one for one in benchmarks.OURS["matbench"] if one.column == "expt_gap")
    monkeypatch.setitem(benchmarks.OURS, "matbench", chosen)
    assert main(["materials", "benchmark", "table=matbench", "submission=out/results.json", "output=o"]) == 0
    content = json.loads(Path("out/results.json").read_text())
    (fold,) = content["tasks"]["matbench_expt_gap"]["results"].values()
    ids = matbench_compositions.load("matbench-expt-gap", "val").ids
    assert list(fold["data"]) == sorted(ids)
    assert fold["scores"]["mae"] <= 0.35
    assert "a whole submission needs train=true" in capsys.readouterr().out
