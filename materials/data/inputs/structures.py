"""Several structures in one file: CIF data blocks, extended XYZ frames, and Zarr stores in the packed layout."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from common.app.errors import DataFormatError
from materials.data.crystals import STRUCTURE_KEYS
from materials.data.inputs.text import Record, opened_text
from materials.data.structure_source import StructureArrays, StructureText

BLOCK = 1024
"""Structures of a store that are read at a time."""

SITES = "fract_x"
"""The end of the tag of atom sites; a data block without it (publication details, say) describes no structure."""

CIF = partial(StructureText, "cif")
EXTXYZ = partial(StructureText, "extxyz")
Rows = Iterator[tuple[str, Any]]


def cif_blocks(path: Path, raw: BinaryIO) -> Rows:
    """A row for each data block with atom sites, called as the block."""
    with opened_text(path, raw) as lines:
        found = (block for block in _cif_blocks(lines) if block.sites)
        rows = ((block.name or str(number), block.source(CIF)) for number, block in enumerate(found, start=1))
        yield from _one_or_many(path, rows)


def xyz_frames(path: Path, raw: BinaryIO) -> Rows:
    """A row for each frame, numbered from 1."""
    with opened_text(path, raw) as lines:
        rows = ((str(number), frame) for number, frame in enumerate(_xyz_frames(lines), start=1))
        yield from _one_or_many(path, rows)


def _one_or_many(path: Path, rows: Rows) -> Rows:
    """The rows, or the file itself where there are fewer than two: its own reader says best what is wrong with it."""
    first, second = next(rows, None), next(rows, None)
    if second is None and path.suffix.lower() != ".gz":
        yield "", str(path)
    elif first is None:
        yield "", DataFormatError(f"{path}: holds no structure")
    else:
        yield first
        yield from rows if second is None else chain([second], rows)


class CifBlock(Record):
    """One data block of a CIF; `sites`: whether it lists atoms."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name, self.sites = name, False


def _cif_blocks(lines: Iterator[str]) -> Iterator[CifBlock]:
    block, in_text = CifBlock(), False
    for line in lines:
        if line.startswith(";"):  # a text field may hold lines that look like the first of a block
            in_text = not in_text
        elif not in_text and line[:5].lower() == "data_":
            yield block
            block = CifBlock(line[5:].strip())
        block.sites = block.sites or SITES in line.lower()
        block.add(line)
    yield block


def _xyz_frames(lines: Iterator[str]) -> Iterator[Any]:
    """After a line that should be a number of atoms and is not, nobody knows where the next frame begins."""
    for line in lines:
        word = line.strip()
        if not word:
            continue
        if not word.isdecimal() or len(word) > 12:
            yield DataFormatError(f"found '{word[:40]}', expected a number of atoms; the rest of the file is not read")
            return
        frame, count = Record(), int(word)
        frame.add(line)
        for missing in range(count + 1, 0, -1):
            if not (line := next(lines, "")):
                yield DataFormatError(f"announces {count} atoms; the file ends {missing} lines too early")
                return
            frame.add(line)
        yield frame.source(EXTXYZ)


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup"))


def store_structures(path: Path) -> Rows:
    """The structures of a Zarr group with the arrays n_atoms [N], lattice [N, 3, 3], z [A], frac [A, 3] and, if it is
    there, id [N]: atoms of all structures behind one another, as in `Crystals.to_npz`."""
    import zarr

    try:
        group = zarr.open_group(path, mode="r")
        arrays: dict[str, Any] = {key: group[key] for key in STRUCTURE_KEYS if key in group}
        missing = [key for key in STRUCTURE_KEYS[1:] if key not in arrays]
        if missing:
            raise DataFormatError(f"{path} lacks the arrays {', '.join(missing)}; expected {', '.join(STRUCTURE_KEYS)}")
        yield from _store_blocks(path, arrays)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise DataFormatError(f"{path} cannot be read to its end ({error}); is it damaged?") from error


def _store_blocks(path: Path, arrays: dict[str, Any]) -> Rows:
    total, atom = arrays["n_atoms"].shape[0], 0
    for start in range(0, total, BLOCK):
        part = slice(start, min(start + BLOCK, total))
        counts = np.asarray(arrays["n_atoms"][part]).astype(np.int64)
        if counts.min() < 0 or atom + counts.sum() > arrays["z"].shape[0]:
            raise DataFormatError(f"{path}: n_atoms[{start}:{part.stop}] counts atoms that z and frac do not hold")
        atoms = slice(atom, atom + int(counts.sum()))
        lattices, numbers, fractional = (np.asarray(arrays[key][where]) for key, where in
                                         (("lattice", part), ("z", atoms), ("frac", atoms)))  # fmt: skip
        names = arrays["id"][part] if "id" in arrays else np.arange(start + 1, part.stop + 1)
        ends = np.cumsum(counts)
        for name, lattice, first, last in zip(names, lattices, ends - counts, ends, strict=True):
            yield str(name), StructureArrays(numbers[first:last], fractional[first:last], lattice)
        atom = atoms.stop
    if atom != arrays["z"].shape[0]:
        raise DataFormatError(f"{path}: z holds {arrays['z'].shape[0]} atoms, n_atoms counts {atom}")
