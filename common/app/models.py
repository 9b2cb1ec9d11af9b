"""`trifold models`: the shipped models and their cards, read from `<domain>/pretrained/*/model.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from common.app.errors import CheckpointError, ConfigError
from common.app.packages import installed_folder
from common.app.registry import did_you_mean

CARD = "model.json"
HEADLINE = ("description", "property", "unit", "architecture", "licence", "citation")
"""Shown first, in this order; the rest of a card follows as it lies in the file."""


def run(words: list[str], domains: Sequence[str]) -> int:
    """`models` lists, `models NAME|FOLDER` shows one card."""
    console = Console()
    cards = dict(shipped_cards(domains))
    if not words:
        console.print(list_models(cards))
        return 0
    name = words[0]
    folder = cards[name] if name in cards else Path(name)
    if not (folder / CARD).is_file():
        raise ConfigError(f"unknown model '{name}', and no folder with a {CARD}. {did_you_mean(name, list(cards))}")
    console.print(render_card(name, folder))
    return 0


def shipped_cards(domains: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Names and folders of the models inside the installed packages."""
    for domain in domains:
        package = installed_folder(domain)
        for path in sorted(package.glob(f"pretrained/*/{CARD}")) if package else ():
            yield path.parent.name, path.parent


def list_models(cards: Mapping[str, Path]) -> Table:
    """One row a model."""
    table = Table("model", "domain", "property", "metrics", "MB", title=None if cards else "No model is shipped yet.")
    for name, folder in cards.items():
        card = read_card(folder)
        domain = folder.parent.parent.name
        prop = " ".join(_inline(card[key]) for key in ("property", "unit") if card.get(key)) or str(
            card.get("description", "")
        )
        table.add_row(name, domain, prop, _inline(card.get("metrics", {})), f"{_bytes(folder) / 1e6:.1f}")
    return table


def render_card(name: str, folder: Path) -> Table:
    """A model card as a table of field and value."""
    card = read_card(folder)
    table = Table(show_header=False, title=name)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for field in [*(key for key in HEADLINE if key in card), *(key for key in card if key not in (*HEADLINE, "name"))]:
        table.add_row(field.replace("_", " "), _inline(card[field]))
    table.add_row("size", f"{_bytes(folder) / 1e6:.1f} MB")
    return table


def read_card(folder: Path) -> dict[str, Any]:
    """The fields of `model.json`. Raises CheckpointError where it is not a JSON object."""
    try:
        card = json.loads((folder / CARD).read_text())
    except ValueError as error:
        raise CheckpointError(f"{folder / CARD} is damaged ({error}); restore the folder") from error
    if not isinstance(card, dict):
        raise CheckpointError(f"{folder / CARD} holds a {type(card).__name__}, expected a JSON object")
    return card


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_inline(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_inline, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
