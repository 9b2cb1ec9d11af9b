"""Every shipped card says what a card has to, every shipped file is the one in weights.csv."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from common.app import models
from common.app.cards import checked_card
from common.app.cli import DOMAINS
from common.app.errors import CheckpointError

ROOT = Path(__file__).parents[3]
SHIPPED = dict(models.shipped_cards(tuple(DOMAINS)))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_card_holds_to_the_schema(name: str) -> None:
    folder = SHIPPED[name]
    assert checked_card(folder, folder.parent.parent.name).name == name


def test_the_manifest_names_every_shipped_file_as_it_is() -> None:
    written = (ROOT / "weights.csv").read_text()
    assert written == models.manifest(SHIPPED), "weights have changed: trifold models manifest > weights.csv"
    assert len(written.splitlines()) == 1 + sum(len(list(folder.iterdir())) for folder in SHIPPED.values())


@pytest.mark.parametrize(
    ("model", "change", "named"),
    [
        ("esol", lambda card: card.pop("licence"), "licence: Field required"),
        ("esol", lambda card: card["data"].pop("citation"), "data.citation"),
        ("esol", lambda card: card.update(licens="MIT"), "licens: Extra inputs"),
        ("esol", lambda card: card["metrics"].update(val_mae="good"), "metrics.val_mae"),
        ("esol", lambda card: card.update(unit=["K", "K"]), "one unit a property"),
        ("esol", lambda card: card["elements"].append(200), "elements.9"),
        ("mlip-mlearn-cu", lambda card: card["units"].update(energy="kcal/mol"), "units.energy"),
        ("ncep-namerica-t995", lambda card: card["scales"]["mean"].append(0.0), "1 channels, but"),
        ("fold-small", lambda card: card["training"].update(minutes=-1.0), "training.minutes"),
    ],
)
def test_what_is_wrong_with_a_card_is_named(
    tmp_path: Path, model: str, change: Callable[[dict[str, Any]], Any], named: str
) -> None:
    folder = SHIPPED[model]
    card = json.loads((folder / models.CARD).read_text())
    change(card)
    (tmp_path / models.CARD).write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="schema of model cards") as error:
        checked_card(tmp_path, folder.parent.parent.name)
    assert named in str(error.value)


def test_verify_finds_a_changed_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copytree(SHIPPED["mlip-mlearn-cu"], tmp_path / "model")
    assert models.run(["verify", str(folder)], ["materials"]) == 0
    assert "as they should be" in capsys.readouterr().out
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="SHA-256"):
        models.run(["verify", str(folder)], ["materials"])


@pytest.mark.parametrize(
    ("action", "said"),
    [("licence", "weights Apache-2.0; learned from data under: MIT"), ("citation", "Delaney"), ("size", "3.2 MB")],
)
def test_terms_and_size_of_a_model(action: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert models.run([action, "esol"], ["materials"]) == 0
    assert capsys.readouterr().out.startswith(f"esol: {said}")
