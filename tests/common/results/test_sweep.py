"""A sweep ends with one table that says of each run what differs and what came out, and hands a search its score."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from common.app import cli
from common.results.history import read_metrics
from common.results.sweep import objective, summarise, varied_keys
from tests.reliability.studies import SHARED, STUDIES

RATES = (0.0005, 0.02)


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    asked = f"optimizer.learning_rate={','.join(map(str, RATES))}"
    assert cli.main(["materials", "train", "-m", *STUDIES["materials"], *SHARED, asked]) == 0
    (table,) = tmp_path.rglob("sweep.csv")
    return table.parent


def test_the_table_says_what_the_runs_have_written(sweep: Path) -> None:
    table = pd.read_csv(sweep / "sweep.csv", dtype={"run": str}).set_index("run")
    assert set(table.columns) == {"optimizer.learning_rate", "mae", "step"} and table["mae"].is_monotonic_increasing
    for run, row in table.iterrows():
        scores = {line["step"]: line["mae"] for line in read_metrics(sweep / str(run) / "metrics.jsonl")
                  if line["split"] == "val"}  # fmt: skip
        assert row["optimizer.learning_rate"] == RATES[int(str(run))]
        assert scores[row["step"]] == min(scores.values()) == pytest.approx(row["mae"], rel=1e-9)
        assert objective(sweep / str(run)) == pytest.approx(row["mae"], rel=1e-9)
    shown = (sweep / "sweep.md").read_text().splitlines()
    assert len(shown) == 2 + len(RATES) and shown[0].startswith("| run | optimizer.learning_rate | mae |")
    assert "optimizer.learning_rate" in (sweep / "sweep.svg").read_text() and not list(sweep.glob(".*"))


def test_keys_that_differ_are_found_and_places_are_not() -> None:
    configs = [{"seed": 0, "a.b": [1, 2], "run_dir": "x"}, {"seed": 0, "a.b": [1, 3], "run_dir": "y", "a.c": 1}]
    assert varied_keys(configs) == ["a.b", "a.c"]


def test_runs_without_a_score_are_left_out(tmp_path: Path) -> None:
    assert summarise(tmp_path).empty
    for name, score in (("0", 0.5), ("1", None), ("2", 0.25)):
        best = tmp_path / name / "checkpoints" / "best"
        best.mkdir(parents=True)
        (tmp_path / name / "config.yaml").write_text(f"seed: {name}\nmodel: {{name: m{name}}}\n")
        if score is not None:
            (best / "state.json").write_text(json.dumps({"step": 3, "monitor": "loss", "scores": {"loss": score}}))
    assert summarise(tmp_path)[["run", "seed", "model.name", "loss"]].to_numpy().tolist() == [
        ["2", 2, "m2", 0.25], ["0", 0, "m0", 0.5],
    ]  # fmt: skip
