"""Structure files of any of the field's formats to chains."""

from __future__ import annotations

from pathlib import Path

from common.app.errors import DataFormatError
from protein.data import binary_cif, mmcif, pdb
from protein.data.atom_table import chains_of
from protein.data.chain import Chain
from protein.data.text import read_bytes, read_text

SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif", ".bcif")
COMPRESSED = (".gz", ".bz2", ".xz")


def read_chains(path: str | Path, model: int | None = None) -> list[Chain]:
    """The protein chains of a PDB, mmCIF or BinaryCIF file, plain or compressed, in the order of the file.

    model  number of the model as the file counts (default: the first)

    mmCIF is known by its first word, BinaryCIF by its name. Raises DataFormatError naming the file, what was found and
    where.
    """
    path = Path(path)
    name, kind = stem_and_suffix(path)
    where = str(path)
    if kind == ".bcif":
        tables = binary_cif.tables_of(read_bytes(path), where)
        return chains_of(mmcif.atoms_of(tables, where), mmcif.header_of(tables, where, name), where, model)
    text = read_text(path)
    if text.lstrip().startswith("data_"):
        tables = mmcif.tables_of(text.lstrip().replace("\r\n", "\n"), where)
        return chains_of(mmcif.atoms_of(tables, where), mmcif.header_of(tables, where, name), where, model)
    return chains_of(pdb.atoms_of(text, where), pdb.header_of(text, name), where, model)


def read_chain(path: str | Path, chain: str | None = None, model: int | None = None) -> Chain:
    """One chain by the author's name; without a name the only one. Raises DataFormatError where there is no such."""
    chains = read_chains(path, model)
    names = [one.id.rpartition("_")[2] for one in chains]
    if chain is None and len(chains) == 1:
        return chains[0]
    if chain not in names:
        found = f"no chain '{chain}'" if chain else f"{len(chains)} chains"
        raise DataFormatError(f"{path} has {found}; it has {', '.join(names)}. Name one of them")
    return chains[names.index(chain)]


def stem_and_suffix(path: Path) -> tuple[str, str]:
    """Name without endings, and the ending of the format in lower case: ("1ubq", ".cif") of 1ubq.cif.gz."""
    name = path.name
    if path.suffix.lower() in COMPRESSED:
        name = path.stem
    inner = Path(name)
    return inner.stem, inner.suffix.lower()
