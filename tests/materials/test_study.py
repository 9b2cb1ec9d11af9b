"""Whole studies through the command line: train, resume, evaluate, predict, benchmark, demo."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from ase.build import bulk

from common.app.cli import main
from materials import demo

SMALL = [
    "experiment=ionic_lattice",
    "data.train_limit=400",
    "data.val_limit=60",
    "model.layers=2",
    "model.width=16",
    "model.message_width=16",
    "trainer.epochs=2",
    "trainer.batch_size=40",
    "trainer.device=cpu",
]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_training_leaves_a_whole_run_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["materials", "train", *SMALL, "run_dir=run"]) == 0
    run = Path("run")
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in history if line["split"] == "train"]
    assert losses[-1] < losses[0]
    report = (run / "report.html").read_text()
    assert "Error by element" in report and "median of the training targets" in report
    assert not re.search(r'(src|href)="https?://(?!doi|github)', report)
    card = json.loads((run / "model" / "model.json").read_text())
    frame = pd.read_csv(run / "predictions" / "val.csv")
    error = frame["lattice_energy"] - frame["lattice_energy_predicted"]
    assert card["metrics"]["val_mae"] == pytest.approx(error.abs().mean())
    assert {"config.yaml", "env.json", "checkpoints"} <= set(os.listdir(run))
    assert "validation MAE" in capsys.readouterr().out


def test_a_finished_run_resumes_to_the_same_model() -> None:
    main(["materials", "train", *SMALL, "run_dir=run"])
    before = (Path("run/model/model.safetensors")).read_bytes()
    for settings in ([], SMALL):  # its own, or the same ones given again
        assert main(["materials", "train", *settings, "resume=run"]) == 0
        assert Path("run/model/model.safetensors").read_bytes() == before


def test_a_trained_model_evaluates_and_predicts_from_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    main(["materials", "train", *SMALL, "run_dir=run"])
    assert main(["materials", "evaluate", "model=run/model", "data=ionic-lattice", "split=test", "output=scores"]) == 0
    assert "MAE" in capsys.readouterr().out
    structures = Path("structures")
    structures.mkdir()
    bulk("NaCl", "rocksalt", a=5.64).write(structures / "NaCl.cif")
    (structures / "notes.txt").write_text("not a crystal")
    assert main(["materials", "predict", "model=run/model", "input=structures", "output=out"]) == 0
    predicted, rejected = pd.read_csv("out/predictions.csv"), pd.read_csv("out/rejected.csv")
    assert len(predicted) == 2 and predicted["lattice_energy"].notna().sum() == 1
    assert rejected["input"].tolist() == [str(structures / "notes.txt")] and rejected["reason"].str.len().min() > 10


def test_predict_exits_with_3_when_nothing_could_be_predicted() -> None:
    Path("bad.cif").write_text("")
    assert main(["materials", "predict", "model=mp2018-eform", "input=bad.cif", "output=out.csv"]) == 3


def test_a_dry_run_writes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["materials", "train", *SMALL, "check=true"]) == 0
    assert "check passed" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_demo_trains_and_predicts(capsys: pytest.CaptureFixture[str]) -> None:
    demo.main(SMALL[1:])
    shown = capsys.readouterr().out
    assert "NaCl" in shown and "report:" in shown


def test_the_benchmark_shows_published_rows_and_ours(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped model keeps the figure that README states, on the real validation structures."""
    assert main(["materials", "benchmark", "table=mp2018", "output=bench", "device=cpu"]) == 0
    rows = json.loads(Path("bench/table.json").read_text())["rows"]
    ours = next(row for row in rows if row["ours"])
    assert ours["details"]["N"] == 3653
    assert ours["values"]["e_form"] <= 0.045
    assert {"ALIGNN", ours["system"]} <= {row["system"] for row in rows}
    assert "ALIGNN" in capsys.readouterr().out
