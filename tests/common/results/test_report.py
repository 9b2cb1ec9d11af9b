"""The report is one file that fetches and runs nothing, and a damaged run folder is named."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from common.app.errors import DataFormatError
from common.results.history import read_metrics
from common.results.report import Section, Tile, data_table, facts, run_report, write_report
from common.results.tables import Column, Protocol, Row, Table

ATTACK = "<script>document.title='owned'</script><img src=https://example.org/x onerror=alert(1)>"


class Page(HTMLParser):
    """Tags, addresses that a browser would fetch, and whether every element is closed."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.fetched += [value or "" for name, value in attrs if name in ("src", "srcset", "data", "poster", "action")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "materials" / "<b>study" / "2026-01-01"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"note: {ATTACK}\n")
    (folder / "env.json").write_text(json.dumps({"python": ATTACK, "packages": {"torch": "2.13"}, "gpus": []}))
    lines = [{"step": s, "epoch": 1, "split": "train", "loss": 2.0 / s, "samples_per_s": 100.0} for s in range(1, 40)]
    lines += [{"step": s, "epoch": 1, "split": "val", ATTACK: 1.0 / s} for s in range(10, 40, 10)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_hostile_text_stays_text_and_nothing_is_fetched(run_dir: Path) -> None:
    row = Row(system=ATTACK, values={"mae": 1.0}, source=ATTACK, protocol="p", details={ATTACK: ATTACK})
    column, protocol = Column(name="mae", label=ATTACK, unit=ATTACK), Protocol(text=ATTACK)
    table = Table(name="t", title=ATTACK, columns=(column,), protocols={"p": protocol}, rows=(row,), note=ATTACK)
    path = run_report(
        run_dir,
        ATTACK,
        tiles=[Tile(ATTACK, ATTACK, ATTACK)],
        data={ATTACK: [ATTACK, {"url": f"https://example.org/{ATTACK}"}]},
        tables=[table],
        domain_sections=[Section(ATTACK, data_table([ATTACK], [[ATTACK]], ATTACK))],
    )
    text = path.read_text()
    page = Page(text)
    assert page.open == [] and page.handlers == []
    assert not page.tags & {"script", "img", "iframe", "object", "link", "b"}
    assert page.fetched == [] and not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_report_holds_every_part_of_the_run(run_dir: Path) -> None:
    text = run_report(run_dir, "Study", data={"name": "mp2018", "licence": "CC BY 4.0"}).read_text()
    for heading in ("Training", "Data", "Configuration", "Environment"):
        assert f"<h2>{heading}</h2>" in text
    assert "<svg" in text and "torch 2.13" in text and "CC BY 4.0" in text and "100 (median)" in text


def test_an_empty_run_folder_gives_an_empty_report(tmp_path: Path) -> None:
    assert Page(run_report(tmp_path, "Empty").read_text()).open == []


def test_resumed_steps_count_once_and_a_cut_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [{"step": step, "split": "train", "loss": loss} for step, loss in ((1, 3), (2, 9), (2, 2))]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3, "spl')
    assert [(line["step"], line["loss"]) for line in read_metrics(path)] == [(1, 3), (2, 2)]


def test_damage_inside_a_file_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "split": "train"}\nnot json\n{"step": 2, "split": "train"}\n')
    with pytest.raises(DataFormatError, match=r"metrics\.jsonl, line 2"):
        read_metrics(path)
    path.unlink()
    (tmp_path / "env.json").write_text("[1]")
    with pytest.raises(DataFormatError, match=r"env\.json"):
        run_report(tmp_path, "Damaged")


def test_writing_replaces_the_old_report_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, "first", [])
    write_report(path, "second", [])
    assert "second" in path.read_text() and [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_facts_link_addresses_and_leave_out_what_is_unknown() -> None:
    html = facts({"paper": "see https://doi.org/10.1063/1.4812323.", "gpu": None, "gpus": [], "seed": 0})
    assert '<a href="https://doi.org/10.1063/1.4812323">' in html and "gpu" not in html and "<td>0</td>" in html
