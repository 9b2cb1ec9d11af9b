"""`trifold models`: the shipped models and their cards, read from `<domain>/pretrained/*/model.json`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from common.app.errors import CheckpointError, ConfigError
from common.app.packages import installed_folder
from common.app.registry import did_you_mean

CARD = "model.json"
ACTIONS = ("list", "verify", "licence", "citation", "size", "manifest")
HEADLINE = ("description", "property", "unit", "architecture", "licence", "citation")
"""Shown first, in this order; the rest of a card follows as it lies in the file."""


def run(words: list[str], domains: Sequence[str]) -> int:
    """`list`, the default; NAME or FOLDER: one card; `verify|licence|citation|size [NAME ...]`; `manifest`."""
    cards = dict(shipped_cards(domains))
    action, *names = words or ["list"]
    if action not in ACTIONS:
        Console().print(render_card(action, _folder(action, cards)))
        return 0
    if action == "list":
        Console().print(list_models(cards))
    elif action == "manifest":
        print(manifest(cards), end="")
    else:
        act = {"verify": verify, "licence": licence, "citation": citation, "size": size}[action]
        for name in names or cards:
            print(f"{name}: {act(_folder(name, cards))}")
    return 0


def _folder(name: str, cards: Mapping[str, Path]) -> Path:
    folder = cards[name] if name in cards else Path(name)
    if not (folder / CARD).is_file():
        near = did_you_mean(name, [*cards, *ACTIONS])
        raise ConfigError(f"unknown model '{name}', and no folder with a {CARD}. {near}")
    return folder


def verify(folder: Path) -> str:
    """Check every byte against the folder's manifest, and the card against its schema; raises CheckpointError."""
    from common.app.cards import checked_card
    from common.data.artifact import verify_artifact

    files = verify_artifact(folder)
    checked_card(folder, str(read_card(folder).get("domain")))
    return f"{', '.join(files)} and the card are as they should be"


def licence(folder: Path) -> str:
    """Terms of the weights, and of the data they were learned from."""
    card = read_card(folder)
    return f"weights {card.get('licence')}; learned from data under: {card.get('data', {}).get('licence')}"


def citation(folder: Path) -> str:
    """What a paper that uses the model cites besides this package: its data."""
    return str(read_card(folder).get("data", {}).get("citation"))


def size(folder: Path) -> str:
    """Of all files."""
    return f"{_bytes(folder) / 1e6:.1f} MB"


def manifest(cards: Mapping[str, Path]) -> str:
    """Every file of every model as CSV: model, domain, file, bytes, SHA-256, licence.

    The files are read, and are not what they should be unless their folder's own manifest says the same.
    """
    from common.data.artifact import MANIFEST, sha256_of, verify_artifact

    text = StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("model", "domain", "file", "bytes", "sha256", "licence"))
    for name, folder in cards.items():
        card, domain = read_card(folder), folder.parent.parent.name
        for file in (*sorted(verify_artifact(folder)), MANIFEST):
            path = folder / file
            rows.writerow((name, domain, file, path.stat().st_size, sha256_of(path), card["licence"]))
    return text.getvalue()


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
