"""Benchmark tables: what is published is cited, what cannot be compared is not ranked together."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from common.app.errors import DataFormatError
from common.results.tables import Row, Table

CONTENT: dict[str, Any] = {
    "name": "demo",
    "title": "Demo <b>",
    "columns": [
        {"name": "mae", "label": "MAE", "unit": "eV", "decimals": 3},
        {"name": "auc", "label": "AUC", "lower_is_better": False},
    ],
    "protocols": {"test": {"text": "official test"}, "other": {"text": "other split", "comparable": False}},
    "rows": [
        {"system": "B", "values": {"mae": 0.5, "auc": 0.75}, "source": "https://doi.org/10.1000/b", "protocol": "test"},
        {"system": "A", "values": {"mae": 0.25, "auc": 0.5}, "source": "https://doi.org/10.1000/a", "protocol": "test"},
        {"system": "C", "values": {"mae": 0.125}, "source": "javascript:alert(1)", "protocol": "other"},
        {"system": "D", "values": {"mae": 0.12}, "source": "elsewhere", "protocol": "other"},
    ],
}
OURS = Row(system="Ours | x", values={"mae": 0.4}, source="this run", protocol="test", ours=True, details={"N": 3653})


@pytest.fixture
def table() -> Table:
    return Table.model_validate(CONTENT).with_rows(OURS)


def test_rows_are_ranked_inside_their_protocol(table: Table) -> None:
    groups = [(protocol.text, [row.system for row in rows]) for protocol, rows in table.groups()]
    assert groups == [("official test", ["A", "Ours | x", "B"]), ("other split", ["D", "C"])]


def test_best_is_marked_by_direction_and_only_among_comparable_rows(table: Table) -> None:
    html = table.to_html()
    assert html.count(" best") == 2
    assert '<td class="number best">0.25</td>' in html  # smallest MAE of the test block, not 0.12 of the other one
    assert '<td class="number best">0.75</td>' in html  # largest AUC


def test_a_ratio_that_should_be_one_has_neither_arrow_nor_best(table: Table) -> None:
    column = {"name": "auc", "label": "spread over error", "lower_is_better": None}
    html = Table.model_validate(CONTENT | {"columns": [CONTENT["columns"][0], column]}).to_html()
    assert html.count(" best") == 1 and '<th class="number">spread over error</th>' in html


def test_html_escapes_and_links_only_web_addresses(table: Table) -> None:
    html = table.to_html()
    assert "<b>" not in html and "&lt;b&gt;" in html
    assert 'href="javascript' not in html and 'href="https://doi.org/10.1000/a"' in html


def test_our_values_have_fixed_decimals_and_published_ones_their_own(table: Table) -> None:
    stream = io.StringIO()
    Console(file=stream, width=100).print(table.to_rich())
    text = stream.getvalue()
    assert "0.400" in text and "0.250" not in text and "0.25" in text
    assert "official test" in text and "other split" in text


def test_markdown_has_as_many_cells_in_each_line_of_a_block(table: Table) -> None:
    for block in table.to_markdown().split("\n\n"):
        counts = {line.replace("\\|", "").count("|") for line in block.splitlines() if line.startswith("|")}
        assert len(counts) <= 1


def test_json_round_trip(table: Table) -> None:
    assert Table.model_validate(json.loads(json.dumps(table.to_json()))) == table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "tset"}, "Did you mean 'test'"),
        ({"values": {"maee": 1.0}}, "Did you mean 'mae'"),
        ({"values": {"mae": float("nan")}}, "finite"),
        ({"source": ""}, "source"),
        ({"sauce": "x"}, "sauce"),
    ],
)
def test_a_bad_row_is_refused_with_file_and_reason(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump({**CONTENT, "rows": [{**CONTENT["rows"][0], **change}]}))
    with pytest.raises(DataFormatError, match=message) as caught:
        Table.load(path)
    assert str(path) in str(caught.value)


def test_loading_never_builds_python_objects(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "bad.yaml"
    path.write_text(f"!!python/object/apply:os.system ['touch {canary}']\n")
    with pytest.raises(DataFormatError):
        Table.load(path)
    assert not canary.exists()


def test_an_unknown_table_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "mp2018.yaml").write_text("")
    with pytest.raises(DataFormatError, match="Did you mean 'mp2018'"):
        Table.load(tmp_path / "mp2081.yaml")
