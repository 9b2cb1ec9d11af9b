"""Every example does what its first lines say, with what is shipped and without network."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protein import StructurePredictor
from protein.data.read import read_chains

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run `main` of an example in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIFOLD_MIRROR", str(tmp_path / "no network"))
    return lambda name, *words: runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](*words)


def test_all_examples_are_tested() -> None:
    text = Path(__file__).read_text()
    assert all(f'example("{path.stem}"' in text for path in EXAMPLES.glob("*.py"))


def test_wide_gaps_rank_first(example: Callable[..., Any]) -> None:
    ranked = example("rank_crystals")["id"].tolist()
    assert set(ranked[:2]) <= {"FLi", "FNa", "FK"}, "fluorides have the widest gaps of the alkali halides"


def test_contributions_of_atoms_add_up(example: Callable[..., Any]) -> None:
    atoms = example("explain_solubility", "CCO")
    assert atoms["element"].tolist() == ["C", "C", "O"]
    assert Path("explained.svg").read_text().lstrip().startswith(("<?xml", "<svg"))


def test_a_forecast_beats_persistence_at_once(example: Callable[..., Any]) -> None:
    scores = example("forecast_flow")
    assert scores["forecast"].iloc[0] < scores["persistence"].iloc[0]
    assert Path("forecast.svg").is_file()


def test_a_sequence_becomes_a_structure(example: Callable[..., Any], run: Callable[[str], Path]) -> None:
    sequence = "MQIFVKTLTGKTITLEVEPS"
    models = [str(run("protein") / "tiny-fold"), *(name for name in ["fold-small"] if name in StructurePredictor.shipped())]
    for model in models:
        example("fold_sequence", model, sequence)
        (chain,) = read_chains(Path("structure.pdb"))
        assert chain.sequence == sequence
        assert Path("structure.svg").is_file()


def test_the_core_learns_a_function_of_ones_own(example: Callable[..., Any]) -> None:
    assert example("own_task") < 0.1
