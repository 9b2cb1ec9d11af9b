"""Benchmark tables: published rows as data, our rows beside them, one rendering for terminal, Markdown, HTML and JSON.

A row belongs to a protocol (split, number of samples, training part). Rows are shown by protocol and the best value is
marked only inside one, so that figures which cannot be compared never stand in one ranking.

    table = Table.load(path)                       # <domain>/benchmarks/<name>.yaml
    table = table.with_rows(Row(system="CGCNN", values={"e_form": 0.04}, source="this run", protocol="test", ours=True))
    Console().print(table.to_rich())
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common.app.errors import DataFormatError
from common.app.registry import did_you_mean

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table as RichTable

Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Record):
    """A measured quantity; our values are shown with `decimals`, published ones with the digits they were given.

    lower_is_better  None where neither is: a ratio that should be 1
    """

    name: str
    label: str
    unit: str = ""
    lower_is_better: bool | None = True
    decimals: int = 4


class Protocol(_Record):
    """How values were obtained: split, number of samples, training part; without `comparable` no best one is marked."""

    text: str
    comparable: bool = True


class Row(_Record):
    """One system's values (column name -> value; a column may be absent).

    `source` is where the values were read or how they were computed, `paper` what to cite for the system, `details`
    what else a reader needs: for our rows split, N, seed, hardware and time.
    """

    system: str
    values: dict[str, Finite] = Field(min_length=1)
    source: str = Field(min_length=1)
    protocol: str
    paper: str = ""
    ours: bool = False
    details: dict[str, str | int | float] = {}


class Table(_Record):
    """A benchmark: its columns, its protocols by key, in order of display, and its rows."""

    name: str
    title: str
    columns: tuple[Column, ...] = Field(min_length=1)
    protocols: dict[str, Protocol]
    rows: tuple[Row, ...]
    note: str = ""

    @model_validator(mode="after")
    def _names_exist(self) -> Table:
        columns = [column.name for column in self.columns]
        for row in self.rows:
            if row.protocol not in self.protocols:
                hint = did_you_mean(row.protocol, list(self.protocols))
                raise ValueError(f"row '{row.system}': unknown protocol '{row.protocol}'. {hint}")
            for name in row.values:
                if name not in columns:
                    raise ValueError(f"row '{row.system}': unknown column '{name}'. {did_you_mean(name, columns)}")
        return self

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read and check a YAML (or JSON) file; DataFormatError names the file and what is wrong in it."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            known = sorted(file.stem for file in path.parent.glob("*.yaml"))
            raise DataFormatError(f"no benchmark table '{path.stem}'. {did_you_mean(path.stem, known)}") from None
        except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as error:
            raise DataFormatError(f"{path} is not a benchmark table: {error}") from error

    def with_rows(self, *rows: Row) -> Table:
        """The table with further rows, checked like the others."""
        return Table.model_validate({**self.model_dump(), "rows": [*self.rows, *rows]})

    def groups(self) -> list[tuple[Protocol, list[Row]]]:
        """Each protocol that has rows, and these from the best to the worst in the first column."""
        first = self.columns[0]
        sign = 1 if first.lower_is_better else -1

        def order(row: Row) -> tuple[bool, float]:
            return first.name not in row.values, sign * row.values.get(first.name, 0.0)

        rows = {key: sorted((r for r in self.rows if r.protocol == key), key=order) for key in self.protocols}
        return [(protocol, rows[key]) for key, protocol in self.protocols.items() if rows[key]]

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return self.model_dump(mode="json")

    def to_rich(self) -> Group:
        """For a `rich` console: a block a protocol, our rows in bold, the best of each block underlined."""
        from rich.console import Group
        from rich.text import Text

        name_width = max(len(row.system) for row in self.rows) if self.rows else 0
        parts: list[Text | RichTable] = [Text(self.title + "\n", style="bold")]
        for protocol, rows in self.groups():
            parts.append(Text(protocol.text, style="cyan" if protocol.comparable else "dim cyan"))
            parts.append(self._rich_block(protocol, rows, name_width))
        return Group(*parts, Text(self.note, style="dim"))

    def _rich_block(self, protocol: Protocol, rows: list[Row], name_width: int) -> RichTable:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as RichTable
        from rich.text import Text

        block = RichTable(box=SIMPLE_HEAD, header_style="dim")
        block.add_column("System")
        for column in self.columns:
            block.add_column(_header(column).replace(" (", "\n("), justify="right")
        block.add_column("Source", style="dim", overflow="fold")
        best = _best(self.columns, protocol, rows)
        for row in rows:
            cells = [Text(_value(c, row), "underline" if _is_best(best, c, row) else "") for c in self.columns]
            source = Text(_short(row.paper or row.source))
            block.add_row(Text(row.system.ljust(name_width)), *cells, source, style="bold" if row.ours else "")
        return block

    def to_markdown(self) -> str:
        """A pipe table a protocol; our rows bold."""
        parts = [f"### {self.title}"]
        for protocol, rows in self.groups():
            header = ["System", *map(_header, self.columns), "Source"]
            lines = [protocol.text, "", _pipes(header), _pipes(["---", *["---:"] * len(self.columns), "---"])]
            for row in rows:
                cells = [row.system, *(_value(column, row) for column in self.columns)]
                lines.append(_pipes([f"**{cell}**" if row.ours and cell else cell for cell in cells] + [row.source]))
            parts.append("\n".join(lines))
        return "\n\n".join([*parts, self.note] if self.note else parts) + "\n"

    def to_html(self) -> str:
        """A `<table class="benchmark">` for the report, everything escaped."""
        head = "".join(f'<th class="number">{escape(_header(column))}</th>' for column in self.columns)
        body = "".join(self._group_html(protocol, rows) for protocol, rows in self.groups())
        note = f'<p class="muted">{escape(self.note)}</p>' if self.note else ""
        return (
            f'<div class="scroll"><table class="benchmark"><caption>{escape(self.title)}</caption>'
            f"<thead><tr><th>System</th>{head}<th>Source</th></tr></thead>{body}</table></div>{note}"
        )

    def _group_html(self, protocol: Protocol, rows: list[Row]) -> str:
        best = _best(self.columns, protocol, rows)
        lines = [f'<tr><th colspan="{len(self.columns) + 2}" scope="rowgroup">{escape(protocol.text)}</th></tr>']
        for row in rows:
            cells = "".join(
                f'<td class="number{" best" if _is_best(best, column, row) else ""}">{escape(_value(column, row))}</td>'
                for column in self.columns
            )
            details = " · ".join(f"{key} {f'{v:,}' if isinstance(v, int) else v}" for key, v in row.details.items())
            system = escape(row.system) + (f'<span class="muted">{escape(details)}</span>' if details else "")
            sources = "<br>".join(_link(text) for text in dict.fromkeys([row.paper, row.source]) if text)
            lines.append(f"<tr{' class=ours' if row.ours else ''}><td>{system}</td>{cells}<td>{sources}</td></tr>")
        return f"<tbody{'' if protocol.comparable else ' class=aside'}>{''.join(lines)}</tbody>"


ARROWS = {True: "↓", False: "↑", None: ""}


def _header(column: Column) -> str:
    unit = f" ({column.unit})" if column.unit else ""
    return f"{column.label}{unit} {ARROWS[column.lower_is_better]}".rstrip()


def _value(column: Column, row: Row) -> str:
    value = row.values.get(column.name)
    if value is None:
        return ""
    return f"{value:.{column.decimals}f}" if row.ours else f"{value:g}"


def _best(columns: tuple[Column, ...], protocol: Protocol, rows: list[Row]) -> dict[str, float]:
    """The best value of each column that at least two comparable rows fill."""
    best: dict[str, float] = {}
    if not protocol.comparable:
        return best
    for column in columns:
        values = [row.values[column.name] for row in rows if column.name in row.values]
        if len(values) > 1 and column.lower_is_better is not None:
            best[column.name] = min(values) if column.lower_is_better else max(values)
    return best


def _is_best(best: dict[str, float], column: Column, row: Row) -> bool:
    return column.name in best and row.values.get(column.name) == best[column.name]


def _pipes(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _short(source: str) -> str:
    """A URL by its host, a DOI by its number, other text as it is."""
    parts = urlsplit(source)
    if parts.scheme not in ("http", "https"):
        return source
    if parts.netloc in ("doi.org", "dx.doi.org"):
        return f"doi:{parts.path.strip('/')}"
    if parts.netloc == "github.com":
        return "github.com/" + "/".join(parts.path.strip("/").split("/")[:2])
    return parts.netloc + parts.path.rstrip("/")


def _link(source: str) -> str:
    """A link for http(s) only: any other scheme, such as `javascript:`, stays text."""
    if urlsplit(source).scheme not in ("http", "https"):
        return escape(source)
    return f'<a href="{escape(source)}">{escape(_short(source))}</a>'
