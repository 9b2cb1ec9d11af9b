"""What `input=` names, as a stream of (id, source) in constant memory: a file of one or many materials, or a folder.

A source is what the kind of material reads (a path, SMILES, a formula, a structure cut out of its file), or a
DataFormatError that says why there is none: every row that goes in comes out, and a bad one costs only itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from common.app.errors import ConfigError, DataFormatError
from materials.data.inputs import lines, structures, tables
from materials.data.inputs.tables import Table

Rows = Iterator[tuple[str, Any]]
TextReader = Callable[[Path, BinaryIO], Rows]

READERS: dict[str, dict[str, TextReader]] = {
    "crystal": {".cif": structures.cif_blocks, ".xyz": structures.xyz_frames, ".extxyz": structures.xyz_frames},
    "molecule": {**dict.fromkeys((".smi", ".smiles", ".txt"), lines.lines),
                 **dict.fromkeys((".sdf", ".sd", ".mol"), lines.mol_blocks)},
    "composition": {".txt": lines.formulas},
}  # fmt: skip
READ_AS = {"atoms": "crystal", "crystal-views": "crystal"}
"""How a model sees a crystal does not change where it is read from."""

TABLES = (".csv", ".tsv", ".parquet")


class Inputs:
    """The rows of `path`. While one iterates, `fraction` says how much of the input has been read, 0 to 1.

    A row of a file on its own is called as the file calls it; in a folder the file's path stands before.
    Folders are read in order of name, with those inside; hidden files and those that `exclude` names are left out.
    Raises ConfigError where there is nothing, DataFormatError for a table or store that is not as described.
    """

    def __init__(
        self, path: str | Path, substance: str, column: str | None = None, id_column: str | None = None,
        exclude: Callable[[Path], bool] = lambda path: False,
    ) -> None:  # fmt: skip
        self.path = Path(path)
        self.table = Table(READ_AS.get(substance, substance), column, id_column)
        self.exclude = exclude
        self.fraction = 0.0
        if not self.path.exists():
            raise ConfigError(f"input={path}: no such file or folder")

    def __iter__(self) -> Rows:
        if self.path.is_dir() and not structures.is_store(self.path):
            return self._folder()
        return self._file()

    def _file(self) -> Rows:
        """What is wrong with the whole file is raised before its first row, and is a row of its own after it."""
        started = False
        try:
            for name, source in self._rows(self.path, alone=True):
                started = True
                yield name or str(self.path), source
        except DataFormatError as error:
            if not started:
                raise
            yield str(self.path), error

    def _folder(self) -> Rows:
        total = sum(1 for _ in self._walk(self.path, ()))
        for number, file in enumerate(self._walk(self.path, ()), start=1):
            try:
                for name, source in self._rows(file, alone=False):
                    yield f"{file}:{name}" if name else str(file), source
            except DataFormatError as error:
                yield str(file), error
            self.fraction = number / total

    def _rows(self, path: Path, alone: bool) -> Rows:
        suffix = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
        readers, kind = READERS[self.table.substance], self.table.substance
        if path.is_dir():
            if kind == "crystal" and structures.is_store(path):
                return structures.store_structures(path)
            raise DataFormatError(f"{path}: a folder that cannot be read, or a link back to a folder around it")
        if suffix == ".parquet":
            return tables.parquet_rows(path, self.table)
        if suffix in (".csv", ".tsv"):
            return self._text(path, partial(tables.text_rows, table=self.table), alone)
        if suffix in readers and path.is_file():
            return self._text(path, readers[suffix], alone)
        if kind == "crystal":
            return iter([("", str(path))])
        known = ", ".join((*TABLES, *readers))
        raise DataFormatError(f"{path}: this kind of file holds no {kind}s; expected {known}, or one of them with .gz")

    def _text(self, path: Path, reader: TextReader, alone: bool) -> Rows:
        try:
            with path.open("rb") as raw:
                size = os.fstat(raw.fileno()).st_size or 1
                for row in reader(path, raw):
                    if alone:
                        self.fraction = raw.tell() / size
                    yield row
        except OSError as error:
            raise DataFormatError(f"{path} cannot be opened ({error.strerror})") from error

    def _walk(self, folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
        """Files and stores under a folder; a link back to a folder around it ends there, as a file that is none."""
        here = folder.resolve()
        try:
            with os.scandir(folder) as found:
                names = sorted((entry.name, entry.is_dir()) for entry in found if not entry.name.startswith("."))
        except OSError:
            yield folder
            return
        for name, is_folder in names:
            path = folder / name
            if is_folder and not structures.is_store(path) and path.resolve() not in (*above, here):
                yield from self._walk(path, (*above, here))
            elif not self.exclude(path):
                yield path
