"""mmCIF and BinaryCIF: tables of text or numbers to atoms and header.

Dictionary: Westbrook et al., J. Mol. Biol. 434, 167599 (2022), doi:10.1016/j.jmb.2022.167599. The atom table, nearly all
of a file, is split at white space; everything else goes through Biopython, which also takes over where the short way
does not fit (quoted white space, several lines a row).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np

from common.app.errors import DataFormatError
from protein.data.atom_table import AtomTable, Header

Tables = Mapping[str, Any]
"""Item to its values, a list or an array."""

WANTED = (
    "_entry.", "_exptl.", "_refine.", "_em_3d_reconstruction.", "_pdbx_database_status.", "_entity_poly.",
    "_entity_poly_seq.", "_pdbx_poly_seq_scheme.", "_struct_asym.",
)  # fmt: skip
"""Categories that are read besides the atoms."""

ATOMS = "_atom_site."
NEEDED = ("label_atom_id", "label_comp_id", "label_asym_id", "Cartn_x", "Cartn_y", "Cartn_z")
BLOCK = re.compile(r"(?m)^(?=loop_\s)|^#.*\n")
NOTHING = ("?", ".", "")


def tables_of(text: str, where: str) -> Tables:
    """The categories that matter of the first data block. Raises DataFormatError for what is not mmCIF."""
    from Bio.PDB.MMCIF2Dict import MMCIF2Dict

    try:
        short = _split_at_white_space(text)
        if short is not None:
            return short
        return MMCIF2Dict(StringIO(_first_block(text)))
    except (ValueError, KeyError, IndexError, ZeroDivisionError, UnboundLocalError, StopIteration) as error:
        raise DataFormatError(f"{where} is not mmCIF ({error}); expected 'data_' and its tables") from error


def atoms_of(tables: Tables, where: str) -> AtomTable:
    """The atoms of polymers. Raises DataFormatError naming the column that is missing or not numeric."""
    columns = {key.removeprefix(ATOMS): values for key, values in tables.items() if key.startswith(ATOMS)}
    for name in NEEDED:
        if name not in columns:
            raise DataFormatError(f"{where}: the table of atoms has no column '{name}'; expected an mmCIF of a structure")
    sizes = {name: len(values) for name, values in columns.items()}
    count = sizes[NEEDED[0]]
    for name, size in sizes.items():
        if size != count:
            raise DataFormatError(f"{where}: column '{name}' of the atoms has {size} rows, others {count}")

    def text(name: str, other: str = "") -> np.ndarray:
        found = columns.get(name, columns.get(other))
        return np.full(count, b"") if found is None else _bytes(found)

    def number(name: str, default: float, other: str = "") -> np.ndarray:
        found = columns.get(name, columns.get(other))
        return np.full(count, default) if found is None else _numbers(found, default, f"{where}: column '{name}'")

    place = number("label_seq_id", 0.0).astype(np.int64) - 1
    table = AtomTable(
        model=number("pdbx_PDB_model_num", 1.0).astype(np.int64),
        chain=text("auth_asym_id", "label_asym_id"),
        number=number("auth_seq_id", 0.0, "label_seq_id").astype(np.int64),
        insertion=text("pdbx_PDB_ins_code"),
        place=place,
        residue=text("label_comp_id"),
        atom=text("label_atom_id"),
        alternate=text("label_alt_id"),
        occupancy=number("occupancy", 1.0),
        xyz=np.stack([number(f"Cartn_{axis}", np.nan) for axis in "xyz"], -1),
        b_factor=number("B_iso_or_equiv", 0.0),
    )
    # Ligands and water have no place in a sequence; files without that column are told apart by residue names later.
    return table.where(place >= 0) if (place >= 0).any() else table


def header_of(tables: Tables, where: str, name: str) -> Header:
    """What the tables say of the entry; `name` where they give no id."""
    resolutions = [_value(tables, key) for key in ("_refine.ls_d_res_high", "_em_3d_reconstruction.resolution")]
    return Header(
        id=(_value(tables, "_entry.id") or name).lower(),
        resolution=next((float(text) for text in resolutions if _is_number(text)), float("nan")),
        method=_value(tables, "_exptl.method").upper(),
        deposit_date=_value(tables, "_pdbx_database_status.recvd_initial_deposition_date"),
        **_sequences(tables),
    )


def _split_at_white_space(text: str) -> dict[str, list[str]] | None:
    """All wanted tables, the atoms' the short way; None where it does not apply."""
    from Bio.PDB.MMCIF2Dict import MMCIF2Dict

    start = text.find(f"\n{ATOMS}")
    if start < 0 or not text.startswith("data_") or text.rfind("\nloop_", 0, start) < 0:
        return None
    start = text.rfind("\nloop_", 0, start) + 1
    names, end = [], text.find("\n", start) + 1
    while text.startswith(ATOMS, end):
        line_end = text.find("\n", end)
        names.append(text[end : line_end if line_end >= 0 else len(text)].strip())
        end = line_end + 1 if line_end >= 0 else len(text)
    stop = re.compile(r"(?m)^(?:#|_|loop_|data_)").search(text, end)
    body = text[end : stop.start() if stop else len(text)]
    words = body.split()
    if not words or len(words) % len(names) or ";" in body or " ." in body[-2:]:
        return None
    if '"' in body or "'" in body:
        words = [word[1:-1] if word[0] in "\"'" and word[0] == word[-1] and len(word) > 1 else word for word in words]
    rest = _first_block(text[:start] + (text[stop.start() :] if stop else ""))
    first, *blocks = BLOCK.split(rest)
    kept = [block for block in blocks if any(category in block for category in WANTED)]
    found = dict(MMCIF2Dict(StringIO("\n".join([first, *kept]))))
    return found | {name: words[column :: len(names)] for column, name in enumerate(names)}


def _first_block(text: str) -> str:
    second = text.find("\ndata_", 1)
    return text if second < 0 else text[: second + 1]


def _sequences(tables: Tables) -> dict[str, Any]:
    """Full sequences and their numbering by author's chain, of protein chains."""
    scheme = {key: _strings(tables.get(f"_pdbx_poly_seq_scheme.{key}", [])) for key in (
        "asym_id", "entity_id", "mon_id", "pdb_strand_id", "pdb_seq_num", "pdb_ins_code", "seq_id")}  # fmt: skip
    kinds = dict(
        zip(
            _strings(tables.get("_entity_poly.entity_id", [])),
            _strings(tables.get("_entity_poly.type", [])),
            strict=False,
        )
    )
    sequences: dict[str, list[str]] = {}
    numbers: dict[str, tuple[list[int], list[str]]] = {}
    seen: dict[str, set[str]] = {}
    for asym, entity, residue, chain, number, insertion, place in zip(*(
        scheme[key] for key in ("asym_id", "entity_id", "mon_id", "pdb_strand_id", "pdb_seq_num", "pdb_ins_code", "seq_id")
    ), strict=False):  # fmt: skip
        if "polypeptide" not in kinds.get(entity, "polypeptide") or place in seen.setdefault(f"{asym} {chain}", set()):
            continue  # a place that occurs again holds another residue in part of the crystal
        seen[f"{asym} {chain}"].add(place)
        sequences.setdefault(chain, []).append(residue)
        listed = numbers.setdefault(chain, ([], []))
        listed[0].append(int(number) if _is_integer(number) else 0)
        listed[1].append("" if insertion in NOTHING else insertion)
    arrays = {chain: (np.array(n), np.array(i, dtype="<U4")) for chain, (n, i) in numbers.items()}
    return {"sequences": sequences or _entity_sequences(tables, kinds), "numbers": arrays}


def _entity_sequences(tables: Tables, kinds: Mapping[str, str]) -> dict[str, list[str]]:
    """From the sequences of entities, where chains are not listed residue by residue."""
    residues: dict[str, dict[str, str]] = {}
    columns = [_strings(tables.get(f"_entity_poly_seq.{key}", [])) for key in ("entity_id", "num", "mon_id")]
    for entity, place, residue in zip(*columns, strict=False):
        residues.setdefault(entity, {}).setdefault(place, residue)
    strands = zip(kinds, _strings(tables.get("_entity_poly.pdbx_strand_id", [])), strict=False)
    return {
        chain.strip(): list(residues[entity].values())
        for entity, names in strands
        if entity in residues and "polypeptide" in kinds[entity]
        for chain in names.split(",")
    }


def _bytes(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    texts = np.array([str(value) for value in values] if not isinstance(values, list) else values, dtype=str)
    found = np.char.encode(texts, "latin-1", "replace")
    found[np.isin(found, [one.encode() for one in NOTHING])] = b""
    return found


def _numbers(values: Sequence[Any] | np.ndarray, default: float, where: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind in "iuf":
        return array.astype(np.float64)
    unknown = np.isin(array, NOTHING)
    try:
        return np.where(unknown, str(default), array).astype(np.float64)
    except ValueError as error:
        raise DataFormatError(f"{where} is not numeric ({error})") from error


def _strings(values: Sequence[Any] | np.ndarray) -> list[str]:
    return [str(value) for value in values]


def _value(tables: Tables, key: str) -> str:
    found = _strings(tables.get(key, []))
    return "" if not found or found[0] in NOTHING else found[0]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+\.?\d*", text) is not None


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"-?\d{1,9}", text) is not None
