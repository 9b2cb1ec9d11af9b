"""`trifold data prepare`: a domain's own keys, checked as those of a verb are."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.app.cli import main
from protein.data.chains import Chains
from protein.data.write import write_mmcif
from tests.protein.data.conftest import ideal_chain


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["folder=x"], "needs domain=NAME; protein can"),
        (["domain=weather", "folder=x"], "weather has nothing to prepare"),
        (["domain=protein", "folder=x", "output=y", "lenght=3"], "lenght=3: unknown key"),
        (["domain=protein", "folder=x"], "output: needs a value"),
        (["domain=protein", "folder=x", "output=y", "val=1.5"], "val=1.5: allowed: a number >= 0 and < 1"),
        (["domain=protein", "structures"], "expected key=value"),
        (["domain=protein", "folder=nowhere", "output=y"], "nowhere is not a folder"),
    ],
)
def test_wrong_keys_are_told_with_the_remedy(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "prepare", *words]) == 1
    assert message in capsys.readouterr().err


def test_keys_are_listed_without_running_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protein", "data", "prepare", "--help"]) == 0
    said = capsys.readouterr().out
    assert "folder=???" in said and "completeness=0.6" in said and "least share of residues" in said


@pytest.mark.filterwarnings("ignore:MMseqs2")
def test_a_folder_of_structures_becomes_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    write_mmcif(tmp_path / "in" / "a.cif", ideal_chain("ACDEFGHIKLMNPQRSTVWY" * 2))
    write_mmcif(tmp_path / "in" / "b.cif", ideal_chain("ACD"))
    arguments = ["domain=protein", f"folder={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "val=0", "test=0"]
    assert main(["data", "prepare", *arguments]) == 0
    assert "train: 1 chains, 1 clusters, 40 residues" in capsys.readouterr().out
    assert Chains.from_npz(tmp_path / "out" / "train.npz").sequence(0) == "ACDEFGHIKLMNPQRSTVWY" * 2
    assert "3 residues; 30 to 512 are kept" in (tmp_path / "out" / "rejected.csv").read_text()
