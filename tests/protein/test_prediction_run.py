"""`trifold protein predict`: whole files, sequences that are refused with reason, runs that are interrupted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from common.app.cli import main
from common.app.errors import ConfigError
from protein.config import PredictConfig
from protein.data.read import read_chain
from protein.prediction_run import NOTHING_PREDICTED, predict
from protein.prediction_store import JOURNAL, PredictionStore
from protein.predictor import StructurePredictor
from tests.protein.small import predictor

FASTA = """>sp|P1|ONE first
MKTAYIAKQRQISFVKSH
>empty
>gap
MK-T
>one
mktayu*
>ONE
GSHMA
>long
{long}
>../../evil name
WWAC
"""
NAMES = ["sp_P1_ONE", "one", "ONE_2", "evil"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(predictor().save_pretrained(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def config(model: str, tmp_path: Path) -> PredictConfig:
    (tmp_path / "in.fasta").write_text(FASTA.format(long="A" * 5000))
    return PredictConfig(
        model=model, input=str(tmp_path / "in.fasta"), output=str(tmp_path / "out"), device="cpu", draw=0
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.startswith(".")}


def test_what_can_be_predicted_is_and_the_rest_has_a_reason(config: PredictConfig, capsys) -> None:
    assert predict(config) == 0
    folder = Path(config.output)
    summary, rejected = rows_of(folder / "summary.csv"), rows_of(folder / "rejected.csv")
    assert [row["id"] for row in summary] == ["sp|P1|ONE", "one", "ONE", "../../evil"]
    assert [Path(row["pdb"]).stem for row in summary] == NAMES
    assert summary[1]["length"] == "6" and summary[1]["changes"] == "1 U read as C"
    assert {row["input"]: row["reason"].split(";")[0] for row in rejected} == {
        "empty": "the sequence is empty", "gap": "letter 3 is '-', a gap",
        "long": "the sequence has 5000 residues, at most 4096 are possible",
    }  # fmt: skip
    said = capsys.readouterr().out
    assert "GB for activations" in said and "batches of 4 to 18 residues" in said
    expected = StructurePredictor.from_pretrained(config.model, "cpu").predict("MKTAYC", distogram=True)
    for kind in ("pdb", "mmcif"):
        chain = read_chain(folder / summary[1][kind])
        assert chain.sequence == "MKTAYC"
        np.testing.assert_allclose(chain.atom37, expected.coords, atol=2e-3)
    with np.load(folder / summary[1]["npz"]) as arrays:
        np.testing.assert_allclose(arrays["pae"], expected.pae, atol=0.02)
        np.testing.assert_allclose(arrays["contacts"], expected.contacts, atol=1e-3)
        np.testing.assert_allclose(arrays["plddt"], expected.plddt, atol=1e-3)
        np.testing.assert_allclose(arrays["distogram"], expected.distogram, atol=1e-3)
        assert str(arrays["sequence"]) == "MKTAYC" and arrays["distogram_edges_a"][0] == np.float32(2.3125)


@pytest.mark.parametrize("place", ["_write_arrays", "_append"])
@pytest.mark.parametrize("at", [0, 2])
def test_killed_and_run_again_is_the_same_as_not_killed(
    config: PredictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, at: int
) -> None:
    assert predict(config) == 0
    killed = config.model_copy(update={"output": str(tmp_path / "killed")})
    calls, original = [], getattr(PredictionStore, place)

    def failing(self: PredictionStore, *arguments) -> None:
        if len(calls) == at + (place == "_append"):
            raise KeyboardInterrupt
        calls.append(0)
        original(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PredictionStore, place, failing)
        predict(killed)
    with (tmp_path / "killed" / JOURNAL).open("a") as stream:
        stream.write('{"id": "half a li')
    (tmp_path / "killed" / ".half.pdb.tmp").write_text("ATOM")
    predicted, predict_batch = [], StructurePredictor.predict_batch

    def counting(self: StructurePredictor, queries, *arguments):
        predicted.extend(query.id for query in queries)
        return predict_batch(self, queries, *arguments)

    monkeypatch.setattr(StructurePredictor, "predict_batch", counting)
    assert predict(killed) == 0
    # The others of a batch that was not finished are computed again, because padding changes last digits.
    assert 4 - at <= len(predicted) <= 4
    whole, again = content(tmp_path / "out"), content(tmp_path / "killed")
    assert not list((tmp_path / "killed").glob("*.tmp"))
    names = [name for name in whole if name.endswith((".pdb", ".cif", ".npz", ".csv"))]
    assert {name: whole[name] for name in names} == {name: again[name] for name in names} and len(names) == 14


def test_what_is_done_is_not_done_again_unless_its_files_are_gone(
    config: PredictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict(config) == 0
    folder = Path(config.output)
    (folder / "one.cif").unlink()
    predicted, original = [], StructurePredictor.predict_batch

    def counting(self: StructurePredictor, queries, *arguments):
        predicted.extend(query.sequence for query in queries)
        return original(self, queries, *arguments)

    monkeypatch.setattr(StructurePredictor, "predict_batch", counting)
    Path(config.input).write_text(FASTA.format(long="MKV") + ">new\nMKK\n")
    assert predict(config) == 0
    assert {"MKK", "MKTAYC", "MKV"} <= set(predicted) and "MKTAYIAKQRQISFVKSH" not in predicted
    assert (folder / "one.cif").is_file() and len(rows_of(folder / "summary.csv")) == 6
    with pytest.raises(ConfigError, match="holds predictions of cycles=None"):
        predict(config.model_copy(update={"cycles": 3}))
    (folder / JOURNAL).write_text("{}\nnonsense\n")
    with pytest.raises(ConfigError, match="is damaged"):
        predict(config)


def test_one_failure_does_not_take_its_batch_with_it(config: PredictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    original = StructurePredictor.predict_batch

    def failing(self: StructurePredictor, queries, *arguments):
        if any(query.id == "ONE" for query in queries):
            raise MemoryError("too much")
        return original(self, queries, *arguments)

    monkeypatch.setattr(StructurePredictor, "predict_batch", failing)
    assert predict(config) == 0
    assert {row["input"] for row in rows_of(Path(config.output) / "rejected.csv")} == {"empty", "gap", "long", "ONE"}


def test_nothing_predicted_is_status_three(config: PredictConfig, tmp_path: Path) -> None:
    for text in ("no FASTA", ">a\nM-K\n"):
        Path(config.input).write_text(text)
        assert predict(config.model_copy(update={"output": str(tmp_path / "none")})) == NOTHING_PREDICTED
        assert len(rows_of(tmp_path / "none" / "rejected.csv")) == 1
    small = config.model_copy(update={"memory_gb": 1e-7, "output": str(tmp_path / "small")})
    Path(config.input).write_text(">a\nMKT\n")
    assert predict(small) == NOTHING_PREDICTED
    assert "Set memory_gb" in rows_of(tmp_path / "small" / "rejected.csv")[0]["reason"]
    with pytest.raises(ConfigError, match="no such file"):
        predict(config.model_copy(update={"input": str(tmp_path / "nowhere")}))
    with pytest.raises(ConfigError, match="no FASTA file"):
        predict(config.model_copy(update={"input": str(tmp_path / "none")}))


def test_alignments_are_found_by_name_and_checked(config: PredictConfig, tmp_path: Path) -> None:
    folder = tmp_path / "msas"
    folder.mkdir()
    (folder / "one.a3m").write_text(">q\nMKTAYC\n>b\nMKSAY-\n")
    (folder / "evil.sto").write_text("# STOCKHOLM 1.0\nq WWAD\nb WW-D\n//\n")
    with pytest.raises(ConfigError, match="would not read the alignment"):
        predict(config.model_copy(update={"msa_dir": str(folder)}))
    model = str(predictor(profile=True).save_pretrained(tmp_path / "profile"))
    assert predict(config.model_copy(update={"msa_dir": str(folder), "model": model})) == 0
    assert [row["id"] for row in rows_of(Path(config.output) / "summary.csv")] == ["one"]
    reasons = {row["input"]: row["reason"] for row in rows_of(Path(config.output) / "rejected.csv")}
    assert "no alignment ONE.a3m" in reasons["ONE"] and "residue 4 of its query is D" in reasons["../../evil"]


def test_the_report_shows_a_page_of_predictions_after_another(
    config: PredictConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("protein.prediction_report.ON_A_PAGE", 2)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.fa").write_text(">a<b>\nMKTAYIAK\n>c\nMK\n>d\nW\n>e\nMKV\n")
    arguments = [f"model={config.model}", f"input={tmp_path / 'in'}", f"output={config.output}", "device=cpu", "draw=3"]
    assert main(["protein", "predict", *arguments, "format=pdb", "distogram=false"]) == 0
    first, second = (Path(config.output) / name for name in ("report.html", "report-2.html"))
    assert first.read_text().count("<svg") == 3 and second.read_text().count("<svg") == 1
    assert "a&lt;b&gt;" in first.read_text() and 'href="report-2.html"' in first.read_text()
    lines = [json.loads(line) for line in (Path(config.output) / JOURNAL).read_text().splitlines()]
    assert {line["name"] for line in lines[1:]} == {"a_b", "c", "d", "e"} and set(lines[1]["files"]) == {"pdb", "npz"}
