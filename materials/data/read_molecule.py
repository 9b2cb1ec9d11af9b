"""One molecule, checked: what passes here is a graph that a model can be asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.app.errors import DataFormatError

if TYPE_CHECKING:
    from rdkit.Chem import Mol

MAX_CHARACTERS = 10_000
MAX_ATOMS = 1_000
LONG = 2_000
"""SMILES with more characters have their atoms counted before RDKit looks for rings, which can take very long."""

MAX_RECORD_BYTES = 2**20


def read_molecule(source: Any) -> Mol:
    """A sanitised RDKit molecule from SMILES, PSMILES (`*` atoms), a MOL block, or an RDKit molecule.

    Hydrogens that SMILES writes as atoms become implicit where RDKit's reader makes them so.
    Raises DataFormatError, naming the reason, for: no text, more than 10,000 characters, text that is no SMILES,
    impossible valences or aromatic rings, no atoms, more than 1,000 atoms.
    """
    from rdkit import rdBase

    with rdBase.BlockLogs():
        return _checked(_parse(source), source)


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
