"""Structure files against Biopython, and the cases that break parsers."""

import gzip
import warnings

import numpy as np
import pytest
from Bio.PDB.MMCIF2Dict import MMCIF2Dict
from Bio.PDB.MMCIFParser import MMCIFParser
from Bio.PDB.PDBParser import PDBParser

from common.app.errors import DataFormatError
from protein.data import mmcif
from protein.data.chain import UNNUMBERED
from protein.data.read import read_chain, read_chains
from protein.data.residues import ATOM37, TYPE_OF_NAME
from protein.data.write import write_mmcif, write_pdb
from tests.protein.data.conftest import ideal_chain

FILES = ("1avx.pdb", "1knt.pdb", "1l2y.pdb", "1ubq.pdb", "5v7p.pdb", "1aki.cif", "3o5r.cif", "3u8v.cif", "4i6p.cif",
         "4zey.cif", "5h73.cif")  # fmt: skip


def atom(number: str, name: str, residue: str, x: float, alternate: str = " ", occupancy: float = 1.0,
         kind: str = "ATOM", chain: str = "A") -> str:  # fmt: skip
    """One line of a PDB file; `number` with insertion code, five columns."""
    return (f"{kind:<6}{1:>5}  {name:<3}{alternate}{residue:>3} {chain}{number}   {x:8.3f}{2:8.3f}{3:8.3f}"
            f"{occupancy:6.2f}{10:6.2f}\n")  # fmt: skip


def residue(number: str, name: str, x: float, **more: object) -> str:
    return "".join(atom(number, one, name, x + i, **more) for i, one in enumerate(("N", "CA", "C", "O")))  # pyright: ignore


def chain_of(tmp_path, text: str):
    path = tmp_path / "case.pdb"
    path.write_text(text)
    return read_chain(path)


@pytest.mark.parametrize("name", FILES)
def test_coordinates_are_biopythons(native_files, name):
    parser = MMCIFParser(QUIET=True) if name.endswith("cif") else PDBParser(QUIET=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = next(iter(parser.get_structure("x", native_files / name)))
    for chain in read_chains(native_files / name):
        theirs = model[chain.id.rpartition("_")[2]]
        residues = {(r.id[1], r.id[2].strip()): r for r in theirs if r.resname in TYPE_OF_NAME}
        compared = 0
        for row in np.flatnonzero(chain.observed):
            key = (int(chain.number[row]), str(chain.insertion[row]))
            if key not in residues or residues[key].is_disordered():
                continue
            expected = {a.id: a.coord for a in residues[key] if a.id in ATOM37}
            found = {ATOM37[column]: chain.atom37[row, column] for column in np.flatnonzero(chain.mask[row])}
            assert expected.keys() == found.keys()
            for one in expected:
                np.testing.assert_array_equal(found[one], expected[one])
            compared += 1
        assert compared > 0.8 * chain.observed.sum()


def test_the_short_way_through_mmcif_is_biopythons(native_files):
    for name in ("1aki.cif", "3u8v.cif"):
        text = (native_files / name).read_text()
        short = mmcif._split_at_white_space(text)
        full = MMCIF2Dict(native_files / name)
        assert short is not None
        for key in full:
            if key.startswith((mmcif.ATOMS, *mmcif.WANTED)):
                assert short[key] == full[key], key


def test_what_headers_say(native_files):
    chain = read_chains(native_files / "1avx.pdb")[1]
    assert (chain.resolution, chain.method, chain.deposit_date) == (1.9, "X-RAY DIFFRACTION", "1997-09-21")
    assert len(chain) == 177 and chain.observed.sum() == 172 and chain.has_full_sequence
    chain = read_chain(native_files / "5h73.cif")
    assert (chain.resolution, len(chain), int(chain.observed.sum())) == (1.58, 390, 363)
    assert (chain.number != UNNUMBERED).all()  # mmCIF numbers what is not seen, too


def test_models_are_told_apart(native_files):
    first, last = (read_chain(native_files / "1l2y.cif", model=number) for number in (None, 38))
    assert np.abs(first.atom37 - last.atom37)[first.mask].max() > 0.5
    np.testing.assert_array_equal(first.atom37, read_chain(native_files / "1l2y.pdb").atom37)
    with pytest.raises(DataFormatError, match="no model 39; it has 1 to 38"):
        read_chain(native_files / "1l2y.cif", model=39)


def test_dna_is_no_protein(native_files):
    with pytest.raises(DataFormatError, match="no protein chain"):
        read_chains(native_files / "3p4j.pdb")


def test_alternate_locations_are_taken_by_residue(tmp_path):
    text = (
        residue("   1 ", "ALA", 0) + atom("   1 ", "CB", "ALA", 5, "A", 0.4) + atom("   1 ", "CB", "ALA", 6, "B", 0.6)
    )
    text += residue("   2 ", "SER", 9, alternate="A", occupancy=0.5) + residue("   2 ", "THR", 19, alternate="B",
                                                                               occupancy=0.5)  # fmt: skip
    chain = chain_of(tmp_path, text)
    assert chain.sequence == "AS"  # the first of equals, with its name
    assert chain.atom37[0, ATOM37.index("CB"), 0] == 6 and chain.atom37[1, 1, 0] == 10


def test_insertion_codes_and_negative_numbers_stay(tmp_path):
    text = "".join(
        residue(number, "GLY", 4 * i) for i, number in enumerate(("  -1 ", "  52 ", "  52A", "  52B", "  53 "))
    )
    chain = chain_of(tmp_path, text)
    assert chain.number.tolist() == [-1, 52, 52, 52, 53]
    assert chain.insertion.tolist() == ["", "", "A", "B", ""]
    assert chain_of(tmp_path, residue(" 52A ", "GLY", 0)).insertion.tolist() == ["A"]  # a column too early


def test_modified_residues_become_their_parents_and_ligands_go(tmp_path):
    text = residue("   1 ", "MSE", 0, kind="HETATM") + atom("   1 ", "SE", "MSE", 9, kind="HETATM")
    text += residue("   2 ", "SEP", 4, kind="HETATM") + residue("   3 ", "UNK", 8) + residue("   4 ", "GLY", 12)
    text += atom(" 101 ", "O", "HOH", 50, kind="HETATM") + atom(" 102 ", "CA", "CA", 60, kind="HETATM")
    chain = chain_of(tmp_path, text)
    assert chain.sequence == "MSXG"
    assert chain.atom37[0, ATOM37.index("SD"), 0] == 9 and chain.mask[1].sum() == 4


def test_missing_residues_are_placed_by_number_and_by_sequence(tmp_path):
    seqres = "SEQRES   1 A    8  GLY ALA ALA ALA ALA ALA SER GLY\n"
    seen = {"  11 ": "GLY", "  12 ": "ALA", "  15 ": "ALA", "  16 ": "ALA", "  17 ": "SER"}
    text = seqres + "".join(residue(number, name, 4 * i) for i, (number, name) in enumerate(seen.items()))
    chain = chain_of(tmp_path, text)
    assert chain.sequence == "GAAAAASG" and np.flatnonzero(chain.observed).tolist() == [0, 1, 4, 5, 6]
    assert chain.number.tolist() == [11, 12, UNNUMBERED, UNNUMBERED, 15, 16, 17, UNNUMBERED]
    renumbered = text.replace("  17 ", " 900 ")  # numbers no longer say how many are missing
    chain = chain_of(tmp_path, renumbered)
    assert chain.sequence == "GAAAAASG" and chain.observed.sum() == 5 and chain.observed[6]


def test_a_sequence_that_does_not_fit_is_not_believed(tmp_path):
    text = "SEQRES   1 A    4  TRP TRP TRP TRP\n" + residue("   1 ", "GLY", 0) + residue("   2 ", "ALA", 4)
    chain = chain_of(tmp_path, text)
    assert chain.sequence == "GA" and not chain.has_full_sequence


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "lists no atoms"),
        ("hello world\n", "lists no atoms"),
        (residue("   1 ", "GLY", 0) + residue("   1 ", "GLY", 9), "atom N of residue A 1 occurs twice"),
        (residue("   1 ", "GLY", 0).replace("   1.000", "     abc"), "line 2: columns 31-38 hold 'abc'"),
        (residue("   1 ", "GLY", 0).replace("   1.000", "     nan"), "expected finite numbers"),
        (residue("   x ", "GLY", 0), "columns 23-27 hold 'x'"),
        ("data_\n_atom_site.x 1\n", "no column 'label_atom_id'"),
        ("data_x\nloop_\n_atom_site.id\n1\n", "no column 'label_atom_id'"),
        ("data_x\n;never ends\n", "is not mmCIF"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path, text, reason):
    path = tmp_path / "bad.pdb"
    path.write_text(text)
    with pytest.raises(DataFormatError, match=reason) as error:
        read_chains(path)
    assert "bad.pdb" in str(error.value)


def test_absent_binary_and_compressed_files(tmp_path):
    write_mmcif(tmp_path / "a.cif", ideal_chain())
    (tmp_path / "a.cif.gz").write_bytes(gzip.compress((tmp_path / "a.cif").read_bytes()))
    np.testing.assert_array_equal(read_chain(tmp_path / "a.cif.gz").atom37, ideal_chain().atom37)
    (tmp_path / "b.pdb").write_bytes(b"\x00\xff")
    for name in ("absent.pdb", "b.pdb"):
        with pytest.raises(DataFormatError, match="not readable"):
            read_chains(tmp_path / name)


@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_damaged_files_give_chains_or_a_reason(tmp_path, kind):
    path = tmp_path / f"whole.{kind}"
    (write_pdb if kind == "pdb" else write_mmcif)(path, ideal_chain("GAVM", has_full_sequence=True))
    whole, random = path.read_bytes(), np.random.default_rng(0)
    read = refused = 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            place = int(random.integers(len(content)))
            action = random.integers(4)
            if action == 0:
                content[place] = int(random.integers(256))
            elif action == 1:
                del content[place : place + int(random.integers(1, 60))]
            elif action == 2:
                content[place:place] = content[place : place + 40]
            else:
                content[place:place] = [b"loop_\n", b"'", b";", b"nan", b"-99999999999", b"\n", b"data_"][
                    random.integers(7)
                ]
        path.write_bytes(bytes(content))
        try:
            read += len(read_chains(path)) > 0
        except DataFormatError as error:
            refused += 1
            assert "whole" in str(error)
    assert read > 20 and refused > 5


def test_binary_cif_is_mmcif(tmp_path, native_files):
    pytest.importorskip("msgpack", reason="BinaryCIF needs msgpack")
    pdbx = pytest.importorskip("biotite.structure.io.pdbx", reason="biotite writes the file to read")
    wanted = ("atom_site", "pdbx_poly_seq_scheme", "entity_poly", "refine", "exptl", "entry")

    def column(found):
        mask = None if found.mask is None else pdbx.BinaryCIFData(found.mask.array)
        return pdbx.BinaryCIFColumn(pdbx.BinaryCIFData(found.as_array()), mask)

    def category(found):
        return pdbx.BinaryCIFCategory({name: column(one) for name, one in found.items()})

    for name in ("1aki.cif", "3u8v.cif"):
        block = pdbx.CIFFile.read(native_files / name).block
        tables = pdbx.BinaryCIFBlock({key: category(found) for key, found in block.items() if key in wanted})
        pdbx.compress(pdbx.BinaryCIFFile({"x": tables})).write(tmp_path / "x.bcif")
        for ours, expected in zip(read_chains(tmp_path / "x.bcif"), read_chains(native_files / name), strict=True):
            assert (ours.id, ours.sequence, ours.resolution) == (expected.id, expected.sequence, expected.resolution)
            np.testing.assert_allclose(ours.atom37, expected.atom37, atol=1e-3)
            assert (ours.number == expected.number).all() and (ours.insertion == expected.insertion).all()
