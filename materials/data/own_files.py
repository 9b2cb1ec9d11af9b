"""A user's own data: a table of materials and their properties, split as the configuration says.

smiles,solubility,split           data=molecule-table  data.path=my.csv  data.target=solubility
formula,gap                       data=composition-table
file,band_gap                     data=crystal-files: paths beside the table
id_prop.csv without a header      data=crystal-files data.path=folder: CGCNN's layout, <id>.cif and one value
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from common.app.registry import did_you_mean
from materials.config import OwnData
from materials.data.splits import random_split, scaffold_split

COLUMNS = {"molecule": ("smiles", "psmiles"), "composition": ("formula", "composition"), "crystal": ("file", "path")}
SPLITS = ("train", "val", "test")
CGCNN_TABLE = "id_prop.csv"
SHOWN = 10
"""Bad rows that an error lists."""


def load_own(data: OwnData, split: str) -> Any:
    """Crystals, Molecules or Compositions of one part of the table.

    Parts are those of a column `split` where there is one, else drawn by `data.split`, 80:10:10.
    Raises DataFormatError that lists the rows which cannot be used.
    """
    path = Path(data.path)
    rows, column = _rows(path, data)
    sources = [row[column] for row in rows]
    targets = {name: _numbers(path, rows, name) for name in data.targets}
    chosen = np.flatnonzero(_parts(data, rows, sources) == split)
    if not len(chosen):
        raise ConfigError(f"{path} has no rows of split '{split}'")
    ids = [row.get("id") or str(number) for number, row in enumerate(rows, start=1)]
    build = {"molecule": _molecules, "composition": _compositions, "crystal": _crystals}[data.substance]
    part = {name: values[chosen] for name, values in targets.items()}
    return build(path, [ids[i] for i in chosen], [sources[i] for i in chosen], part)


def _rows(path: Path, data: OwnData) -> tuple[list[dict[str, str]], str]:
    """The table's rows, and the column that names the material."""
    if data.substance == "crystal" and path.is_dir():
        return list(_cgcnn_rows(path, data)), "file"
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as stream:
            text = stream.read().removeprefix("\ufeff")
    except (OSError, UnicodeError) as error:
        raise DataFormatError(f"data.path={path} cannot be read: {error}") from error
    reader = csv.DictReader(text.splitlines(), delimiter="\t" if ".tsv" in path.suffixes else ",")
    names = {name.lower(): name for name in reader.fieldnames or ()}
    column = next((names[name] for name in COLUMNS[data.substance] if name in names), None)
    missing = [name for name in data.targets if name not in (reader.fieldnames or ())]
    if column is None or missing:
        wanted = " or ".join(COLUMNS[data.substance]) if column is None else ", ".join(missing)
        raise DataFormatError(f"{path} has no column {wanted}; its columns are {', '.join(reader.fieldnames or ())}")
    return list(reader), column


def _cgcnn_rows(folder: Path, data: OwnData) -> Iterator[dict[str, str]]:
    table = folder / CGCNN_TABLE
    if not table.is_file() or len(data.targets) != 1:
        raise DataFormatError(
            f"{folder}: expected {CGCNN_TABLE} (id,value) and one target; or name a CSV file with the columns file, "
            f"{', '.join(data.targets)}"
        )
    with table.open(newline="") as stream:
        for name, value, *_ in csv.reader(stream):
            yield {"id": name, "file": f"{name}.cif", data.targets[0]: value}


def _numbers(path: Path, rows: list[dict[str, str]], name: str) -> np.ndarray:
    """[N] float64; an empty cell is unknown."""
    values, bad = [], []
    for number, row in enumerate(rows, start=1):
        try:
            values.append(float(row[name] or "nan"))
        except (TypeError, ValueError):
            bad.append(f"row {number}: {name}={row[name]!r} is no number")
    _refuse(path, bad)
    return np.array(values)


def _parts(data: OwnData, rows: list[dict[str, str]], sources: list[str]) -> np.ndarray:
    """[N] train, val or test."""
    if rows and "split" in rows[0]:
        parts = np.array([{"valid": "val", "validation": "val"}.get(row["split"], row["split"]) for row in rows])
        if unknown := sorted(set(parts) - set(SPLITS)):
            raise DataFormatError(f"{data.path}: split '{unknown[0]}'. {did_you_mean(unknown[0], list(SPLITS))}")
        return parts
    by_scaffold = data.split == "scaffold"
    indices = scaffold_split(sources) if by_scaffold else random_split(len(rows), data.split_seed)
    parts = np.empty(len(rows), object)
    for name in SPLITS:
        parts[indices[name]] = name
    return parts


def _molecules(path: Path, ids: list[str], sources: list[str], targets: dict[str, np.ndarray]) -> Any:
    from materials.data.molecules import Molecules
    from materials.data.read_molecule import read_molecule

    _read_all(path, ids, sources, read_molecule)
    return Molecules(np.array(ids, object), np.array(sources, object), targets)


def _compositions(path: Path, ids: list[str], sources: list[str], targets: dict[str, np.ndarray]) -> Any:
    from materials.data.compositions import Compositions
    from materials.data.formula import read_composition

    return Compositions.from_shares(_read_all(path, ids, sources, read_composition), ids, targets)


def _crystals(path: Path, ids: list[str], sources: list[str], targets: dict[str, np.ndarray]) -> Any:
    from materials.data.crystals import Crystals
    from materials.data.read import read_crystal

    folder = path if path.is_dir() else path.parent
    atoms = _read_all(path, ids, [str(folder / source) for source in sources], read_crystal)
    crystals = Crystals.from_atoms(atoms, ids)
    crystals.targets.update(targets)
    return crystals


def _read_all(path: Path, ids: list[str], sources: list[str], read: Any) -> list[Any]:
    records, bad = [], []
    for name, source in zip(ids, sources, strict=True):
        try:
            records.append(read(source))
        except DataFormatError as error:
            bad.append(f"{name}: {error}")
    _refuse(path, bad)
    return records


def _refuse(path: Path, bad: list[str]) -> None:
    if bad:
        shown = "\n  ".join(bad[:SHOWN]) + (f"\n  and {len(bad) - SHOWN} more" if len(bad) > SHOWN else "")
        raise DataFormatError(f"{path}: {len(bad)} rows cannot be used; mend or remove them:\n  {shown}")
