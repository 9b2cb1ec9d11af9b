"""R12: whatever is in a file, a reader gives records or the suite's own error, soon and in bounded memory.

Files are made here, real ones from beside the checkout join them where they are. A mutation that gets anything else is
kept under tests/reliability/corpus, and read again by every later run.
"""

from __future__ import annotations

import atexit
import hashlib
import resource
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write as write_ase

from common.app.errors import TrifoldError
from materials.data.read import read_any, read_crystal
from materials.data.read_molecule import read_molecule
from protein.data.alignment import read_alignment
from protein.data.read import read_chains
from protein.data.sequence import clean_sequence, read_fasta
from protein.data.write import write_mmcif, write_pdb
from tests.protein.data.conftest import ideal_chain
from tests.weather.data.conftest import example
from weather.data.fields import Fields
from weather.data.open import open_fields

CORPUS = Path(__file__).with_name("corpus")
LIMIT_S, LIMIT_GB = 5.0, 2.0
REAL = Path(__file__).parents[3] / "shared" / "data" / "protein" / "native_files"
LARGEST = 60_000
"""Bytes of a real file that is mutated; of longer ones the beginning."""

Measured = Callable[[str, str], None]

SDF = """ethanol
  made by hand

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 C   0  0
    1.5000    0.0000    0.0000 C   0  0
    2.1000    1.2000    0.0000 O   0  0
  1  2  1  0
  2  3  1  0
M  END
$$$$
"""
A3M = ">query\nMKTAYAK\n>one\nMK-AYAK\n>two\nMKtaTA-AK\n"
FASTA = ">one first\nMKTAYAKQR\nQISFVK\n>two\nMSILVTRPSPAG*\n"
SMILES = "CC(C)C[C@H](NC(=O)[C@@H](N)CC1=CC=CC=C1)C(=O)O.[Na+]"
PIECES = [b"loop_\n", b"'", b";", b"nan", b"-99999999999", b"\n", b"data_", b"\x00", b"1e308", b"[", b"%99", b"9" * 400]


@cache
def made() -> Path:
    """A folder of whole files."""
    folder = Path(tempfile.mkdtemp(prefix="trifold-seeds-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    salt = bulk("NaCl", "rocksalt", a=5.64)
    for kind, name in (("cif", "crystal.cif"), ("vasp", "POSCAR"), ("extxyz", "frame.extxyz")):
        write_ase(folder / name, salt, format=kind)
    chain = ideal_chain("GAVMKW", has_full_sequence=True)
    write_pdb(folder / "chain.pdb", chain)
    write_mmcif(folder / "chain.cif", chain)
    (folder / "molecule.sdf").write_text(SDF)
    (folder / "alignment.a3m").write_text(A3M)
    (folder / "sequences.fasta").write_text(FASTA)
    (folder / "molecule.smi").write_text(SMILES)
    example(times=3).to_netcdf(folder / "fields.nc")
    example(times=3).to_zarr(folder / "fields.zarr", zarr_format=2)
    return folder


@cache
def seeds(kind: str) -> tuple[bytes, ...]:
    """Contents to mutate. Of a Zarr store: one of its files, after its name and a line end."""
    if kind == "fields.zarr":
        store = made() / kind
        files = sorted(path for path in store.rglob("*") if path.is_file())
        return tuple(path.relative_to(store).as_posix().encode() + b"\n" + path.read_bytes() for path in files)
    real = sorted(REAL.glob(f"*.{kind[6:]}")) if kind.startswith("chain") else []
    more = [b"C" * 10_000, b"[Xx]", b"C1CC"] if kind == "molecule.smi" else []
    return ((made() / kind).read_bytes(), *(path.read_bytes()[:LARGEST] for path in real), *more)


def read_sequences(path: Path) -> None:
    for record in read_fasta(path):
        clean_sequence(record.sequence)


def read_fields(path: Path) -> None:
    Fields.of(open_fields(str(path)), path.name).read(slice(None))


def read_store(path: Path) -> None:
    name, _, content = path.read_bytes().partition(b"\n")
    store = Path(shutil.copytree(made() / "fields.zarr", path.with_name("store.zarr"), dirs_exist_ok=True))
    names = {file.relative_to(store).as_posix().encode() for file in store.rglob("*") if file.is_file()}
    (store / (name if name in names else b".zmetadata").decode()).write_bytes(content)
    read_fields(store)


READERS: dict[str, Callable[[Path], object]] = {
    "crystal.cif": read_crystal, "POSCAR": read_crystal, "frame.extxyz": read_any,
    "molecule.sdf": lambda path: read_molecule(path.read_text(errors="replace").partition("$$$$")[0]),
    "molecule.smi": lambda path: read_molecule(path.read_text(errors="replace").strip()),
    "chain.pdb": read_chains, "chain.cif": read_chains, "alignment.a3m": read_alignment,
    "sequences.fasta": read_sequences, "fields.nc": read_fields, "fields.zarr": read_store,
}  # fmt: skip


def mutated(whole: bytes, random: np.random.Generator) -> bytes:
    """One to five damages: a byte changed, a piece cut out, doubled, put in, or the end cut off."""
    content = bytearray(whole)
    for _ in range(random.integers(1, 6)):
        place = int(random.integers(max(len(content), 1)))
        match int(random.integers(6)):
            case 0 if content:
                content[place] = int(random.integers(256))
            case 1:
                del content[place : place + int(random.integers(1, 60))]
            case 2:
                content[place:place] = content[place : place + 40]
            case 3:
                content[place:place] = PIECES[random.integers(len(PIECES))]
            case 4 if content and random.random() < 0.2:
                del content[place:]
            case _ if content:
                content[place] ^= 1 << int(random.integers(8))
    return bytes(content)


def shortcoming(kind: str, content: bytes, folder: Path) -> str | None:
    """What is wrong with how a content is taken; None where it gives records or a typed error in time."""
    path = folder / kind
    path.write_bytes(content)
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            READERS[kind](path)
    except TrifoldError as error:
        if not str(error):
            return "an error without words"
    except Exception as error:  # what must not be
        return repr(error)[:300]
    seconds = time.process_time() - started
    return f"{seconds:.1f} s" if seconds > LIMIT_S else None


def check(kind: str, count: int, folder: Path, measured: Measured) -> None:
    random = np.random.default_rng(12)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: dict[str, str] = {}
    for number in range(count):
        pool = seeds(kind)
        content = pool[number] if number < len(pool) else mutated(pool[number % len(pool)], random)
        if what := shortcoming(kind, content, folder):
            name = f"{hashlib.sha256(content).hexdigest()[:12]}-{kind}"
            CORPUS.mkdir(exist_ok=True)
            (CORPUS / name).write_bytes(content)
            found[name] = what
    grown_gb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    measured("R12", f"{kind}: {count - len(found)} of {count}")
    assert not found, "\n".join(f"{name}: {what}" for name, what in found.items())
    assert grown_gb < LIMIT_GB


@pytest.mark.parametrize("kind", READERS)
def test_mutated_files_give_records_or_typed_errors(kind: str, tmp_path: Path, measured: Measured) -> None:
    check(kind, 30, tmp_path, measured)


@pytest.mark.full
@pytest.mark.parametrize("kind", READERS)
def test_ten_thousand_mutated_files_in_all(kind: str, tmp_path: Path, measured: Measured) -> None:
    check(kind, 10_000 // len(READERS) + 1, tmp_path, measured)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*")), ids=lambda path: path.name)
def test_what_once_failed_does_no_more(path: Path, tmp_path: Path) -> None:
    assert shortcoming(path.name.partition("-")[2], path.read_bytes(), tmp_path) is None
