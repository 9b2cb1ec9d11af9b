"""Every example does what its first lines say, with what is shipped and without network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protein import StructurePredictor
from protein.data.read import read_chains
from tests.docs.conftest import EXAMPLES, run_example


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run `main` of an example in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIFOLD_MIRROR", str(tmp_path / "no network"))
    return run_example


def test_all_examples_are_tested() -> None:
    text = Path(__file__).read_text()
    assert all(path.stem in text for path in EXAMPLES.glob("*.py"))


def test_gaps_rank_as_in_textbooks(example: Callable[..., Any]) -> None:
    place = {name: rank for rank, name in enumerate(example("rank_crystals")["id"])}
    assert place["FLi"] == 0, "lithium fluoride has the widest gap of all halides"
    assert place["FNa"] < place["ClNa"] < place["BrNa"], "gaps of halides narrow from fluorides to bromides"


def test_contributions_of_atoms_add_up(example: Callable[..., Any]) -> None:
    atoms = example("explain_solubility", "CCO")
    assert atoms["element"].tolist() == ["C", "C", "O"]
    assert Path("explained.svg").read_text().lstrip().startswith(("<?xml", "<svg"))


def test_a_forecast_beats_persistence_at_once(flow: tuple[Path, Any]) -> None:
    """By examples/forecast_flow.py."""
    folder, scores = flow
    assert scores["forecast"].iloc[0] < scores["persistence"].iloc[0]
    assert (folder / "forecast.svg").is_file()


def test_a_sequence_becomes_a_structure(example: Callable[..., Any], run: Callable[[str], Path]) -> None:
    sequence = "MQIFVKTLTGKTITLEVEPS"
    shipped = {"fold-small"} & set(StructurePredictor.shipped())
    for model in (str(run("protein") / "tiny-fold"), *shipped):
        example("fold_sequence", model, sequence)
        (chain,) = read_chains(Path("structure.pdb"))
        assert chain.sequence == sequence
        assert Path("structure.svg").is_file()


def test_the_core_learns_a_function_of_ones_own(example: Callable[..., Any]) -> None:
    assert example("own_task") < 0.1
