"""The public originals of MP-2018.6.1 become the packed files, over http and from any part of the way."""

import csv
import dataclasses
import functools
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from common.app.errors import ConfigError, DataFormatError, DownloadError
from common.data.datasets import Dataset, Source, fetch, verify
from materials.data import mp2018
from materials.data.crystals import Crystals
from materials.data.datasets import DATASETS, MP2018

SHARED = Path(__file__).parents[2].parent / "shared" / "data"

CRYSTALS: dict[str, Atoms] = {
    "mp-22862": bulk("NaCl", "rocksalt", a=5.69),
    "mp-149": bulk("Si", "diamond", a=5.43),
    "mp-2534": bulk("GaAs", "zincblende", a=5.75),
    "mp-153": bulk("Mg", "hcp", a=3.19, c=5.19),
    "mvc-1": Atoms("TiO2", scaled_positions=[(0.1, 0.2, 0.3), (-1e-10, 0.5, 0.75), (1.25, 0.999, 0.6)],
                   cell=[3.1, 4.2, 5.3, 81.0, 95.0, 107.0], pbc=True),
}  # fmt: skip
SPLIT = {"train": ["mp-22862", "mp-99999", "mvc-1", "mp-149"], "val": ["mp-2534"], "test": ["mp-153", "mp-88888"]}
"""Two of them have no structure."""

E_FORM = {name: -0.1 * i for i, name in enumerate(i for part in SPLIT.values() for i in part)}
BAND_GAP = {name: 0.5 * i for i, name in enumerate(E_FORM)}
TABLE = {
    "mp-22862": ("0.0", "1e-07", "24.0", "14.0"),
    "mvc-1": ("0.25", "-0.002", "", ""),
    "mp-153": ("0", "0", "36", "-1"),
}


def zipped(name: str, values: dict[str, float]) -> bytes:
    content = {split: {key: repr(values[key]) for key in keys} for split, keys in SPLIT.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, json.dumps(content))
    return buffer.getvalue()


def table() -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["material_id", "mpid", "pretty_formula", "e_above_hull", "band_gap", "total_magnetization",
                     "elasticity.elastic_anisotropy", "elasticity.K_VRH", "elasticity.G_VRH"])  # fmt: skip
    for name, (hull, moment, bulk_modulus, shear) in TABLE.items():
        writer.writerow([name, "", "X", hull, "0.0", moment, "", bulk_modulus, shear])
    return text.getvalue().encode()


def cif(atoms: Atoms) -> bytes:
    buffer = io.BytesIO()
    ase.io.write(buffer, atoms, format="cif")
    return buffer.getvalue()


def tarball() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in [
            ("README.md", b"about"),
            ("topo_data.json", b"{}"),
            *((f"cif/{name}.cif", cif(atoms)) for name, atoms in CRYSTALS.items()),
            ("cif/mp-777.cif", b"not asked for"),
            ("cif_chemenv/mp-149.cif", b"another folder"),
        ]:
            entry = tarfile.TarInfo(f"topology_databases-41163fc/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


ORIGINALS = {
    "megnet_e_form.json.zip": zipped("megnet_e_form.json", E_FORM),
    "megnet_gappbe.json.zip": zipped("megnet_gappbe.json", BAND_GAP),
    "mp_nostruct.csv": table(),
    "topology_databases.tar.gz": tarball(),
}


@pytest.fixture
def originals(tmp_path: Path) -> dict[str, Path]:
    for name, content in ORIGINALS.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in ORIGINALS}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that holds the originals under the paths of their public addresses."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for file in MP2018.sources[0].files:
        path = tmp_path / "host" / urlsplit(file.url or "").path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ORIGINALS[Path(file.name).name])
    handler = functools.partial(Quiet, directory=str(tmp_path / "host"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


def small_mp2018() -> Dataset:
    """The registered data set, with the hashes of this file's originals."""
    (source,) = MP2018.sources
    files = [
        dataclasses.replace(file, bytes=len(content), sha256=file.sha256 and hashlib.sha256(content).hexdigest())
        for file in source.files
        for content in [ORIGINALS[Path(file.name).name]]
    ]
    return dataclasses.replace(MP2018, sources=(Source(tuple(files), source.converter),))


def check(folder: Path) -> None:
    expected = {"train": ["mp-22862", "mvc-1", "mp-149"], "val": ["mp-2534"], "test": ["mp-153"]}
    for split, ids in expected.items():
        crystals = Crystals.from_npz(folder / f"mp2018_{split}.npz")
        assert crystals.ids.tolist() == ids
        np.testing.assert_allclose(crystals.targets["e_form"], [E_FORM[i] for i in ids], rtol=1e-6)
        np.testing.assert_allclose(crystals.targets["band_gap"], [BAND_GAP[i] for i in ids], rtol=1e-6)
        for column, name in enumerate(["e_above_hull", "total_magnetization", "k_vrh", "g_vrh"]):
            values = [float(TABLE[i][column] or "nan") if i in TABLE else np.nan for i in ids]
            np.testing.assert_allclose(crystals.targets[name], values, rtol=1e-6)
        for index, name in enumerate(ids):
            found, true = crystals.atoms(index), CRYSTALS[name]
            assert found.numbers.tolist() == true.numbers.tolist()
            np.testing.assert_allclose(found.cell.cellpar(), true.cell.cellpar(), atol=1e-4)
            step = found.get_scaled_positions() - true.get_scaled_positions()
            np.testing.assert_allclose(step - np.rint(step), 0, atol=1e-6)


def test_originals_to_packed_files(originals: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    mp2018.convert(originals, tmp_path / "out")
    check(tmp_path / "out")


def test_fetch_over_http_converts_and_then_works_offline(host: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("TRIFOLD_DATA", raising=False)
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRIFOLD_MIRROR", host)
    dataset = small_mp2018()
    fetch(dataset)
    check(tmp_path / "cache" / "materials")
    assert set(verify(dataset).values()) == {"converted"}
    monkeypatch.delenv("TRIFOLD_MIRROR")
    monkeypatch.setattr(mp2018, "MP2018", dataset)
    assert mp2018.load("test", offline=True).ids.tolist() == ["mp-153"]


def test_a_changed_original_is_refused(host: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("TRIFOLD_DATA", raising=False)
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRIFOLD_MIRROR", host)
    monkeypatch.setattr("common.data.download.WAITS_S", ())
    with pytest.raises(DownloadError, match=r"megnet_e_form\.json\.zip sen"):
        fetch(MP2018)  # with the true registered hashes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("megnet_e_form.json.zip", ORIGINALS["mp_nostruct.csv"]),
        ("megnet_gappbe.json.zip", ORIGINALS["megnet_gappbe.json.zip"][:-30]),
        ("mp_nostruct.csv", b"id,energy\nmp-1,0\n"),
        ("mp_nostruct.csv", ORIGINALS["mp_nostruct.csv"].replace(b"1e-07", b"many")),
        ("topology_databases.tar.gz", ORIGINALS["topology_databases.tar.gz"][:-20]),
        ("topology_databases.tar.gz", ORIGINALS["megnet_e_form.json.zip"]),
    ],
)
def test_the_error_names_the_original_at_fault(
    originals: dict[str, Path], tmp_path: Path, name: str, content: bytes
) -> None:
    originals[name].write_bytes(content)
    with pytest.raises(DataFormatError, match=name.replace(".", r"\.")):
        mp2018.convert(originals, tmp_path)


@pytest.mark.parametrize("name", CRYSTALS)
def test_structures_are_those_that_ase_reads(name: str) -> None:
    text = cif(CRYSTALS[name])
    numbers, fractional, lattice = mp2018.read_primitive_cif(text.decode())
    reference = ase.io.read(io.BytesIO(text), format="cif")
    assert isinstance(reference, Atoms)
    mine = Atoms(numbers, cell=lattice, scaled_positions=fractional, pbc=True)
    assert lattice[0, 1] == 0 and (lattice[2, :2] == 0).all() and np.linalg.det(lattice) > 0
    np.testing.assert_allclose(mine.cell.cellpar(), reference.cell.cellpar(), atol=1e-9)
    np.testing.assert_allclose(mine.get_all_distances(mic=True), reference.get_all_distances(mic=True), atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new"),
    [("1.0000\n", "0.5000\n"), ("'x, y, z'", "'x, y, z'\n  '-x, -y, -z'"), ("_cell_length_a", "_cell_length_q"),
     (" Si ", " Qq "), ("0.25", "a quarter")],
)  # fmt: skip
def test_what_the_converter_does_not_understand_it_refuses(old: str, new: str) -> None:
    text = cif(CRYSTALS["mp-149"]).decode()
    assert old in text
    with pytest.raises(DataFormatError):
        mp2018.read_primitive_cif(text.replace(old, new))


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no split 'vall'\. Did you mean 'val'"):
        mp2018.load("vall")


def test_the_registry_is_complete() -> None:
    for dataset in DATASETS.values():
        assert dataset.title and dataset.description and dataset.licence and dataset.citation
        for file in [*dataset.files, *(file for source in dataset.sources for file in source.files)]:
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32


# The structure of mp-1001024 in the Materials Project (CC-BY-4.0), first atoms only in the text below.
MP_1001024_CELL = """data_Y2MgS4
_symmetry_space_group_name_H-M   'P 1'
_cell_length_a   7.87829182
_cell_length_b   7.87832789
_cell_length_c   7.87833430
_cell_angle_alpha   59.99921392
_cell_angle_beta   59.99966833
_cell_angle_gamma   59.99974950
loop_
 _symmetry_equiv_pos_site_id
 _symmetry_equiv_pos_as_xyz
  1  'x, y, z'
loop_
 _atom_site_type_symbol
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
  Y  0.62500001  0.12499997  0.62500001  1
loop_
_geom_bond_atom_site_label_1
_geom_bond_distance
Mg0 2.499488
"""


@pytest.mark.skipif(
    not (SHARED / "materials/mp2018_val.npz").exists(), reason="the packed files are not beside the checkout"
)
def test_the_packed_files_are_as_registered_and_in_this_frame(monkeypatch) -> None:
    monkeypatch.setenv("TRIFOLD_DATA", str(SHARED))
    assert verify(MP2018)["materials/mp2018_train.npz"] == "registered"
    crystals = mp2018.load("val", offline=True)
    assert (len(crystals), len(crystals.numbers)) == (3653, 104_214)
    numbers, fractional, lattice = mp2018.read_primitive_cif(MP_1001024_CELL)
    assert crystals.ids[0] == "mp-1001024" and crystals.numbers[0] == numbers[0] == 39
    np.testing.assert_array_equal(crystals.lattices[0], lattice.astype(np.float32))
    np.testing.assert_array_equal(crystals.fractional[0], fractional[0].astype(np.float32))
