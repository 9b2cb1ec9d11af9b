"""Model cards are read as they are: whole, partial or damaged."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from common.app import models
from common.app.errors import CheckpointError, ConfigError

CARD = {
    "name": "toy",
    "description": "a toy",
    "property": "e_form",
    "unit": "eV/atom",
    "metrics": {"val_mae": 0.04321987},
    "licence": "Apache-2.0",
    "recipe": {"seed": 1, "layers": [1, 2]},
}


def folder_with(card: str, path: Path) -> Path:
    folder = path / "materials/pretrained/toy"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(card)
    return folder


def text_of(renderable: object) -> str:
    output = StringIO()
    Console(width=120, file=output).print(renderable)
    return output.getvalue()


def test_every_field_of_a_card_is_shown(tmp_path: Path) -> None:
    shown = text_of(models.render_card("toy", folder_with(json.dumps(CARD), tmp_path)))
    for word in ("a toy", "eV/atom", "val_mae: 0.0432199", "Apache-2.0", "seed: 1", "layers: 1, 2"):
        assert word in shown


@pytest.mark.parametrize("card", ["{}", json.dumps(CARD), '{"metrics": {}, "description": "x"}'])
def test_a_list_needs_no_field(tmp_path: Path, card: str) -> None:
    assert "toy" in text_of(models.list_models({"toy": folder_with(card, tmp_path)}))


@pytest.mark.parametrize("card", ["", "{", "[]", "3"])
def test_a_damaged_card_is_named(tmp_path: Path, card: str) -> None:
    with pytest.raises(CheckpointError, match=r"model\.json"):
        models.read_card(folder_with(card, tmp_path))


def test_a_folder_has_a_card_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_with(json.dumps(CARD), tmp_path)
    assert models.run([str(folder)], ["materials"]) == 0
    assert "a toy" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="no folder with"):
        models.run([str(tmp_path)], ["materials"])


def test_shipped_cards_are_found_without_imports() -> None:
    for name, folder in models.shipped_cards(["materials", "weather", "protein"]):
        assert models.read_card(folder).get("name", name)
