"""Files of molecules or formulas without columns: one a line, or MOL blocks one after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from materials.data.inputs.text import Record, opened_text


def lines(path: Path, raw: BinaryIO) -> Iterator[tuple[str, Any]]:
    """`SMILES name` a line, as .smi has it; without a name a row is called by its text. Blank lines are no rows."""
    with opened_text(path, raw) as rows:
        for row in rows:
            text, _, name = row.strip().partition("\t" if "\t" in row else " ")
            if text:
                yield name.strip() or text, text


def formulas(path: Path, raw: BinaryIO) -> Iterator[tuple[str, Any]]:
    """One formula a line; blank lines are no rows."""
    with opened_text(path, raw) as rows:
        yield from ((row.strip(), row.strip()) for row in rows if row.strip())


def mol_blocks(path: Path, raw: BinaryIO) -> Iterator[tuple[str, Any]]:
    """The records of an SDF, called by their title or else their number; text after the last `$$$$` is a record."""
    with opened_text(path, raw) as rows:
        record, number = Record(), 1
        for row in rows:
            if row.startswith("$$$$"):
                yield _named(record, number), record.source()
                record, number = Record(), number + 1
            else:
                record.add(row.rstrip("\r\n") + "\n")
        if any(line.strip() for line in record.lines):
            yield _named(record, number), record.source()


def _named(record: Record, number: int) -> str:
    return (record.lines[0].strip() if record.lines else "") or str(number)
