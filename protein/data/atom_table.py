"""From the atoms that a structure file lists to chains: models, alternate locations, residues, missing parts.

Shapes: A atoms, L residues of a chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from Bio.Data.PDBData import protein_letters_3to1_extended

from common.app.errors import DataFormatError
from protein.data.chain import UNNUMBERED, Chain
from protein.data.full_sequence import places_in_sequence
from protein.data.residues import COLUMN37, LETTERS_X, NAMES, TYPE_OF_NAME

PARENTS = {
    **{name: NAMES[LETTERS_X.index(letter)] for name, letter in protein_letters_3to1_extended.items()},
    "SEC": "CYS", "PYL": "LYS", "ASX": "ASP", "GLX": "GLU",
}  # fmt: skip
"""The amino acid of which a residue is a modification, as wwPDB's Chemical Component Dictionary states it."""

RENAMED_ATOMS = {"MSE": {"SE": "SD"}, "SEC": {"SE": "SG"}}
"""Atoms of modified residues that stand where the parent has another element."""

FARTHEST_A = 1e5
_COLUMNS = {name.encode(): column for name, column in COLUMN37.items()}


@dataclass(frozen=True, eq=False)
class AtomTable:
    """Atoms in the order of the file, [A] each; text as bytes.

    chain        the author's chain
    number       the author's residue number
    insertion    insertion code, empty for most
    place        place of the residue in the full sequence, from 0; -1 where the file does not say
    """

    model: np.ndarray
    chain: np.ndarray
    number: np.ndarray
    insertion: np.ndarray
    place: np.ndarray
    residue: np.ndarray
    atom: np.ndarray
    alternate: np.ndarray
    occupancy: np.ndarray
    xyz: np.ndarray
    b_factor: np.ndarray

    def where(self, chosen: np.ndarray) -> AtomTable:
        """The atoms that a Boolean mask or indices choose."""
        return AtomTable(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Header:
    """What a file says besides its atoms.

    sequences  by author's chain, three-letter names of all residues of protein chains
    numbers    by author's chain, number and insertion code of all residues, where the file lists them
    parents    what modified residues derive from, by the file itself
    """

    id: str
    resolution: float = float("nan")
    method: str = ""
    deposit_date: str = ""
    sequences: Mapping[str, list[str]] = field(default_factory=dict)
    numbers: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Residues:
    """The residues of a chain that have atoms, in order."""

    names: list[str]
    number: np.ndarray
    insertion: np.ndarray
    place: np.ndarray
    atom37: np.ndarray
    b_factor: np.ndarray


def chains_of(table: AtomTable, header: Header, where: str, model: int | None = None) -> list[Chain]:
    """The protein chains of one model, the first by default.

    Of alternate locations the one with the highest occupancy in its residue is taken, the first of equals. Residues
    that are not of the polymer are left out, hydrogens too.
    Raises DataFormatError for an unknown model, coordinates that are not finite, an atom that occurs twice, and files
    without a protein chain.
    """
    if not len(table.model):
        raise DataFormatError(f"{where} lists no atoms of a protein; expected ATOM records")
    models = np.unique(table.model)
    wanted = table.model[0] if model is None else model
    if wanted not in models:
        raise DataFormatError(f"{where} has no model {wanted}; it has {models[0]} to {models[-1]}")
    table = table.where(table.model == wanted)
    if not (np.abs(table.xyz) < FARTHEST_A).all():
        row = int(np.argmin((np.abs(table.xyz) < FARTHEST_A).all(-1)))
        raise DataFormatError(
            f"{where}: atom {_text(table.atom[row])} of residue {_text(table.chain[row])} {table.number[row]} has the "
            f"coordinates {table.xyz[row].tolist()}; expected finite numbers in Å"
        )
    parents = {**PARENTS, **header.parents}
    chains = []
    for name in dict.fromkeys(table.chain.tolist()):
        part = table.where(table.chain == name)
        if _is_protein(part, parents):
            chains.append(_chain(_residues(part, where), header, name.decode("latin-1"), parents, where))
    if not chains:
        raise DataFormatError(f"{where} holds no protein chain; expected amino acids with N, CA and C atoms")
    return chains


def _is_protein(part: AtomTable, parents: Mapping[str, str]) -> bool:
    names = {_text(name) for name in np.unique(part.residue)}
    return bool((part.atom == b"CA").any()) and any(name in parents or name == "UNK" for name in names)


def _residues(part: AtomTable, where: str) -> _Residues:
    owner, starts = _owners(part)
    chosen = _chosen_alternates(part, owner, len(starts))
    part, owner = part.where(chosen), owner[chosen]
    column = np.array([_COLUMNS.get(name, -1) for name in part.atom.tolist()])
    for residue, renamed in RENAMED_ATOMS.items():
        for atom, other in renamed.items():
            column[(part.residue == residue.encode()) & (part.atom == atom.encode())] = COLUMN37[other]
    kept = column >= 0
    part, owner, column = part.where(kept), owner[kept], column[kept]
    cell, first, count = np.unique(owner * 37 + column, return_index=True, return_counts=True)
    if (count > 1).any():
        row = first[np.argmax(count > 1)]
        raise DataFormatError(
            f"{where}: atom {_text(part.atom[row])} of residue {_text(part.chain[row])} {part.number[row]}"
            f"{_text(part.insertion[row])} occurs twice; expected one, or alternate locations named differently"
        )
    atom37 = np.full((len(starts) * 37, 3), np.nan, np.float32)
    b_factor = np.full(len(starts) * 37, np.nan, np.float32)
    atom37[cell], b_factor[cell] = part.xyz[first], part.b_factor[first]
    has_atoms, at = np.unique(owner, return_index=True)
    names, number, insertion, place = (getattr(part, name)[at] for name in ("residue", "number", "insertion", "place"))
    return _Residues(
        [_text(name) for name in names],
        number,
        np.char.decode(insertion, "latin-1"),
        place,
        atom37.reshape(-1, 37, 3)[has_atoms],
        b_factor.reshape(-1, 37)[has_atoms],
    )


def _owners(part: AtomTable) -> tuple[np.ndarray, np.ndarray]:
    """Residue of each atom, counted in order of appearance, and the first atom of each.

    Alternate locations of a residue may stand apart, so that equal keys are one residue wherever they are.
    """
    key = np.empty(len(part.number), dtype=[("number", np.int64), ("place", np.int64), ("insertion", "S8")])
    key["number"], key["place"], key["insertion"] = part.number, part.place, part.insertion
    changed = np.concatenate([[True], key[1:] != key[:-1]])
    run = np.cumsum(changed) - 1
    known: dict[tuple, int] = {}
    run_owner = np.array([known.setdefault(tuple(value), len(known)) for value in key[changed].tolist()])
    owner = run_owner[run]
    return owner, np.unique(owner, return_index=True)[1]


def _chosen_alternates(part: AtomTable, owner: np.ndarray, count: int) -> np.ndarray:
    """Indices of the atoms kept where a residue has alternate locations or two names; all atoms elsewhere."""
    several = np.zeros(count, bool)
    several[owner[part.alternate != b""]] = True
    keep = np.ones(len(owner), bool)
    for residue in np.flatnonzero(several):
        rows = np.flatnonzero(owner == residue)
        share: dict[bytes, float] = {}
        for row in rows:
            if part.alternate[row]:
                letter = part.alternate[row]
                share[letter] = share.get(letter, 0.0) + float(part.occupancy[row])
        best = max(share, key=share.__getitem__)
        name = next(part.residue[row] for row in rows if part.alternate[row] == best)
        taken: set[bytes] = set()
        for row in sorted(rows, key=lambda row: (part.alternate[row] not in (best, b""), -part.occupancy[row], row)):
            own = part.residue[row] == name and (part.alternate[row] in (best, b"") or part.atom[row] not in taken)
            keep[row] = own
            if own:
                taken.add(part.atom[row])
    return np.flatnonzero(keep)


def _chain(residues: _Residues, header: Header, name: str, parents: Mapping[str, str], where: str) -> Chain:
    observed = "".join(_letter(one, parents) for one in residues.names)
    full = "".join(_letter(one, parents) for one in header.sequences.get(name, []))
    places = places_in_sequence(full, observed, residues.place, residues.number) if full else None
    number, insertion = residues.number, residues.insertion
    atom37, b_factor, sequence = residues.atom37, residues.b_factor, observed
    if places is not None:
        n, letters = len(full), list(full)
        for place, letter in zip(places, observed, strict=True):
            letters[place] = letter  # where several residues share a place, the one whose atoms were taken
        sequence = "".join(letters)
        number, insertion = header.numbers.get(name, (np.full(n, UNNUMBERED), np.full(n, "", "<U4")))
        number, insertion = number.astype(np.int32), insertion.astype("<U4")
        number[places], insertion[places] = residues.number, residues.insertion
        atom37, b_factor = np.full((n, 37, 3), np.nan, np.float32), np.full((n, 37), np.nan, np.float32)
        atom37[places], b_factor[places] = residues.atom37, residues.b_factor
    return Chain(
        id=f"{header.id}_{name or 'A'}",
        sequence=sequence,
        atom37=atom37,
        b_factor=b_factor,
        number=number.astype(np.int32),
        insertion=insertion,
        has_full_sequence=places is not None,
        resolution=header.resolution,
        method=header.method,
        deposit_date=header.deposit_date,
        source=where,
    )


def _letter(name: str, parents: Mapping[str, str]) -> str:
    return LETTERS_X[TYPE_OF_NAME.get(parents.get(name, name), TYPE_OF_NAME["UNK"])]


def _text(value: Any) -> str:
    """One cell of a column of bytes."""
    return bytes(value).decode("latin-1")
