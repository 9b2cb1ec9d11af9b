"""One molecule, or a file of them, checked: what passes here is a graph that a model can be asked about."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from common.app.errors import DataFormatError
from common.app.registry import did_you_mean

if TYPE_CHECKING:
    from rdkit.Chem import Mol

MAX_CHARACTERS = 10_000
MAX_ATOMS = 1_000
LONG = 2_000
"""SMILES with more characters have their atoms counted before RDKit looks for rings, which can take very long."""

MAX_RECORD_BYTES = 2**20
SMILES_COLUMNS = ("smiles", "psmiles", "canonical_smiles", "molecule", "mol")
TABLES = (".csv", ".tsv")
LINES = (".smi", ".smiles", ".txt")
BLOCKS = (".sdf", ".sd", ".mol")


class MoleculeRecord(NamedTuple):
    """One row of a file: `source` is what `read_molecule` takes, or the error that says why there is nothing."""

    name: str
    source: Any


def read_molecule(source: Any) -> Mol:
    """A sanitised RDKit molecule from SMILES, PSMILES (`*` atoms), a MOL block, or an RDKit molecule.

    Hydrogens that SMILES writes as atoms become implicit where RDKit's reader makes them so.
    Raises DataFormatError, naming the reason, for: no text, more than 10,000 characters, text that is no SMILES,
    impossible valences or aromatic rings, no atoms, more than 1,000 atoms.
    """
    from rdkit import rdBase

    with rdBase.BlockLogs():
        return _checked(_parse(source), source)


def molecule_records(path: str | Path, column: str | None = None) -> Iterator[MoleculeRecord]:
    """The rows of a file, one at a time: .csv/.tsv with a SMILES column, .smi, .sdf; each also with .gz.

    Rows that hold no molecule come out too, for `read_molecule` to refuse, so that every row has its answer.
    `column`: name of the SMILES column; by default the one called smiles, PSMILES, ...
    """
    path = Path(path)
    if not path.is_file():
        raise DataFormatError(f"{path}: there is no such file")
    suffix = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if suffix not in TABLES + LINES + BLOCKS:
        known = ", ".join(TABLES + LINES + BLOCKS)
        raise DataFormatError(f"{path}: unknown kind of file '{suffix}'; expected {known}, or one of them with .gz")
    try:
        with _open(path) as stream:
            if suffix in TABLES:
                yield from _table(path, stream, "\t" if suffix == ".tsv" else ",", column)
            else:
                yield from (_lines if suffix in LINES else _blocks)(stream)
    except (OSError, EOFError, csv.Error) as error:
        raise DataFormatError(f"{path} cannot be read to its end ({error}); is it damaged?") from error


def _open(path: Path) -> TextIO:
    """Bytes that are no text become replacement characters, which no SMILES holds."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="")  # pyright: ignore
    return path.open(encoding="utf-8", errors="replace", newline="")


def _parse(source: Any) -> Mol | None:
    from rdkit import Chem

    if isinstance(source, Chem.Mol):
        return _sanitised(Chem.Mol(source))
    if isinstance(source, DataFormatError):
        raise source
    if not isinstance(source, str):
        raise DataFormatError(
            f"cannot read a molecule from {type(source).__name__}; expected SMILES or an RDKit molecule"
        )
    if "\n" in source:
        return _from_block(source)
    return _from_smiles(source.strip())


def _from_smiles(smiles: str) -> Mol:
    from rdkit import Chem

    if not smiles:
        raise DataFormatError("the SMILES is empty")
    if len(smiles) > MAX_CHARACTERS:
        raise DataFormatError(f"the SMILES has {len(smiles):,} characters; expected at most {MAX_CHARACTERS:,}")
    if "\0" in smiles:
        raise DataFormatError("the SMILES holds a zero byte")
    if len(smiles) > LONG:
        _check_size(_unsanitised(smiles))
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise DataFormatError(f"{_short(smiles)}: {_problem(_unsanitised(smiles))}")
    return molecule


def _unsanitised(smiles: str) -> Mol:
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles, sanitize=False)
    if molecule is None:
        raise DataFormatError(f"{_short(smiles)} is not SMILES: wrong character, open ring or open bracket")
    return molecule


def _from_block(block: str) -> Mol:
    from rdkit import Chem

    if len(block.encode()) > MAX_RECORD_BYTES:
        raise DataFormatError(f"a MOL block of {len(block):,} bytes; expected at most {MAX_RECORD_BYTES:,}")
    try:
        molecule = Chem.MolFromMolBlock(block, sanitize=False)
    except (RuntimeError, ValueError) as error:
        raise DataFormatError(f"not a MOL block ({str(error).strip()[:200]})") from error
    if molecule is None:
        raise DataFormatError("not a MOL block: counts line, atoms or bonds are not as V2000 or V3000 has them")
    _check_size(molecule)
    return _sanitised(molecule, remove_hydrogens=True)


def _sanitised(molecule: Mol, remove_hydrogens: bool = False) -> Mol:
    from rdkit import Chem

    try:
        Chem.SanitizeMol(molecule)
        if remove_hydrogens:
            spatial = molecule.GetNumConformers() > 0 and molecule.GetConformer().Is3D()
            (Chem.AssignStereochemistryFrom3D if spatial else Chem.AssignStereochemistry)(molecule)
            return Chem.RemoveHs(molecule)
    except (ValueError, RuntimeError) as error:
        raise DataFormatError(_problem(molecule) if molecule.GetNumAtoms() else str(error).strip()) from error
    return molecule


def _problem(molecule: Mol) -> str:
    """What is chemically wrong, in RDKit's words."""
    from rdkit import Chem

    problems = [problem.Message().strip() for problem in Chem.DetectChemistryProblems(molecule)]
    return "; ".join(problems[:3]) or "RDKit refuses it and does not say why"


def _checked(molecule: Mol | None, source: Any) -> Mol:
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise DataFormatError(f"{_short(str(source))} has no atoms")
    _check_size(molecule)
    return molecule


def _check_size(molecule: Mol) -> None:
    if molecule.GetNumAtoms() > MAX_ATOMS:
        raise DataFormatError(f"has {molecule.GetNumAtoms():,} atoms; expected at most {MAX_ATOMS:,}")


def _short(text: str) -> str:
    return f"'{text[:80]}...'" if len(text) > 80 else f"'{text}'"


def _table(path: Path, stream: TextIO, delimiter: str, column: str | None) -> Iterator[MoleculeRecord]:
    rows = csv.DictReader(stream, delimiter=delimiter)
    names = list(rows.fieldnames or [])
    lower = {name.strip().lower(): name for name in reversed(names)}
    usual = (lower[name] for name in SMILES_COLUMNS if column is None and name in lower)
    found = column if column in names else next(usual, None)
    if found is None:
        wanted = column or SMILES_COLUMNS[0]
        raise DataFormatError(f"{path} has no column '{wanted}' with SMILES. {did_you_mean(wanted, names)}")
    for number, row in enumerate(rows, start=1):
        yield MoleculeRecord(str(number), (row[found] or "").strip())


def _lines(stream: TextIO) -> Iterator[MoleculeRecord]:
    """`SMILES name` a line; blank lines are no rows."""
    for number, line in enumerate(stream, start=1):
        smiles, _, name = line.strip().partition("\t" if "\t" in line else " ")
        if smiles:
            yield MoleculeRecord(name.strip() or str(number), smiles)


def _blocks(stream: TextIO) -> Iterator[MoleculeRecord]:
    """The MOL blocks of an SDF; text after the last `$$$$` counts when it is not blank."""
    lines: list[str] = []
    size, number = 0, 1
    for line in stream:
        if line.startswith("$$$$"):
            yield _block(lines, size, number)
            lines, size, number = [], 0, number + 1
        else:
            size += len(line)
            if size <= MAX_RECORD_BYTES:
                lines.append(line.rstrip("\r\n"))
    if any(line.strip() for line in lines):
        yield _block(lines, size, number)


def _block(lines: list[str], size: int, number: int) -> MoleculeRecord:
    name = (lines[0].strip() if lines else "") or str(number)
    if size > MAX_RECORD_BYTES:
        reason = f"record {number} has {size:,} bytes; expected at most {MAX_RECORD_BYTES:,}"
        return MoleculeRecord(name, DataFormatError(reason))
    return MoleculeRecord(name, "\n".join(lines) + "\n")
