"""One crystal from a file or an object, checked: what passes here is a structure that a model can be asked about."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from common.app.errors import DataFormatError
from materials.data.cif import read_cif
from materials.data.crystals import FARTHEST_CELL, HEAVIEST_ELEMENT, wrapped
from materials.data.neighbours import neighbour_list
from materials.data.structure_source import StructureArrays, StructureText

if TYPE_CHECKING:
    from ase import Atoms

T = TypeVar("T")

MAX_ATOMS = 10_000
MAX_FILE_BYTES = 4 * 2**20
OVERLAP_A = 0.5
"""No two nuclei come closer: the shortest bond, of H2, has 0.74 Å."""

VOLUME_PER_ATOM_A3 = (1.0, 1e5)
"""Diamond, the densest element by number, has 5.7 Å^3."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".z")


def read_crystal(source: Any) -> Atoms:
    """A three-dimensionally periodic ase.Atoms from `source`, with nothing but elements, positions and cell.

    `source`: a path (CIF, POSCAR/CONTCAR/*.vasp, extended XYZ, and formats that ASE reads), an ase.Atoms, a pymatgen
    Structure, or a structure cut out of a larger file. Deuterium and tritium in CIF files become hydrogen.

    Raises DataFormatError, naming the source and the reason, for: unreadable, empty, compressed or too large files;
    several structures in one file; no cell, or one not periodic in all directions; cells without volume, too
    thin, or of absurd volume; partial occupancy; unknown elements; coordinates that are not finite; atoms closer
    than 0.5 Å, periodic images included; more than 10,000 atoms.
    """
    name, atoms = read_any(source)
    return _named(name, _checked, atoms)


def read_any(source: Any) -> tuple[str, Atoms]:
    """What a source is called in messages, and its atoms, unchecked; raises DataFormatError if they cannot be read."""
    if isinstance(source, str | Path):
        return str(source), _read_file(Path(source))
    if isinstance(source, StructureText | StructureArrays):
        return "structure", _named("structure", type(source).atoms, source)
    if hasattr(source, "get_atomic_numbers"):
        return f"ase.Atoms {source.symbols}", source
    if hasattr(source, "lattice") and hasattr(source, "frac_coords"):
        name = f"pymatgen structure {getattr(source, 'formula', '')}".strip()
        return name, _named(name, _from_pymatgen, source)
    raise DataFormatError(
        f"cannot read a crystal from {type(source).__name__}; expected a path, an ase.Atoms or a pymatgen Structure"
    )


def _named(name: str, function: Callable[[Any], T], argument: Any) -> T:
    """Call a step, and put the source's name before whatever is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(argument)
    except DataFormatError as error:
        raise DataFormatError(f"{name}: {error}") from error
    except Exception as error:
        # Readers of some eighty formats raise whatever their parser meets; to the user all of it means one thing.
        reason = str(error).strip() or "no reason given"
        raise DataFormatError(f"{name}: not readable ({type(error).__name__}: {reason[:200]})") from error


def _read_file(path: Path) -> Atoms:
    if not path.is_file():
        raise DataFormatError(f"{path}: there is no such file")
    size = path.stat().st_size
    if not 0 < size <= MAX_FILE_BYTES:
        raise DataFormatError(f"{path}: has {size} bytes; expected a structure file of 1 to {MAX_FILE_BYTES} bytes")
    if path.suffix.lower() in COMPRESSED:
        raise DataFormatError(f"{path}: is compressed; unpack it first")
    images = _named(str(path), _parse, path)
    if len(images) != 1:
        raise DataFormatError(
            f"{path}: holds {len(images)} structures with atoms, expected one; "
            "for several, pass those of ase.io.read(path, ':') one by one"
        )
    return images[0]


def _parse(path: Path) -> list[Atoms]:
    name = path.name.lower()
    if name.endswith(".cif"):
        return read_cif(_text(path))
    from ase.io import read  # imports much of scipy

    if name.startswith(("poscar", "contcar")) or name.endswith((".vasp", ".poscar")):
        atom_counts = re.findall(r"(?<!\S)\d+(?!\S)", " ".join(_text(path).splitlines()[5:7]))
        return _as_list(read(_stream(path, atom_counts), index=":", format="vasp"))
    if name.endswith((".xyz", ".extxyz")):
        column_counts = re.findall(r"(?<=:[A-Z]:)\d+", _text(path))
        return _as_list(read(_stream(path, column_counts), index=":", format="extxyz"))
    return _as_list(read(str(path.resolve()), index=":", do_not_split_by_at_sign=True))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _stream(path: Path, announced: list[str]) -> io.StringIO:
    """The file as a stream; ASE allocates what a header announces before it looks for the rows."""
    large = [count for count in announced if int(count[:18]) > MAX_ATOMS]
    if large:
        raise DataFormatError(f"announces {large[0][:18]} atoms or columns; expected at most {MAX_ATOMS}")
    return io.StringIO(_text(path))


def _as_list(images: Any) -> list[Atoms]:
    return images if isinstance(images, list) else [images]


def _from_pymatgen(structure: Any) -> Atoms:
    from ase import Atoms

    if not getattr(structure, "is_ordered", True):
        raise DataFormatError("has partly occupied sites: no single structure; make an ordered model of it first")
    numbers = [int(site.specie.Z) for site in structure]
    _check_elements(np.array(numbers))
    lattice = structure.lattice
    return Atoms(
        numbers, scaled_positions=structure.frac_coords, cell=lattice.matrix, pbc=getattr(lattice, "pbc", True)
    )


def _checked(atoms: Atoms) -> Atoms:
    from ase import Atoms as Plain

    if not 1 <= len(atoms) <= MAX_ATOMS:
        raise DataFormatError(f"has {len(atoms)} atoms; expected 1 to {MAX_ATOMS}")
    for site, shares in (atoms.info.get("occupancy") or {}).items():
        if len(shares) != 1 or abs(sum(shares.values()) - 1.0) > 1e-3:
            raise DataFormatError(f"site {site} has occupancy {shares}: a partly occupied site is no single structure")
    _check_elements(atoms.numbers)
    _check_cell(atoms)
    fractional = atoms.cell.scaled_positions(atoms.positions)
    wild = ~(np.abs(fractional) < FARTHEST_CELL).all(axis=1)
    if wild.any():
        raise DataFormatError(
            f"atom {np.argmax(wild)} is at {fractional[wild][0]} in units of the cell; expected finite numbers"
        )
    checked = Plain(atoms.numbers, scaled_positions=wrapped(fractional), cell=atoms.cell.array, pbc=True)
    _check_overlap(checked)
    return checked


def _check_elements(numbers: np.ndarray) -> None:
    unknown = (numbers < 1) | (numbers > HEAVIEST_ELEMENT)
    if unknown.any():
        raise DataFormatError(f"atom {np.argmax(unknown)} is of no known element (atomic number {numbers[unknown][0]})")


def _check_cell(atoms: Atoms) -> None:
    cell = atoms.cell.array
    if not np.isfinite(cell).all():
        raise DataFormatError("the cell is not finite; expected three vectors in Å")
    if atoms.cell.rank != 3:
        raise DataFormatError("has no three-dimensional cell; a crystal needs three lattice vectors")
    if not atoms.pbc.all():
        raise DataFormatError(f"is periodic along {atoms.pbc.tolist()}; if it is a crystal, set atoms.pbc = True")
    volume = abs(np.linalg.det(cell))
    low, high = VOLUME_PER_ATOM_A3
    if not low <= volume / len(atoms) <= high:
        raise DataFormatError(
            f"the cell has {volume:.4g} Å^3 for {len(atoms)} atoms; expected {low:g} to {high:g} Å^3 an atom"
        )
    height = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0).max()
    if height < OVERLAP_A:
        raise DataFormatError(
            f"two faces of the cell are only {height:.2g} Å apart; reduce the cell (it is extremely skewed)"
        )


def _check_overlap(atoms: Atoms) -> None:
    pairs = neighbour_list(atoms.cell.array, atoms.positions, OVERLAP_A)
    if len(pairs.distance):
        closest = int(np.argmin(pairs.distance))
        first, second = int(pairs.first[closest]), int(pairs.second[closest])
        raise DataFormatError(
            f"atoms {first} ({atoms.symbols[first]}) and {second} ({atoms.symbols[second]}) are "
            f"{pairs.distance[closest]:.3g} Å apart; expected at least {OVERLAP_A} Å"
        )
