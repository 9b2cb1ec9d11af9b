"""mmCIF and BinaryCIF: tables of text or numbers to atoms and header.

Dictionary: Westbrook et al., J. Mol. Biol. 434, 167599 (2022), doi:10.1016/j.jmb.2022.167599. The atom table, most
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
from protein.data.chain import UNNUMBERED

Tables = Mapping[str, Any]
"""Item to its values, a list or an array."""

WANTED = (
    "_entry.", "_exptl.", "_refine.", "_em_3d_reconstruction.", "_pdbx_database_status.", "_entity_poly.",
    "_entity_poly_seq.", "_pdbx_poly_seq_scheme.",
)  # fmt: skip
"""Categories that are read besides the atoms."""

SCHEME = ("pdb_strand_id", "entity_id", "seq_id", "mon_id", "pdb_seq_num", "pdb_ins_code")
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
            raise DataFormatError(
                f"{where}: the table of atoms has no column '{name}'; expected an mmCIF of a structure"
            )
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
    kinds = dict(zip(*(_strings(tables.get(f"_entity_poly.{key}", [])) for key in ("entity_id", "type")), strict=False))
    columns = [_strings(tables.get(f"_pdbx_poly_seq_scheme.{key}", [])) for key in SCHEME]
    residues: dict[str, dict[str, tuple[str, int, str]]] = {}
    for chain, entity, place, residue, number, insertion in zip(*columns, strict=False):
        if "polypeptide" in kinds.get(entity, "polypeptide"):
            known = int(number) if re.fullmatch(r"-?\d{1,9}", number) else UNNUMBERED
            code = "" if insertion in NOTHING else insertion
            # A place that occurs again holds another residue in part of the crystal.
            residues.setdefault(chain, {}).setdefault(place, (residue, known, code))
    listed = {chain: list(zip(*places.values(), strict=True)) for chain, places in residues.items()}
    return {
        "sequences": {chain: list(names) for chain, (names, _, _) in listed.items()}
        or _entity_sequences(tables, kinds),
        "numbers": {chain: (np.array(n), np.array(i, dtype="<U4")) for chain, (_, n, i) in listed.items()},
    }


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
    texts = np.asarray(values).astype(str) if isinstance(values, np.ndarray) else np.array(values, dtype=str)
    try:
        found = texts.astype("S")
    except UnicodeEncodeError:
        found = np.char.encode(texts, "latin-1", "replace")
    return np.where((found == b"?") | (found == b"."), b"", found)


def _numbers(values: Sequence[Any] | np.ndarray, default: float, where: str) -> np.ndarray:
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        return values.astype(np.float64)
    try:
        return np.fromiter(map(float, values), np.float64, len(values))
    except ValueError:
        pass  # some are unknown, or this is not a number at all
    try:
        return np.array([default if value in NOTHING else float(value) for value in values], np.float64)
    except ValueError as error:
        raise DataFormatError(f"{where} is not numeric ({error})") from error


def _strings(values: Sequence[Any] | np.ndarray) -> list[str]:
    return [str(value) for value in values]


def _value(tables: Tables, key: str) -> str:
    found = _strings(tables.get(key, []))
    return "" if not found or found[0] in NOTHING else found[0]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+\.?\d*", text) is not None
