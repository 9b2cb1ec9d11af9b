"""The report of many predictions: a table of all, and pages with the pictures of the first ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.results.plots import embed
from common.results.report import Section, Tile, data_table, facts, write_report
from protein.pictures import overview, prediction_panels
from protein.prediction_store import PredictionStore, Record

ON_A_PAGE = 20
LISTED = 2_000
"""Rows of a table; summary.csv and rejected.csv hold all."""


def write_reports(
    store: PredictionStore, records: Sequence[Record], rejected: Sequence[tuple[str, str]], model: str, most: int
) -> Path:
    """report.html, and report-2.html ... where more than a page of predictions is drawn; the first is returned.

    most  predictions that are drawn
    """
    drawn = list(records[:most])
    pages = [drawn[start : start + ON_A_PAGE] for start in range(0, len(drawn), ON_A_PAGE)] or [[]]
    for leftover in store.folder.glob("report*.html"):
        leftover.unlink()
    for number, page in enumerate(pages, 1):
        first = _summary(records, rejected, len(drawn)) if number == 1 else []
        sections = [*first, *(_pictures(store, record) for record in page), *_links(number, len(pages))]
        tiles = _tiles(records, rejected) if number == 1 else []
        title = f"Structures predicted by {model}" + (f", page {number}" if number > 1 else "")
        write_report(store.folder / _page(number), title, sections, tiles, store.folder.name)
    return store.folder / _page(1)


def _tiles(records: Sequence[Record], rejected: Sequence[tuple[str, str]]) -> list[Tile]:
    tiles = [Tile("Predicted", f"{len(records):,}"), Tile("Rejected", f"{len(rejected):,}")]
    if records:
        tiles.append(Tile("Mean pLDDT", f"{np.mean([record.mean_plddt for record in records]):.1f}"))
        tiles.append(Tile("Residues", f"{sum(len(record.sequence) for record in records):,}"))
    return tiles


def _summary(records: Sequence[Record], rejected: Sequence[tuple[str, str]], drawn: int) -> list[Section]:
    lengths, plddt = [len(record.sequence) for record in records], [record.mean_plddt for record in records]
    sections = []
    if records:
        rows = [
            (one.id, len(one.sequence), one.mean_plddt, "" if one.ptm is None else f"{one.ptm:.3f}",
             "; ".join(one.changes))
            for one in records[:LISTED]
        ]  # fmt: skip
        more = "" if drawn == len(records) else f"; pictures of the first {drawn}"
        listed = "" if len(records) <= LISTED else f" The first {LISTED:,}; summary.csv has all."
        table = data_table(
            ("Sequence", "Residues", "Mean pLDDT", "pTM", "Read as"),
            rows,
            f"{len(records):,} predictions{more}.{listed}",
        )
        picture = embed(overview(lengths, plddt), "Mean pLDDT of each prediction against its length")
        sections.append(Section("Predictions", (picture if len(records) > 2 else "") + table))
    if rejected:
        shown = data_table(("Input", "Reason"), rejected[:LISTED], f"{len(rejected):,} inputs; rejected.csv has all.")
        sections.append(Section("Rejected", shown))
    return sections


def _pictures(store: PredictionStore, record: Record) -> Section:
    prediction = store.read(record)
    caption = (
        f"{record.id}, {len(prediction)} residues: the trace coloured by confidence; probability that two residues are "
        "in contact; expected error of one residue seen from another; pLDDT along the chain"
    )
    numbers = {"mean pLDDT": f"{record.mean_plddt:.1f}", "pTM": record.ptm, "files": list(record.files.values())}
    return Section(record.id, embed(prediction_panels(prediction), caption) + facts(numbers))


def _links(number: int, pages: int) -> list[Section]:
    if pages == 1:
        return []
    links = " ".join(
        f"<strong>{page}</strong>" if page == number else f'<a href="{_page(page)}">{page}</a>'
        for page in range(1, pages + 1)
    )
    return [Section("Pages", f"<p>{links}</p>")]


def _page(number: int) -> str:
    return "report.html" if number == 1 else f"report-{number}.html"
