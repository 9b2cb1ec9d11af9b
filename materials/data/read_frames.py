"""Frames with energies and forces from extended XYZ, the format in which training data of potentials is published."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from common.app.errors import DataFormatError
from materials.data.frames import Frames

if TYPE_CHECKING:
    from ase import Atoms

COLUMNS = re.compile(r"Properties=\"?((?:\w+:[A-Z]:\d+:?)+)")


def read_frames(path: str | Path) -> Frames:
    """All frames of an extended XYZ file, through ASE; each needs `energy` and `forces`, a `stress` is kept.

    Units are ASE's: eV, eV/Å, eV/Å^3. Raises DataFormatError, naming file, frame and reason, for a file that is
    missing, empty, cut off or not extended XYZ, and for a frame without energy or forces or with numbers that are not
    finite.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFormatError(f"{path} is not readable as extended XYZ ({error})") from error
    try:
        return Frames.from_atoms([_parse(number, block) for number, block in enumerate(_blocks(text), start=1)])
    except DataFormatError as error:
        raise DataFormatError(f"{path}: {error}") from error


def _blocks(text: str) -> Iterator[str]:
    """The lines of each frame. Checked here, because ASE makes room for what a header promises before it reads on."""
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    start, number = 0, 1
    while start < len(lines):
        count = lines[start].strip()
        if not count.isdecimal():
            raise DataFormatError(f"frame {number}, line {start + 1}: found {count[:40]!r}, expected a number of atoms")
        stop = start + 2 + int(count[:12])
        if stop > len(lines):
            raise DataFormatError(f"frame {number} announces {count[:12]} atoms, but the file ends before")
        if columns := COLUMNS.search(lines[start + 1]):
            promised = sum(int(width[:12]) for width in re.findall(r":[A-Z]:(\d+)", columns[1]))
            found = {len(line.split()) for line in lines[start + 2 : stop]}
            if found - {promised}:
                raise DataFormatError(f"frame {number} announces {promised} columns, but has {sorted(found)}")
        yield "\n".join(lines[start:stop]) + "\n"
        start, number = stop, number + 1


def _parse(number: int, block: str) -> Atoms:
    from ase.io import read

    try:
        atoms = read(io.StringIO(block), format="extxyz")
    except Exception as error:  # whatever ASE's parser meets
        raise DataFormatError(f"frame {number} is not extended XYZ ({type(error).__name__}: {error})") from error
    assert not isinstance(atoms, list)
    return atoms
