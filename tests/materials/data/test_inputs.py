"""Streams of inputs: each format gives one row for each material in it, in order, whatever is wrong with some."""

from __future__ import annotations

import csv
import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from rdkit import Chem

from common.app.errors import ConfigError, DataFormatError
from materials.data.crystals import Crystals
from materials.data.inputs import Inputs
from materials.data.read import read_crystal
from materials.data.read_molecule import read_molecule

SALT, MAGNESIA, SILICON = bulk("NaCl", "rocksalt", a=5.64), bulk("MgO", "rocksalt", a=4.21), bulk("Si")
CRYSTALS = [SALT, MAGNESIA, SILICON]
SMILES = ["CCO", "C[C@H](N)C(=O)O", "F/C=C/F", "*CC*"]


def rows(path: Path, substance: str = "crystal", **columns: str) -> list:
    return list(Inputs(path, substance, **columns))


def formulas(path: Path, **columns: str) -> list[str]:
    """The formula of each row, or `refused`."""

    def one(source: object) -> str:
        try:
            if isinstance(source, DataFormatError):
                raise source
            return read_crystal(source).get_chemical_formula()
        except DataFormatError as error:
            assert str(error).strip()
            return "refused"

    return [one(source) for _, source in rows(path, **columns)]


def pymatgen_json(atoms: Atoms) -> str:
    sites = [{"species": [{"element": symbol, "occu": 1}], "abc": place.tolist()}
             for symbol, place in zip(atoms.symbols, atoms.get_scaled_positions(), strict=True)]  # fmt: skip
    return json.dumps({"lattice": {"matrix": atoms.cell.array.tolist()}, "sites": sites})


def cif(atoms: Atoms, name: str = "x") -> str:
    cell = zip(("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"), atoms.cell.cellpar(),
               strict=True)  # fmt: skip
    lines = [f"data_{name}", *(f"_cell_{key} {value:.8f}" for key, value in cell)]
    lines += ["loop_", "_atom_site_type_symbol", *(f"_atom_site_fract_{axis}" for axis in "xyz")]
    lines += [f"{s} {x:.8f} {y:.8f} {z:.8f}" for s, (x, y, z) in zip(atoms.symbols, atoms.get_scaled_positions(),
                                                                      strict=True)]  # fmt: skip
    return "\n".join(lines) + "\n"


def store(path: Path, crystals: Crystals) -> None:
    import zarr

    group = zarr.open_group(path, mode="w")
    arrays = {"n_atoms": crystals.n_atoms, "lattice": crystals.lattices, "z": crystals.numbers,
              "frac": crystals.fractional, "id": crystals.ids}  # fmt: skip
    for name, array in arrays.items():
        group.create_array(name, data=array.astype(np.dtypes.StringDType()) if name == "id" else array)


@pytest.fixture
def structure_files(tmp_path: Path) -> Path:
    """Files of three structures each, one a format, and one single structure."""
    import pyarrow
    import pyarrow.parquet

    folder = tmp_path / "structures"
    (folder / "inner").mkdir(parents=True)
    write(folder / "frames.extxyz", CRYSTALS)
    (folder / "frames.xyz.gz").write_bytes(gzip.compress((folder / "frames.extxyz").read_bytes()))
    hidden = "data_paper\n_publ_text\n;\ndata_not_a_block\n;\n"
    (folder / "blocks.cif").write_text(hidden + "".join(map(cif, CRYSTALS, "abc")))
    for number, atoms in enumerate(CRYSTALS):
        (folder / "inner" / f"{number}.cif").write_text(cif(atoms))
    for name, cells in (("text", list(map(cif, CRYSTALS))), ("json", list(map(pymatgen_json, CRYSTALS)))):
        pyarrow.parquet.write_table(pyarrow.table({"structure": cells}), folder / f"{name}.parquet")
    with (folder / "table.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["cif", "y"], *([cif(atoms), "1"] for atoms in CRYSTALS)])
    (folder / "paths.tsv").write_text("file\ty\n" + "".join(f"inner/{n}.cif\t1\n" for n in range(3)))
    store(folder / "packed.zarr", Crystals.from_atoms(CRYSTALS, ["one", "two", "three"]))
    return folder


def test_every_format_of_structures_gives_the_same_three(structure_files: Path) -> None:
    expected = [atoms.get_chemical_formula() for atoms in CRYSTALS]
    several = [path for path in sorted(structure_files.iterdir()) if path.name != "inner"]
    assert len(several) == 8
    for path in several:
        assert formulas(path) == expected, path.name
    assert formulas(structure_files) == expected * (len(several) + 1)


def test_coordinates_survive_every_format(structure_files: Path) -> None:
    for path in structure_files.iterdir():
        for atoms, (_, source) in zip(CRYSTALS, rows(path), strict=True):
            found = read_crystal(source)
            np.testing.assert_allclose(found.get_all_distances(mic=True), atoms.get_all_distances(mic=True), atol=1e-6)
            assert found.cell.volume == pytest.approx(atoms.cell.volume, rel=1e-6)


def test_rows_are_called_as_their_file_calls_them(structure_files: Path, tmp_path: Path) -> None:
    assert [name for name, _ in rows(structure_files / "packed.zarr")] == ["one", "two", "three"]
    assert [name for name, _ in rows(structure_files / "blocks.cif")] == ["a", "b", "c"]
    assert [name for name, _ in rows(structure_files / "frames.extxyz")] == ["1", "2", "3"]
    single = structure_files / "inner" / "0.cif"
    assert rows(single) == [(str(single), str(single))]
    names = [name for name, _ in rows(structure_files)]
    assert len(set(names)) == len(names) and f"{structure_files / 'blocks.cif'}:b" in names
    table = tmp_path / "t.csv"
    table.write_text("Name,SMILES\nethanol,CCO\nethanol,CCC\n,CO\n")
    assert rows(table, "molecule") == [("ethanol", "CCO"), ("ethanol", "CCC"), ("CO", "CO")]
    table.write_text("a,b\nx,CCO\n")
    assert rows(table, "molecule", column="b", id_column="a") == [("x", "CCO")]
    table.write_text("formula\nFe2O3\n")
    assert rows(table, "composition") == [("Fe2O3", "Fe2O3")]


@pytest.mark.parametrize("kind", ["csv", "bom.csv", "tsv", "smi", "sdf", "csv.gz", "sdf.gz", "parquet"])
def test_every_row_of_a_file_of_molecules_has_its_answer(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"file.{kind}"
    bad = ["", "C1CC"]
    blocks = [Chem.MolToMolBlock(Chem.MolFromSmiles(s)) for s in SMILES]
    texts = {
        "csv": "id,SMILES,y\n" + "".join(f'{i},"{s}","a, b\nc"\n' for i, s in enumerate([*SMILES, *bad])),
        "bom.csv": "\ufeffsmiles,y\r\n" + "".join(f"{s},1\r\n" for s in [*SMILES, *bad]),
        "tsv": "PSMILES\ty\n" + "".join(f"{s}\t1\n" for s in [*SMILES, *bad]),
        "smi": "\n".join([*SMILES, "C(", "C1CC  x"]),
        "sdf": "".join(f"{b}$$$$\n" for b in [*blocks, "", "nonsense\n\n\n"]),
    }
    if kind == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"smiles": [*SMILES, None, "C1CC"]}), path)
    else:
        text = texts[kind.removesuffix(".gz")].encode()
        path.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    sources = [source for _, source in rows(path, "molecule")]
    assert len(sources) == 6
    assert [Chem.MolToSmiles(read_molecule(source)) for source in sources[:4]] == [Chem.CanonSmiles(s) for s in SMILES]
    for source in sources[4:]:
        with pytest.raises(DataFormatError):
            read_molecule(source)


def test_a_table_without_its_column_names_file_column_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text in ("smile,value\nC,1\n", "smile,value\n"):
        path.write_text(text)
        with pytest.raises(DataFormatError, match=r"a\.csv has no column 'smiles'.*column=.*'smile'"):
            rows(path, "molecule")
    with pytest.raises(DataFormatError, match=r"no column 'names'.*id_column="):
        rows(path, "molecule", column="smile", id_column="names")
    path.write_text("smiles,value\nC,1\n")
    assert len(rows(tmp_path, "molecule")) == 1
    (tmp_path / "b.csv").write_text("x\n1\n")  # among others, it is one refused row
    assert isinstance(rows(tmp_path, "molecule")[1][1], DataFormatError)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "b.pdf").write_text("x")
    (tmp_path / "c.csv").write_text("")
    (tmp_path / "d.csv").write_bytes("smiles\nC\n".encode("utf-16"))
    (tmp_path / "e.csv.gz").write_bytes(b"no gzip")
    (tmp_path / "f.parquet").write_bytes(b"PAR1no parquet")
    for name, reason in {"b.pdf": "holds no molecules", "c.csv": "no header", "d.csv": "UTF-16", "e.csv.gz": "damaged",
                         "f.parquet": "damaged"}.items():  # fmt: skip
        with pytest.raises(DataFormatError, match=rf"{name}.*{reason}"):
            rows(tmp_path / name, "molecule")
    with pytest.raises(ConfigError, match="no such"):
        rows(tmp_path / "g.smi", "molecule")
    assert len(rows(tmp_path, "molecule")) == 5


def test_a_file_that_is_cut_off_keeps_the_rows_before(tmp_path: Path) -> None:
    path = tmp_path / "c.smi.gz"
    text = "".join(f"{'C' * (1 + i % 40)} {i}\n" for i in range(20_000)).encode()
    path.write_bytes(gzip.compress(text)[:-2000])
    found = rows(path, "molecule")
    assert 10 < len(found) < 20_000 and found[-1][0] == str(path)
    assert "damaged" in str(found[-1][1]) and all(isinstance(source, str) for _, source in found[:-1])


def test_broken_quoting_costs_its_own_row_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('smiles,name\nCC,a\n"CC"C,b\nCO,c,d\nCN,e\n"CC,f\nCCC,g\n')
    sources = [source for _, source in rows(path, "molecule")]
    assert [source for source in sources if isinstance(source, str)] == ["CC", "CN"]
    errors = [str(source) for source in sources if isinstance(source, DataFormatError)]
    assert len(errors) == 3
    assert "line 3" in errors[0] and "line 4 has 3 cells" in errors[1] and "lines 6 to 7" in errors[2]


def test_a_frame_or_block_that_is_no_structure_is_one_refused_row(tmp_path: Path) -> None:
    frames, blocks = tmp_path / "a.extxyz", tmp_path / "a.cif"
    write(frames, CRYSTALS)
    text = frames.read_text()
    frames.write_text(text.replace("Mg ", "Qq ", 1))
    assert formulas(frames) == ["ClNa", "refused", "Si2"]
    frames.write_text(text + '5\nLattice="1 0 0"\nNa 0 0 0\n')
    assert formulas(frames) == ["ClNa", "MgO", "Si2", "refused"]
    frames.write_text(text + "five\n\n")
    assert formulas(frames) == ["ClNa", "MgO", "Si2", "refused"]
    blocks.write_text(cif(SALT) + cif(MAGNESIA).replace("Mg", "Qq") + cif(SILICON))
    assert formulas(blocks) == ["ClNa", "refused", "Si2"]


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    import zarr

    store(tmp_path / "a.zarr", Crystals.from_atoms(CRYSTALS, list("abc")))
    group = zarr.open_group(tmp_path / "a.zarr")
    group.create_array("z", data=np.ones(3, np.uint8), overwrite=True)
    with pytest.raises(DataFormatError, match=r"a\.zarr: n_atoms"):
        rows(tmp_path / "a.zarr")
    del group["z"]
    with pytest.raises(DataFormatError, match="lacks the arrays z"):
        rows(tmp_path / "a.zarr")


def test_folders_hide_nothing_but_hidden_files_and_end_at_a_link_to_themselves(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.cif").write_text("x")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").write_text("x")
    (tmp_path / "gone.cif").symlink_to(tmp_path / "nowhere.cif")
    (tmp_path / ".hidden").write_text("x")
    found = [str(Path(name).relative_to(tmp_path)) for name, _ in rows(tmp_path)]
    assert found == ["a/1.cif", "a/loop", "b", "gone.cif"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    text = "".join(f"CCO molecule-{i}\n" for i in range(1000))

    def peak(copies: int) -> int:
        with gzip.open(tmp_path / "a.smi.gz", "wt") as stream:
            stream.writelines(text for _ in range(copies))
        tracemalloc.start()
        assert sum(1 for _ in Inputs(tmp_path / "a.smi.gz", "molecule")) == 1000 * copies
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(60) < 1.2 * peak(10)


def test_the_share_that_has_been_read_rises_to_one(tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("CCO\n" * 50_000)
    inputs = Inputs(tmp_path / "a.smi", "molecule")
    shares = [inputs.fraction for _ in inputs]
    assert shares == sorted(shares) and 0 < shares[0] < 0.2 and shares[-1] == 1
