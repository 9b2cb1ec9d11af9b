"""Makes dssp.json: `python -m tests.protein.golden.make_dssp FOLDER > tests/protein/golden/dssp.json`.

States that mkdssp 4.2.2 (Debian package dssp) gives to chains of structure files in FOLDER, written by this package's
PDB writer with the records that mkdssp asks for. Polyproline helices, which the 1983 paper does not know, are coil.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from protein.data.read import read_chains
from protein.data.write import write_pdb

FILES = ("1aki.cif", "1avx.pdb", "1igy.cif", "1ubq.pdb", "2mpn.pdb", "5h73.cif", "5v7p.pdb")
HEADER = f"{'HEADER    X':<50}01-JAN-00   1XXX".ljust(80) + "\n"
CELL = "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1".ljust(80) + "\n"


def states(path: Path) -> str:
    """One letter a residue with a whole backbone."""
    command = ["mkdssp", "--output-format", "dssp", str(path)]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("  #  RESIDUE")[1]
    letters = [line[16] for line in table.splitlines()[1:] if line[13] != "!"]
    return "".join("C" if letter in " P" else letter for letter in letters)


def main(folder: Path) -> None:
    found = {}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "chain.pdb"
        for file in FILES:
            chain = dataclasses.replace(read_chains(folder / file)[0], id="x_A")
            write_pdb(path, chain)
            before, start, atoms = path.read_text().partition("ATOM  ")
            path.write_text(HEADER + before + CELL + start + atoms)
            found[file] = states(path)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
