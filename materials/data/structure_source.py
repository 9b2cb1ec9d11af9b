"""Structures that have been cut out of a larger file and not been understood yet: cheap to make, cheap to send."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from common.app.errors import DataFormatError
from materials.data.cif import read_cif

if TYPE_CHECKING:
    from ase import Atoms

EXTXYZ_WIDTH = re.compile(r":[A-Z]:(\d+)")
MAX_COLUMNS = 1000


@dataclass(frozen=True)
class StructureText:
    """One structure as text: a CIF data block, an extended XYZ frame, or a pymatgen Structure as JSON."""

    format: Literal["cif", "extxyz", "json"]
    text: str

    def atoms(self) -> Atoms:
        """Raises DataFormatError, or what the format's reader raises."""
        if self.format == "extxyz":
            return _from_extxyz(self.text)
        if self.format == "json":
            return _from_json(self.text)
        images = read_cif(self.text)
        if len(images) != 1:
            raise DataFormatError(f"holds {len(images)} structures with atoms, expected one")
        return images[0]


@dataclass(frozen=True)
class StructureArrays:
    """One structure of a packed store: numbers [m], fractional [m, 3], lattice [3, 3] in Å (rows a, b, c)."""

    numbers: np.ndarray
    fractional: np.ndarray
    lattice: np.ndarray

    def atoms(self) -> Atoms:
        from ase import Atoms

        return Atoms(self.numbers, scaled_positions=self.fractional, cell=self.lattice, pbc=True)


def _from_extxyz(text: str) -> Atoms:
    from ase.io.extxyz import read_xyz

    # ASE allocates what a header announces before it looks for the rows
    header = text.split("\n", 2)[1]
    if any(len(width) > 6 or int(width) > MAX_COLUMNS for width in EXTXYZ_WIDTH.findall(header)):
        raise DataFormatError(f"announces more than {MAX_COLUMNS} columns")
    return next(read_xyz(io.StringIO(text), index=0))


def _from_json(text: str) -> Atoms:
    from ase import Atoms

    record: Any = json.loads(text)
    try:
        sites, lattice = record["sites"], np.array(record["lattice"]["matrix"], float)
        symbols = [_symbol(site["species"]) for site in sites]
        fractional = np.array([site["abc"] for site in sites], float).reshape(-1, 3)
    except (KeyError, TypeError, IndexError) as error:
        raise DataFormatError(
            f"is not a pymatgen Structure as JSON: {type(error).__name__} {error}; "
            "expected lattice.matrix and sites with species and abc, as Structure.to_json() writes them"
        ) from error
    return Atoms(symbols, scaled_positions=fractional, cell=lattice, pbc=True)


def _symbol(species: list[Mapping[str, Any]]) -> str:
    if len(species) != 1 or abs(float(species[0].get("occu", 1)) - 1) > 1e-3:
        raise DataFormatError(f"site {species} is partly occupied: no single structure; make an ordered model first")
    symbol = re.match(r"[A-Z][a-z]?", str(species[0]["element"]))
    if not symbol:
        raise DataFormatError(f"'{species[0]['element']}' is no element")
    return "H" if symbol[0] in ("D", "T") else symbol[0]
