"""Tables with one material a row: CSV and TSV (also .gz), and parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from common.app.errors import DataFormatError
from common.app.registry import did_you_mean
from materials.data.inputs.text import MAX_RECORD_CHARACTERS, opened_text
from materials.data.structure_source import StructureText

COLUMNS = {
    "molecule": ("smiles", "psmiles", "canonical_smiles", "molecule", "mol"),
    "composition": ("formula", "composition"),
    "crystal": ("file", "path", "cif", "structure"),
}
"""Columns that hold the material, whatever their case, the first that is there."""

ID_COLUMNS = ("id", "name", "material_id", "mol_id", "identifier")
BATCH = 256


@dataclass(frozen=True)
class Table:
    """What a table is asked for: a kind of material, and its columns where they have unusual names."""

    substance: str
    column: str | None = None
    id_column: str | None = None

    def columns(self, path: Path, names: Sequence[str]) -> tuple[int, int | None]:
        """Places of the material and of the id, which may be absent.

        Raises DataFormatError, naming the file, the column and what there is instead.
        """
        source = _place(names, (self.column,) if self.column else COLUMNS[self.substance])
        name = _place(names, (self.id_column,) if self.id_column else ID_COLUMNS)
        for place, key, wanted in ((source, "column", self.column or COLUMNS[self.substance][0]),
                                   (name if self.id_column else 0, "id_column", self.id_column or "")):  # fmt: skip
            if place is None:
                raise DataFormatError(
                    f"{path} has no column '{wanted}'; name the right one with {key}=... "
                    f"{did_you_mean(wanted, [str(one) for one in names])}"
                )
        assert source is not None
        return source, name

    def row(self, path: Path, value: Any, name: Any, number: int) -> tuple[str, Any]:
        """Id and source. Without an id a row is called by its SMILES or formula as given, or else by its number."""
        if isinstance(value, dict):
            value = json.dumps(value)
        text = str(value).strip() if value is not None else ""
        called = str(name).strip() if name is not None else ""
        if self.substance == "crystal":
            return called or str(number), self._structure(path, text)
        return called or text or str(number), text or DataFormatError("the row names no material: its cell is empty")

    def _structure(self, path: Path, text: str) -> Any:
        if not text:
            return DataFormatError("the row names no structure: its cell is empty")
        if text[0] == "{":
            return StructureText("json", text)
        return StructureText("cif", text) if "\n" in text else str(path.parent / text)


def _place(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    lower = [str(name).strip().lower() for name in names]
    return next((lower.index(name.lower()) for name in wanted if name.lower() in lower), None)


def text_rows(path: Path, raw: BinaryIO, table: Table) -> Iterator[tuple[str, Any]]:
    """The rows of a CSV or TSV file. A row that breaks the rules of quoting is refused, and says where it is."""
    csv.field_size_limit(MAX_RECORD_CHARACTERS)
    with opened_text(path, raw) as lines:
        reader = csv.reader(lines, delimiter="\t" if ".tsv" in path.suffixes else ",", strict=True)
        header = _next(reader)
        if not isinstance(header, list) or not header:
            raise DataFormatError(f"{path} has no header ({header or 'it is empty'}); expected names of columns")
        source, name = table.columns(path, header)
        number = 0
        while (row := _next(reader)) is not None:
            number += bool(row)
            if isinstance(row, DataFormatError):
                yield str(number), row
            elif any(row[len(header) :]):
                found = f"line {reader.line_num} has {len(row)} cells, the header {len(header)}"
                yield str(number), DataFormatError(f"{found}; is a comma not quoted?")
            elif row:
                cells = row + [""] * (len(header) - len(row))
                yield table.row(path, cells[source], None if name is None else cells[name], number)


def _next(reader: Any) -> list[str] | DataFormatError | None:
    """The next row, the reason why it is none, or None at the end."""
    start = reader.line_num + 1
    try:
        return next(reader, None)
    except csv.Error as error:
        where = f"line {start}" if reader.line_num == start else f"lines {start} to {reader.line_num}"
        return DataFormatError(f"{where}: {error}; is a quote left open?")


def parquet_rows(path: Path, table: Table) -> Iterator[tuple[str, Any]]:
    """The rows of a parquet file, a few hundred in memory at a time."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataFormatError(f"{path}: reading parquet needs pyarrow; pip install pyarrow") from error
    try:
        with pyarrow.parquet.ParquetFile(path, buffer_size=2**20, pre_buffer=False) as file:
            names = file.schema_arrow.names
            source, name = table.columns(path, names)
            chosen = [names[source]] if name is None else [names[source], names[name]]
            number = 0
            for batch in file.iter_batches(BATCH, columns=chosen):
                columns = [batch.column(one).to_pylist() for one in chosen]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield table.row(path, cells[0], cells[1] if len(cells) > 1 else None, number)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataFormatError(f"{path} cannot be read to its end ({error}); is it damaged?") from error
