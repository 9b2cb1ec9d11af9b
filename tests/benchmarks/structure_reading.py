"""Reading structure files: `python -m tests.benchmarks.structure_reading FOLDER [generated=200] [rounds=3]`.

All mmCIF and PDB files of FOLDER and as many generated mmCIF files of 200 residues, to records of this package, against
Biopython's parsers, gemmi and biotite on the same files, in turns: processor time of the fastest round. Peers that are
not installed are left out. Files that a reader refuses count with the time that it took.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from common.app.errors import DataFormatError
from protein.data.chain import Chain
from protein.data.read import read_chains
from protein.data.residues import ATOM14, COLUMN37_OF_14, LETTERS, types_of
from protein.data.write import write_mmcif


def generated_chain(seed: int, length: int = 200) -> Chain:
    """A random sequence with all its atoms at random places."""
    random = np.random.default_rng(seed)
    sequence = "".join(random.choice(list(LETTERS), length))
    atoms = np.full((length, 37, 3), np.nan, np.float32)
    for row, kind in enumerate(types_of(sequence)):
        columns = COLUMN37_OF_14[kind][: len(ATOM14[kind])]
        atoms[row, columns] = random.normal(0, 20, (len(columns), 3)).round(3)
    b_factor = np.where(np.isfinite(atoms[..., 0]), np.float32(50), np.float32(np.nan))
    numbers = np.arange(1, length + 1, dtype=np.int32)
    return Chain(f"g{seed}_A", sequence, atoms, b_factor, numbers, np.full(length, "", "<U4"), True)


def biopython(path: Path) -> None:
    from Bio.PDB.MMCIFParser import MMCIFParser
    from Bio.PDB.PDBParser import PDBParser

    parser = MMCIFParser(QUIET=True) if path.suffix == ".cif" else PDBParser(QUIET=True)
    parser.get_structure("x", path)


def gemmi(path: Path) -> None:
    import gemmi

    gemmi.read_structure(str(path)).setup_entities()


def biotite(path: Path) -> None:
    from biotite.structure.io import pdb, pdbx

    if path.suffix == ".cif":
        pdbx.get_structure(pdbx.CIFFile.read(path), model=1)
    else:
        pdb.PDBFile.read(path).get_structure(model=1)


READERS: dict[str, Callable[[Path], object]] = {
    "ours": read_chains, "biopython": biopython, "gemmi": gemmi, "biotite": biotite,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    folder, *rest = arguments
    given = dict(argument.split("=") for argument in rest)
    present = {name: read for name, read in READERS.items() if name in ("ours", "biopython") or find_spec(name)}
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(int(given.get("generated", 200))):
            write_mmcif(Path(name) / f"{number}.cif", generated_chain(number))
        files = [*sorted(Path(folder).iterdir()), *sorted(Path(name).iterdir())]
        seconds = dict.fromkeys(present, float("inf"))
        for _ in range(int(given.get("rounds", 3))):
            for label, read in present.items():
                started = time.process_time()
                for path in files:
                    with contextlib.suppress(DataFormatError, ValueError):
                        read(path)
                seconds[label] = min(seconds[label], time.process_time() - started)
    print(f"{len(files)} files")
    for label, time_s in sorted(seconds.items(), key=lambda item: item[1]):
        print(f"{label:<10} {time_s:7.2f} s   {time_s / seconds['biopython']:5.2f} x the time of Biopython")


if __name__ == "__main__":
    main(sys.argv[1:])
