"""PDB files: fixed columns to atoms and header.

Format: wwPDB, version 3.3 (2012). Columns are cut as arrays: an object an atom, as Biopython's parser makes, takes an
order of magnitude longer (`python -m tests.benchmarks.structure_reading`).
"""

from __future__ import annotations

import re

import numpy as np

from common.app.errors import DataFormatError
from protein.data.atom_table import PARENTS, AtomTable, Header

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
NUMBER = re.compile(rb"\s*(-?\d+)\s*([A-Za-z]?)\s*")
RESOLUTION = re.compile(r"REMARK   2 RESOLUTION\.\s+(\d+\.?\d*) ANGSTROM")
THIS_CENTURY = 60
"""Two-digit years below this are of 20xx; the first entry is of 1971."""


def atoms_of(text: str, where: str) -> AtomTable:
    """The ATOM records, and the HETATM records of modified residues. Raises DataFormatError naming the line."""
    lines: list[str] = []
    places: list[int] = []
    models: list[int] = []
    model = 1
    for place, line in enumerate(text.splitlines(), 1):
        kind = line[:6]
        if kind == "ATOM  " or (kind == "HETATM" and line[17:20].strip() in PARENTS):
            lines.append(line)
            places.append(place)
            models.append(model)
        elif kind == "MODEL ":
            model = max(model, int(line[6:])) if line[6:].strip().isdigit() else model
        elif kind == "ENDMDL":
            model += 1  # some files have no MODEL records
    block = np.frombuffer("".join(line[:80].ljust(80) for line in lines).encode("latin-1", "replace"), "S1")
    block = block.reshape(-1, 80)

    def column(first: int, last: int) -> np.ndarray:
        """Text of columns counted from 1, as the format does."""
        return np.char.strip(np.ascontiguousarray(block[:, first - 1 : last]).view(f"S{last - first + 1}")[:, 0])

    def number(first: int, last: int, default: float) -> np.ndarray:
        cells = column(first, last)
        try:
            return np.where(cells == b"", str(default).encode(), cells).astype(np.float64)
        except ValueError:
            row = next(row for row, cell in enumerate(cells) if cell and not _is_number(cell))
            raise DataFormatError(
                f"{where}, line {places[row]}: columns {first}-{last} hold '{cells[row].decode('latin-1')}'; expected "
                "a number"
            ) from None

    numbers, insertions = _residue_numbers(column(23, 27), places, where)
    xyz = np.stack([number(first, first + 7, np.nan) for first in (31, 39, 47)], -1)
    return AtomTable(
        model=np.array(models, np.int64),
        chain=column(22, 22),
        number=numbers,
        insertion=insertions,
        place=np.full(len(lines), -1),
        residue=column(18, 20),
        atom=column(13, 16),
        alternate=column(17, 17),
        occupancy=number(55, 60, 1.0),
        xyz=xyz,
        b_factor=number(61, 66, 0.0),
    )


def header_of(text: str, name: str) -> Header:
    """What the records before the atoms say; `name` where they give no id."""
    sequences: dict[str, list[str]] = {}
    parents: dict[str, str] = {}
    identifier, date, method = name, "", ""
    for line in text.splitlines():
        kind = line[:6]
        if kind == "SEQRES":
            sequences.setdefault(line[11:12].strip(), []).extend(line[19:70].split())
        elif kind == "MODRES" and line[24:27].strip() in PARENTS:
            parents[line[12:15].strip()] = PARENTS[line[24:27].strip()]
        elif kind == "HEADER":
            identifier, date = line[62:66].strip() or name, _date(line[50:59])
        elif kind == "EXPDTA":
            method = line[10:79].strip().upper()
    found = RESOLUTION.search(text)
    proteins = {chain: names for chain, names in sequences.items() if any(len(residue) == 3 for residue in names)}
    return Header(
        id=identifier.lower(),
        resolution=float(found.group(1)) if found else float("nan"),
        method=method,
        deposit_date=date,
        sequences=proteins,
        parents=parents,
    )


def _residue_numbers(cells: np.ndarray, places: list[int], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Number and insertion code together, because some programs write the code a column too early."""
    parsed: dict[bytes, tuple[int, bytes]] = {}
    for row, cell in enumerate(cells.tolist()):
        if cell in parsed:
            continue
        match = NUMBER.fullmatch(cell)
        if match is None:
            raise DataFormatError(
                f"{where}, line {places[row]}: columns 23-27 hold '{cell.decode('latin-1')}'; expected a residue "
                "number and perhaps an insertion code"
            )
        parsed[cell] = (int(match.group(1)), match.group(2))
    pairs = [parsed[cell] for cell in cells.tolist()]
    return np.array([n for n, _ in pairs], np.int64), np.array([i for _, i in pairs], "S1")


def _is_number(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _date(text: str) -> str:
    """21-SEP-97 as 1997-09-21; empty where it is not a date."""
    match = re.fullmatch(r"(\d\d)-([A-Z]{3})-(\d\d)", text.strip())
    if match is None or match.group(2) not in MONTHS:
        return ""
    day, month, year = int(match.group(1)), MONTHS.index(match.group(2)) + 1, int(match.group(3))
    return f"{(2000 if year < THIS_CENTURY else 1900) + year}-{month:02}-{day:02}"
