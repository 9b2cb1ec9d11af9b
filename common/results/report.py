"""One self-contained HTML file about a run: it needs no network and no script, and every text in it is escaped.

    write_report(path, "CGCNN on MP-2018", [Section("Errors", embed(figure, "..."))], [Tile("MAE", "0.038", "eV/atom")])
    run_report(run_dir, "CGCNN on MP-2018", tables=[table], domain_sections=[...])
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

import common
from common.app.errors import DataFormatError
from common.results.history import read_metrics
from common.results.plots import curves, embed
from common.results.tables import Table

# No script, no request: even text that escaped wrongly could not run or fetch anything
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Section:
    """A part of the report; `html` is trusted, so build it with the functions of this module, which escape."""

    heading: str
    html: str


@dataclass(frozen=True)
class Tile:
    """A headline figure."""

    label: str
    value: str
    unit: str = ""


def write_report(
    path: Path, title: str, sections: Iterable[Section], tiles: Iterable[Tile] = (), subtitle: str = ""
) -> Path:
    """Write the page in one step: a reader sees the old report or the new one, never half of it."""
    sections = list(sections)
    links = "".join(f'<a href="#{_anchor(section)}">{escape(section.heading)}</a>' for section in sections)
    body = "".join(
        f'<section id="{_anchor(section)}"><h2>{escape(section.heading)}</h2>{section.html}</section>'
        for section in sections
    )
    style = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{escape(title)}</h1><p class="muted">{escape(subtitle)}</p>{tile_grid(tiles)}<nav>{links}</nav></header>
<main>{body}</main>
<footer>Trifold {escape(common.__version__)}</footer>
</body>
</html>
"""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.write_text(page, encoding="utf-8")
    os.replace(temporary, path)
    return path


def run_report(
    run_dir: Path,
    title: str,
    *,
    tiles: Sequence[Tile] = (),
    data: Mapping[str, Any] | None = None,
    tables: Sequence[Table] = (),
    domain_sections: Sequence[Section] = (),
) -> Path:
    """Write `run_dir/report.html` from what the folder holds (config.yaml, env.json, metrics.jsonl) and what is given.

    `data` says name, sizes, licence and citation of the data set; `tables` hold our row beside published ones.
    A file that the run did not write is left out; one that cannot be read is a DataFormatError.
    """
    history = read_metrics(run_dir / "metrics.jsonl")
    environment = _read_json(run_dir / "env.json")
    config = run_dir / "config.yaml"
    sections = []
    if tables:
        sections.append(Section("Results", "".join(table.to_html() for table in tables)))
    if history:
        picture = embed(curves(history), "Pale: single readings of the loss; strong: their running mean, and metrics")
        run = facts(_training_facts(history))
        sections.append(Section("Training", f'<div class="scroll wide">{picture}</div>{run}'))
    sections.extend(domain_sections)
    if data:
        sections.append(Section("Data", facts(data)))
    if config.is_file():
        text = config.read_text(encoding="utf-8", errors="replace")
        sections.append(Section("Configuration", details("config.yaml", text)))
    if environment:
        sections.append(Section("Environment", facts(environment)))
    subtitle = " / ".join(run_dir.absolute().parts[-3:])  # domain, experiment, time
    return write_report(run_dir / "report.html", title, sections, tiles, subtitle)


def tile_grid(tiles: Iterable[Tile]) -> str:
    """Headline figures side by side."""
    cells = [
        f'<div class="tile"><dt>{escape(tile.label)}</dt>'
        f"<dd>{escape(tile.value)} <small>{escape(tile.unit)}</small></dd></div>"
        for tile in tiles
    ]
    return f'<dl class="tiles">{"".join(cells)}</dl>' if cells else ""


def facts(values: Mapping[str, Any]) -> str:
    """Names and values, one a line; nested mappings and lists on one line; None left out."""
    rows = "".join(
        f"<tr><td>{escape(key.replace('_', ' '))}</td><td>{_shown(value)}</td></tr>"
        for key, value in values.items()
        if value not in (None, "", [], {})
    )
    return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'


def data_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A plain table; numbers are aligned right and floats shown with four decimals."""
    rows = list(rows)
    numeric = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(headers))]
    head = "".join(f"<th{_number(n)}>{escape(text)}</th>" for text, n in zip(headers, numeric, strict=True))
    lines = [
        "".join(f"<td{_number(n)}>{escape(_cell(value))}</td>" for value, n in zip(row, numeric, strict=True))
        for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def details(summary: str, text: str) -> str:
    """A long text that opens on demand."""
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def _training_facts(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    speeds = [line["samples_per_s"] for line in history if line.get("samples_per_s")]
    memory = [line["memory_gb"] for line in history if line.get("memory_gb")]
    return {
        "steps": max(line["step"] for line in history),
        "epochs": f"{max(line.get('epoch', 0) for line in history):.4g}",
        "samples per second": f"{median(speeds):,.0f} (median)" if speeds else None,
        "peak memory": f"{max(memory):.2f} GB" if memory else None,
    }


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataFormatError(f"{path} is not a JSON object ({error}); remove it or run again") from error


def _shown(value: Any) -> str:
    """Escaped text of a fact; http(s) addresses become links."""
    if isinstance(value, Mapping):
        return escape(", ".join(f"{key} {_cell(item)}" for key, item in value.items() if item is not None))
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value)
    text = escape(_cell(value))
    return re.sub(r"https?://[^\s<>&;,]+[^\s<>&;,.)]", lambda match: f'<a href="{match[0]}">{match[0]}</a>', text)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _number(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _anchor(section: Section) -> str:
    return re.sub(r"[^a-z0-9]+", "-", section.heading.lower()).strip("-")
