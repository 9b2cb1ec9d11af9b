"""Chains to PDB and mmCIF files that other programs read back unchanged.

Formats: wwPDB 3.3 (2012); Westbrook et al., J. Mol. Biol. 434, 167599 (2022), doi:10.1016/j.jmb.2022.167599.
Coordinates have three decimals, B factors two.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.app.errors import DataFormatError
from protein.data.chain import UNNUMBERED, Chain
from protein.data.residues import ATOM37, NAMES

MOST_ATOMS = 99_999
NUMBERS = range(-999, 10_000)
COORDINATES_A = (-999.9995, 9999.9995)
RESIDUES_A_LINE = 13
"""Limits of the columns of the PDB format."""


class _Atom(NamedTuple):
    """One line of the table of atoms."""

    serial: int
    chain: int
    place: int
    name: str
    xyz: np.ndarray
    b_factor: float


def write_pdb(path: str | Path, chains: Chain | Sequence[Chain]) -> None:
    """Write chains to a PDB file, one letter a chain, full sequences as SEQRES.

    Raises DataFormatError where the format's columns do not hold what there is; write mmCIF then.
    """
    chains = _checked(chains)
    names = [_name(chain) for chain in chains]
    for chain, name in zip(chains, names, strict=True):
        _require_fit(chain, name)
    if len(set(names)) < len(names):
        raise DataFormatError(f"two chains are called {max(names, key=names.count)}; give each its own letter")
    lines = [line for chain, name in zip(chains, names, strict=True) for line in _sequence_lines(chain, name)]
    atoms, serial = list(_atoms(chains)), 0
    if len(atoms) + len(chains) > MOST_ATOMS:
        raise DataFormatError(f"{len(atoms):,} atoms do not fit into a PDB file ({MOST_ATOMS:,}); write mmCIF")
    for index, (chain, name) in enumerate(zip(chains, names, strict=True)):
        line = ""
        for atom in (one for one in atoms if one.chain == index):
            serial += 1
            line = _pdb_line(serial, chain, name, atom)
            lines.append(line)
        serial += 1
        lines.append(f"TER   {serial:>5}      {line[17:27]}".ljust(80))
    _write(path, "\n".join([*lines, "END".ljust(80), ""]))


def write_mmcif(path: str | Path, chains: Chain | Sequence[Chain]) -> None:
    """Write chains to an mmCIF file: entities, full sequences with numbering, atoms; resolution and method if known."""
    chains = _checked(chains)
    entities = list(dict.fromkeys(chain.sequence for chain in chains))
    names = _asym_names(len(chains))
    entry = "".join(c for c in chains[0].id.rpartition("_")[0] if c.isalnum() or c in "-.") or "model"
    lines = [f"data_{entry}", "#", f"_entry.id {_quoted(entry)}", "#"]
    if chains[0].method:
        lines += [f"_exptl.entry_id {_quoted(entry)}", f"_exptl.method {_quoted(chains[0].method)}", "#"]
    if np.isfinite(chains[0].resolution):
        lines += [f"_refine.entry_id {_quoted(entry)}", "_refine.pdbx_refine_id 1",
                  f"_refine.ls_d_res_high {chains[0].resolution:g}", "#"]  # fmt: skip
    entity = [str(entities.index(chain.sequence) + 1) for chain in chains]
    lines += _loop("_entity", ("id", "type"), [(str(i + 1), "polymer") for i in range(len(entities))])
    strands = [",".join(_name(c) for c, e in zip(chains, entity, strict=True) if e == str(i + 1))
               for i in range(len(entities))]  # fmt: skip
    lines += _loop("_entity_poly", ("entity_id", "type", "pdbx_strand_id"),
                   [(str(i + 1), "polypeptide(L)", strand) for i, strand in enumerate(strands)])  # fmt: skip
    lines += _loop("_entity_poly_seq", ("entity_id", "num", "mon_id"),
                   [(str(i + 1), str(place), NAMES_OF_LETTERS[letter])
                    for i, sequence in enumerate(entities) for place, letter in enumerate(sequence, 1)])  # fmt: skip
    lines += _loop("_struct_asym", ("id", "entity_id"), list(zip(names, entity, strict=True)))
    lines += _loop("_pdbx_poly_seq_scheme", ("asym_id", "entity_id", "seq_id", "mon_id", "pdb_seq_num", "pdb_strand_id",
                   "pdb_ins_code"), list(_scheme(chains, names, entity)))  # fmt: skip
    lines += _loop("_atom_site", ATOM_COLUMNS, [_mmcif_row(atom, chains, names, entity) for atom in _atoms(chains)])
    _write(path, "\n".join([*lines, ""]))


NAMES_OF_LETTERS = dict(zip("ARNDCQEGHILKMFPSTWYVX", NAMES, strict=True))

ATOM_COLUMNS = (
    "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
    "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy",
    "B_iso_or_equiv", "auth_seq_id", "auth_comp_id", "auth_asym_id", "auth_atom_id", "pdbx_PDB_model_num",
)  # fmt: skip


def _checked(chains: Chain | Sequence[Chain]) -> list[Chain]:
    chains = [chains] if isinstance(chains, Chain) else list(chains)
    if not any(chain.mask.any() for chain in chains):
        raise DataFormatError("no chain has an atom; there is nothing to write")
    return chains


def _atoms(chains: Sequence[Chain]) -> Iterator[_Atom]:
    serial = 0
    for index, chain in enumerate(chains):
        for place, column in zip(*np.nonzero(chain.mask), strict=True):
            serial += 1
            b_factor = float(chain.b_factor[place, column])
            yield _Atom(
                serial,
                index,
                int(place),
                ATOM37[column],
                chain.atom37[place, column],
                b_factor if np.isfinite(b_factor) else 0.0,
            )


def _sequence_lines(chain: Chain, name: str) -> Iterator[str]:
    if not chain.has_full_sequence:
        return
    names = [NAMES_OF_LETTERS[letter] for letter in chain.sequence]
    for row, start in enumerate(range(0, len(names), RESIDUES_A_LINE), 1):
        words = " ".join(names[start : start + RESIDUES_A_LINE])
        yield f"SEQRES {row:>3} {name} {len(names):>4}  {words}".ljust(80)


def _pdb_line(serial: int, chain: Chain, name: str, atom: _Atom) -> str:
    residue = NAMES_OF_LETTERS[chain.sequence[atom.place]]
    x, y, z = atom.xyz
    return (
        f"ATOM  {serial:>5}  {atom.name:<3} {residue} {name}{_number(chain, atom.place):>4}"
        f"{chain.insertion[atom.place] or ' '}   {x:8.3f}{y:8.3f}{z:8.3f}{1:6.2f}{atom.b_factor:6.2f}"
        f"          {atom.name[0]:>2}  "
    )


def _require_fit(chain: Chain, name: str) -> None:
    if len(name) != 1:
        raise DataFormatError(f"chain '{name}' has a name of {len(name)} letters, PDB files hold one; write mmCIF")
    numbers = [_number(chain, place) for place in range(len(chain))]
    atoms = chain.atom37[chain.mask]
    outside = [number for number in numbers if number not in NUMBERS]
    if outside:
        raise DataFormatError(f"chain {chain.id}: residue number {outside[0]} has no room in a PDB file; write mmCIF")
    if len(atoms) and not (COORDINATES_A[0] < atoms.min() and atoms.max() < COORDINATES_A[1]):
        raise DataFormatError(
            f"chain {chain.id}: coordinates reach from {atoms.min():g} to {atoms.max():g} Å, which PDB files have no "
            "room for; write mmCIF"
        )
    if np.nanmax(chain.b_factor, initial=0.0) >= 999.995:
        raise DataFormatError(f"chain {chain.id}: a B factor of {np.nanmax(chain.b_factor):g} has no room; write mmCIF")
    if any(len(code) > 1 for code in chain.insertion):
        raise DataFormatError(f"chain {chain.id}: insertion codes longer than a letter have no room; write mmCIF")


def _scheme(chains: Sequence[Chain], names: Sequence[str], entity: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for chain, name, number in zip(chains, names, entity, strict=True):
        for place, letter in enumerate(chain.sequence):
            yield (name, number, str(place + 1), NAMES_OF_LETTERS[letter], str(_number(chain, place)),
                   _quoted(_name(chain)), chain.insertion[place] or ".")  # fmt: skip


def _mmcif_row(atom: _Atom, chains: Sequence[Chain], names: Sequence[str], entity: Sequence[str]) -> tuple[str, ...]:
    chain = chains[atom.chain]
    residue = NAMES_OF_LETTERS[chain.sequence[atom.place]]
    return ("ATOM", str(atom.serial), atom.name[0], atom.name, ".", residue, names[atom.chain], entity[atom.chain],
            str(atom.place + 1), chain.insertion[atom.place] or "?", *(f"{value:.3f}" for value in atom.xyz), "1.00",
            f"{atom.b_factor:.2f}", str(_number(chain, atom.place)), residue, _quoted(_name(chain)), atom.name,
            "1")  # fmt: skip


def _loop(category: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["loop_", *(f"{category}.{column}" for column in columns), *(" ".join(row) for row in rows), "#"]


def _number(chain: Chain, place: int) -> int:
    """The author's number; one that fits in between where there is none."""
    number = int(chain.number[place])
    if number != UNNUMBERED:
        return number
    known = np.flatnonzero(chain.number != UNNUMBERED)
    if not len(known):
        return place + 1
    nearest = int(known[np.argmin(np.abs(known - place))])
    return int(chain.number[nearest]) + place - nearest


def _name(chain: Chain) -> str:
    return chain.id.rpartition("_")[2] or "A"


def _asym_names(count: int) -> list[str]:
    """A to Z, then AA, BA, ... as wwPDB names them."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    names = list(letters)
    while len(names) < count:
        names += [first + rest for rest in names[-(26 ** (len(names[-1]))) :] for first in letters]
    return names[:count]


def _quoted(text: str) -> str:
    bare = text and not any(c.isspace() for c in text) and text[0] not in "_#$'\"[];" and text not in ("?", ".")
    return text if bare else f"'{text}'"


def _write(path: str | Path, text: str) -> None:
    """Whole or not at all."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.write_text(text)
        os.replace(temporary, path)
    except OSError as error:
        raise DataFormatError(f"cannot write {path} ({error.strerror}); free space or rights there") from error
    finally:
        temporary.unlink(missing_ok=True)
