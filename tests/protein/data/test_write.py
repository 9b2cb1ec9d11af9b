"""What is written is read back unchanged, by this package and by others."""

import dataclasses

import numpy as np
import pytest
from Bio.PDB.MMCIFParser import MMCIFParser
from Bio.PDB.PDBParser import PDBParser

from common.app.errors import DataFormatError
from protein.data.chain import Chain
from protein.data.read import read_chains
from protein.data.residues import ATOM37
from protein.data.write import write_mmcif, write_pdb
from tests.protein.data.conftest import ideal_chain

WRITERS = {"pdb": write_pdb, "cif": write_mmcif}


def two_chains() -> list[Chain]:
    """One with a gap, insertion codes and odd numbers, one plain."""
    first = ideal_chain(has_full_sequence=True, resolution=1.75, method="X-RAY DIFFRACTION")
    atoms, b_factor = first.atom37.copy(), first.b_factor.copy()
    atoms[5:8], b_factor[5:8] = np.nan, np.nan
    number = np.arange(-3, 17, dtype=np.int32)
    insertion = first.insertion.copy()
    number[12:15], insertion[13:15] = 9, ["A", "B"]
    return [
        dataclasses.replace(first, atom37=atoms, b_factor=b_factor, number=number, insertion=insertion),
        ideal_chain("GSTMW", name="1abc_B", has_full_sequence=True),
    ]


@pytest.mark.parametrize("kind", WRITERS)
def test_round_trip(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    WRITERS[kind](path, two_chains())
    for ours, expected in zip(read_chains(path), two_chains(), strict=True):
        assert ours.sequence == expected.sequence and ours.id.endswith(expected.id[-2:])
        np.testing.assert_array_equal(ours.atom37, expected.atom37)
        np.testing.assert_array_equal(ours.b_factor, expected.b_factor)
        seen = expected.observed
        assert (ours.number[seen] == expected.number[seen]).all()
        assert (ours.insertion[seen] == expected.insertion[seen]).all()
    if kind == "cif":
        assert read_chains(path)[0].resolution == 1.75


@pytest.mark.parametrize("kind", WRITERS)
def test_real_chains_round_trip(tmp_path, native_files, kind):
    for name in ("1avx.pdb", "5h73.cif"):
        chains = read_chains(native_files / name)
        WRITERS[kind](tmp_path / f"x.{kind}", chains)
        for ours, expected in zip(read_chains(tmp_path / f"x.{kind}"), chains, strict=True):
            assert ours.sequence == expected.sequence
            np.testing.assert_array_equal(ours.atom37, expected.atom37)


@pytest.mark.parametrize("kind", WRITERS)
def test_biopython_reads_the_same(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    WRITERS[kind](path, two_chains())
    parser = PDBParser(QUIET=True, PERMISSIVE=False) if kind == "pdb" else MMCIFParser(QUIET=True)
    found = {
        (chain.id, residue.id[1], residue.id[2].strip(), residue.resname, atom.id): (*atom.coord.tolist(), atom.bfactor)
        for chain in next(iter(parser.get_structure("x", path)))
        for residue in chain
        for atom in residue
    }
    assert found == expected_atoms()


@pytest.mark.parametrize("kind", WRITERS)
def test_gemmi_reads_the_same(tmp_path, kind):
    gemmi = pytest.importorskip("gemmi")
    path = tmp_path / f"x.{kind}"
    WRITERS[kind](path, two_chains())
    structure = gemmi.read_structure(str(path))
    found = {
        (chain.name, residue.seqid.num, residue.seqid.icode.strip(), residue.name, atom.name): (
            *(float(np.float32(value)) for value in atom.pos.tolist()),
            float(np.float32(atom.b_iso)),
        )
        for chain in structure[0]
        for residue in chain
        for atom in residue
    }
    assert found == expected_atoms()
    structure.setup_entities()
    assert [len(entity.full_sequence) for entity in structure.entities if entity.full_sequence] == [20, 5]


@pytest.mark.parametrize("kind", WRITERS)
def test_biotite_reads_the_same(tmp_path, kind):
    pytest.importorskip("biotite")
    from biotite.structure.io import pdb, pdbx

    path = tmp_path / f"x.{kind}"
    WRITERS[kind](path, two_chains())
    more = ["b_factor"]
    if kind == "pdb":
        atoms = pdb.PDBFile.read(path).get_structure(model=1, extra_fields=more)
    else:
        atoms = pdbx.get_structure(pdbx.CIFFile.read(path), model=1, extra_fields=more)
    found = {
        (str(a.chain_id), int(a.res_id), str(a.ins_code), str(a.res_name), str(a.atom_name)): (
            *a.coord.tolist(),
            a.b_factor,
        )
        for a in atoms
    }
    assert found == expected_atoms()


def expected_atoms() -> dict[tuple, tuple]:
    from protein.data.write import NAMES_OF_LETTERS

    return {
        (chain.id[-1], int(chain.number[row]), str(chain.insertion[row]), NAMES_OF_LETTERS[chain.sequence[row]],
         ATOM37[column]): (*chain.atom37[row, column].tolist(), float(chain.b_factor[row, column]))
        for chain in two_chains()
        for row, column in zip(*np.nonzero(chain.mask), strict=True)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "1abc_AB"}, "PDB files hold one"),
        ({"number": np.arange(9990, 10010, dtype=np.int32)}, "residue number 10000"),
        ({"atom37": ideal_chain().atom37 + 20_000}, "coordinates reach"),
        ({"b_factor": ideal_chain().b_factor + 2000}, "B factor of 2030"),
    ],
)
def test_what_has_no_room_in_pdb_files_is_refused_and_fits_into_mmcif(tmp_path, change, reason):
    chain = dataclasses.replace(ideal_chain(), **change)
    with pytest.raises(DataFormatError, match=reason):
        write_pdb(tmp_path / "x.pdb", chain)
    assert not list(tmp_path.iterdir())
    write_mmcif(tmp_path / "x.cif", chain)
    np.testing.assert_allclose(read_chains(tmp_path / "x.cif")[0].atom37, chain.atom37, rtol=1e-6)


def test_thirty_chains_have_names_of_their_own(tmp_path):
    chains = [ideal_chain("GAV", name=f"1abc_{i}x") for i in range(30)]
    write_mmcif(tmp_path / "x.cif", chains)
    assert [chain.id for chain in read_chains(tmp_path / "x.cif")] == [chain.id for chain in chains]
