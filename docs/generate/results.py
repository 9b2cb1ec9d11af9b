"""Model cards and benchmark tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from common.app.models import read_card, shipped_cards
from common.app.packages import installed_folder
from common.results.tables import Table
from docs.generate.markdown import code, linked, prose

LOADERS = {"weather": "Forecaster", "protein": "StructurePredictor", "materials": "PropertyPredictor"}


def benchmarks(domains: Sequence[str]) -> str:
    """Every table of every domain, published rows with source and protocol."""
    parts = [
        "# Benchmarks",
        "Published values as they were read at their sources. Values are compared inside one protocol only; the best "
        "of a comparable block is bold. `trifold DOMAIN benchmark table=NAME` computes the rows of the shipped models "
        "and prints them in these tables; `train=true` trains them first. What was measured is in "
        "the [cards of the models](models.md).",
    ]
    for domain in domains:
        parts.append(f"## {domain.capitalize()}")
        for path in sorted((_package(domain) / "benchmarks").glob("*.yaml")):
            parts += _table(domain, Table.load(path))
    return "\n\n".join(parts) + "\n"


def _table(domain: str, table: Table) -> Iterator[str]:
    yield f"### {prose(table.title)} {{ #{table.name} }}"
    yield f"`trifold {domain} benchmark table={table.name}`"
    if table.rows:
        yield table.to_html()
        return
    yield prose(table.note)
    yield "Nothing published can be compared; protocols: " + "; ".join(prose(p.text) for p in table.protocols.values())


def models(domains: Sequence[str]) -> str:
    """The card of every shipped model."""
    parts = [
        "# Models",
        "These come with the package and load by name without network; `trifold models NAME` prints a whole card. "
        "Published weights of others load by name, too, once their files are here: see [data sets](datasets.md).",
    ]
    for domain in domains:
        parts.append(f"## {domain.capitalize()}")
        cards = list(shipped_cards([domain]))
        parts += [text for name, folder in cards for text in _card(domain, name, folder)]
        if not cards:
            parts.append("None is shipped yet.")
    return "\n\n".join(parts) + "\n"


def _card(domain: str, name: str, folder: Path) -> Iterator[str]:
    card = read_card(folder)
    loader = "Potential" if "units" in card and domain == "materials" else LOADERS[domain]
    data, training = card.get("data", {}), card.get("training", {})
    facts = {
        "use": f"{loader}.from_pretrained({name!r})",
        "predicts": _properties(card),
        "architecture": card["architecture"],
        "learned from": data.get("title") or data.get("name", ""),
        "measured": ", ".join(f"{key} {value:.4g}" for key, value in card.get("metrics", {}).items()),
        "training": _training(training),
        "licence": f"weights {card['licence']}; data {data.get('licence', '')}",
        "size": f"{sum(path.stat().st_size for path in folder.iterdir()) / 1e6:.1f} MB",
    }
    yield f"### {code(name)}"
    yield prose(str(card.get("description", "")))
    yield (
        '<dl class="card">'
        + "".join(f"<dt>{key}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items() if value)
        + "</dl>"
    )
    if data.get("citation"):
        yield f"Cite: {linked(data['citation'])}"


def _properties(card: Mapping[str, Any]) -> str:
    if "property" not in card:
        return ", ".join(f"{key} ({unit})" for key, unit in card.get("units", {}).items())
    names, units = card["property"], card["unit"]
    pairs = [(names, units)] if isinstance(names, str) else zip(names, units, strict=True)
    return ", ".join(f"{name} ({unit})" if unit else name for name, unit in pairs)


def _training(training: Mapping[str, Any]) -> str:
    if "minutes" not in training:
        return ""
    processes = training.get("processes", 1)
    return f"{training['minutes']} minutes, {processes} {'process' if processes == 1 else 'processes'}"


def _package(domain: str) -> Path:
    folder = installed_folder(domain)
    if folder is None:
        raise FileNotFoundError(f"package {domain} is not installed")
    return folder
