"""From a user's own table to a model that predicts, explains, says how sure it is; molecules and compositions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.app.cli import main
from common.app.errors import ConfigError
from materials import PropertyPredictor

SMILES = ["C" * n + tail for n in range(1, 17) for tail in ("O", "N", "C(=O)O", "c1ccccc1")]
PAIRS = [(a, b) for a in ("Li", "Na", "K", "Mg") for b in ("O", "S", "Cl")]
FORMULAS = [f"{a}{n}{b}{m}" for a, b in PAIRS for n in (1, 2) for m in (1, 2, 3)]
SMALL = ["trainer.epochs=2", "trainer.batch_size=16", "trainer.device=cpu", "trainer.threads=1", "run_dir=run"]
KINDS = {
    "molecule": ["model=dmpnn", "data=molecule-table", "model.width=16", "model.readout_width=16", "model.members=2"],
    "composition": ["model=element_attention", "data=composition-table", "model.width=16", "model.members=2"],
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_table(kind: str, classes: bool = False) -> list[str]:
    column, sources = ("smiles", SMILES) if kind == "molecule" else ("formula", FORMULAS)
    value = np.array([len(source) for source in sources], float)
    frame = pd.DataFrame({column: sources, "y": (value > np.median(value)).astype(int) if classes else value})
    frame["split"] = ["val" if n % 5 == 1 else "test" if n % 5 == 3 else "train" for n in range(len(frame))]
    frame.to_csv("table.csv", index=False)
    return sources


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_becomes_a_model_with_intervals(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    sources = write_table(kind)
    own = ["data.path=table.csv", "data.target=y", "data.unit=letters"]
    assert main(["materials", "train", *KINDS[kind], *own, *SMALL]) == 0
    report = Path("run/report.html").read_text()
    assert "linear in" in report and "Uncertainty of y" in report
    table = "molecule-table" if kind == "molecule" else "composition-table"
    assert main(["materials", "evaluate", "model=run/model", f"data={table}", "path=table.csv", "output=scores"]) == 0
    assert "letters" in capsys.readouterr().out
    predictor = PropertyPredictor.from_pretrained("run/model", device="cpu")
    frame = predictor.predict([*sources[:3], "not a material"], interval=0.8)
    assert list(frame.columns) == ["id", "y", "y_std", "y_lower", "y_upper", "unit", "error"]
    good = frame.iloc[:3]
    assert (good["y_std"] > 0).all() and ((good["y_lower"] < good["y"]) & (good["y"] < good["y_upper"])).all()
    assert np.isnan(frame["y"][3]) and frame["error"][3]
    nearest = predictor.nearest(sources[0], k=3)  # the first row is a training material
    assert nearest["distance"].is_monotonic_increasing and nearest["distance"][0] < 1e-4
    with pytest.raises(ConfigError, match="calibrated are"):
        predictor.predict(sources[:1], interval=0.123)


def test_classes_are_calibrated_probabilities(capsys: pytest.CaptureFixture[str]) -> None:
    write_table("molecule", classes=True)
    own = ["data.path=table.csv", "data.target=y", "data.outcome=classification"]
    assert main(["materials", "train", *KINDS["molecule"], *own, *SMALL]) == 0
    assert "ROC-AUC" in capsys.readouterr().out
    predictor = PropertyPredictor.from_pretrained("run/model", device="cpu")
    assert predictor.predict(SMILES)["y"].between(0, 1).all()
    assert set(predictor.card["calibration"]) == {"split", "platt"}
    with pytest.raises(ConfigError, match="no calibrated intervals"):
        predictor.predict("CCO", interval=0.9)


def test_atoms_add_up_to_the_difference_from_the_empty_molecule() -> None:
    write_table("molecule")
    main(["materials", "train", *KINDS["molecule"], "data.path=table.csv", "data.target=y", *SMALL])
    predictor = PropertyPredictor.from_pretrained("run/model", device="cpu")
    short, long = predictor.explain("CCO"), predictor.explain("CCCCCCO")
    assert short["element"].tolist() == ["C", "C", "O"]
    difference = np.diff(predictor.predict(["CCO", "CCCCCCO"])["y"])[0]
    assert long["y"].sum() - short["y"].sum() == pytest.approx(difference, abs=1e-3)
    assert predictor.draw("CCO").startswith("<svg")


def test_a_run_starts_from_a_trained_model_and_a_missing_fit_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    write_table("molecule")
    own = ["data.path=table.csv", "data.target=y"]
    main(["materials", "train", *KINDS["molecule"], *own, *SMALL])
    again = [*SMALL[:-1], "run_dir=again", "start_from=run/model", "optimizer.learning_rate=1e-9", "seed=5"]
    main(["materials", "train", *KINDS["molecule"], *own, *again])
    first, second = (PropertyPredictor.from_pretrained(f"{run}/model", "cpu") for run in ("run", "again"))
    np.testing.assert_allclose(first.predict(SMILES)["y"], second.predict(SMILES)["y"], rtol=1e-3)
    assert json.loads(Path("again/model/model.json").read_text())["recipe"]["start_from"] == "run/model"
    other = [*SMALL[:-1], "run_dir=other", "start_from=mp2018-eform"]
    assert main(["materials", "train", *KINDS["molecule"], *own, *other]) == 1
    assert "no tensor of that model fits" in capsys.readouterr().err
