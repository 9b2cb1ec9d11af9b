import random
import string
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import iread, write
from ase.spacegroup import Spacegroup, crystal

from common.app.errors import DataFormatError
from materials.data.cif import parse_blocks, parse_operation
from materials.data.read import read_crystal

SALT = """data_salt
_cell_length_a 5.640(2)
_cell_length_b 5.640
_cell_length_c 5.640
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90.0(1)
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na1+ 0 0 0 1.0
Cl1 Cl1- 0.5 0.5 0.5 1.0
"""


def written(tmp_path, text, name="salt.cif"):
    path = tmp_path / name
    path.write_text(text)
    return path


def spectrum(atoms):
    """All distances of the 2x2x2 supercell: equal for equal crystals, however described."""
    distances = atoms.repeat(2).get_all_distances(mic=True)
    return np.sort(distances.ravel())


def refused(source, reason):
    with pytest.raises(DataFormatError, match=reason) as caught:
        read_crystal(source)
    return str(caught.value)


def test_rock_salt_from_a_cif(tmp_path):
    atoms = read_crystal(written(tmp_path, SALT))
    assert atoms.get_chemical_formula() == "Cl4Na4" and atoms.pbc.all()
    np.testing.assert_allclose(spectrum(atoms), spectrum(bulk("NaCl", "rocksalt", a=5.64, cubic=True)), atol=1e-9)


@pytest.mark.parametrize("group", [1, 2, 14, 36, 62, 88, 136, 148, 166, 167, 186, 194, 198, 216, 221, 225])
def test_symmetry_images_agree_with_ase(tmp_path, group):
    cell = {
        148: (9, 9, 20, 90, 90, 120),
        1: (5, 6, 7, 80, 95, 105),
        2: (5, 6, 7, 80, 95, 105),
        14: (7, 6, 8, 90, 104, 90),
    }
    hexagonal = cell[148] if 148 <= group <= 194 else (11, 11, 11, 90, 90, 90)
    a, b, c, *angles = cell.get(group, hexagonal)
    sites = [(0.07, 0.21, 0.36), (0.41, 0.13, 0.29), (0, 0, 0)]
    made = crystal(["Na", "Cl", "Fe"], sites, spacegroup=group, cellpar=[2 * a, 2 * b, 2 * c, *angles])
    symmetric, listed = tmp_path / "symmetric.cif", tmp_path / "listed.cif"
    rows = "\n".join(f"{name} {x} {y} {z}" for name, (x, y, z) in zip(("Na1", "Cl", "Fe"), sites, strict=True))
    tags = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    head = "\n".join(f"_cell_{tag} {value}" for tag, value in zip(tags, made.cell.cellpar(), strict=True))
    loop = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z"
    symmetric.write_text(f"data_a\n{head}\n_space_group_IT_number {group}\n{loop}\n{rows}\n")
    operations = "\n".join(f"'{xyz(*operation)}'" for operation in Spacegroup(group).get_symop())
    symops = f"loop_\n_space_group_symop_operation_xyz\n{operations}"
    listed.write_text(f"data_a\n{head}\n{symops}\n{loop}\n{rows}\n")
    expected = made.get_all_distances(mic=True)
    for path in (symmetric, listed):
        atoms = read_crystal(path)
        assert atoms.get_chemical_formula() == made.get_chemical_formula()
        np.testing.assert_allclose(
            np.sort(atoms.get_all_distances(mic=True).ravel()), np.sort(expected.ravel()), atol=1e-6
        )


def xyz(rotation, translation):
    rows = []
    for row, shift in zip(rotation, translation, strict=True):
        terms = "".join(f"{'+' if n > 0 else '-'}{axis}" for n, axis in zip(row, "xyz", strict=True) if n)
        rows.append(terms + (f"+{round(shift * 24)}/24" if shift else ""))
    return ", ".join(rows)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("POSCAR", "vasp"),
        ("a.vasp", "vasp"),
        ("a.extxyz", "extxyz"),
        ("a.xyz", "extxyz"),
        ("a.xsf", "xsf"),
        ("a.json", "json"),
        ("a.traj", "traj"),
        ("a.cif", "cif"),
    ],
)
def test_formats(tmp_path, name, format):
    made = bulk("ZnO", "wurtzite", a=3.25, c=5.2)
    write(tmp_path / name, made, format=format)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms = read_crystal(str(tmp_path / name))
    assert atoms.get_chemical_formula() == "O2Zn2"
    np.testing.assert_allclose(spectrum(atoms), spectrum(made), atol=1e-4)


def test_real_cif_oddities(tmp_path):
    text = SALT.replace("_symmetry", "_journal_title\n;\nA dog's life; loop_\n;\n_note 'it's' # 'x'\n_symmetry")
    text = text.replace("Na1 Na1+", "Na1' NA1+").replace("_atom_site_fract", "_atom_site.fract").replace("\n", "\r\n")
    assert len(read_crystal(written(tmp_path, text))) == 8
    assert len(read_crystal(written(tmp_path, SALT.replace(" 1.0\nCl1", " ?\nCl1")))) == 8
    heavy = SALT.replace("Na1 Na1+", "D1 D").replace("Cl1 Cl1-", "F1 F")
    assert set(read_crystal(written(tmp_path, heavy)).symbols) == {"H", "F"}


def test_sites_on_special_positions_with_few_digits_are_one_atom(tmp_path):
    text = SALT.replace("F m -3 m", "P 63/m m c").replace("gamma 90.0(1)", "gamma 120")
    text = text[: text.index("Na1 ")] + "Mg1 Mg 0.333 0.667 0.25 1\n"
    assert len(read_crystal(written(tmp_path, text))) == 2


def test_symmetry_images_listed_as_sites_are_one_atom(tmp_path):
    assert len(read_crystal(written(tmp_path, SALT + "Na2 Na 0.5 0.5 0 1\n"))) == 8


def test_operations_are_parsed():
    rotation, translation = parse_operation(" -X+1/2, x-y , Z + .25")
    np.testing.assert_array_equal(rotation, [[-1, 0, 0], [1, -1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(translation, [0.5, 0, 0.25])
    for text in ("x,y", "x,x,z", "x,y,z,z", "x,y,w", "x,,z", "x,y,z+1/0", "2x,y,z", "x--y,y,z"):
        with pytest.raises(DataFormatError, match="symmetry operation"):
            parse_operation(text)


def test_blocks_hold_text_by_tag():
    (block,) = parse_blocks("data_x\n_A \"b c\"\nloop_\n_q\n_r\n1 '2 3'\n;4\n5\n;\n6\n#end")
    assert block == {"_a": ["b c"], "_q": ["1", "4\n5"], "_r": ["2 3", "6"]}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("0.5 0.5 0.5 1.0", "0.5 0.5 0.5 0.9", "site 2 has occupancy 0.9: a partly occupied"),
        ("0.5 0.5 0.5 1.0", "0.5 0.5 0.5 nan", "partly occupied"),
        ("Cl1 Cl1- 0.5 0.5 0.5 1.0", "K1 K 0 0 0 1.0", "0 Å apart"),
        ("Cl1 Cl1- 0.5 0.5 0.5", "Cl1 Cl1- 0.5 0.5 ?", "expected a number"),
        ("Cl1 Cl1- 0.5 0.5 0.5", "Cl1 Cl1- 0.5 0.5 nan", "finite"),
        ("Cl1 Cl1- 0.5 0.5 0.5", "Cl1 Cl1- 0.5 0.5 1e300", "finite"),
        ("Cl1 Cl1-", "Q1 Q", "names no element"),
        ("Cl1 Cl1-", "X1 X", "names no element"),
        ("_cell_length_a 5.640(2)", "", "_cell_length_a is missing"),
        ("_cell_length_a 5.640(2)", "_cell_length_a 0", "lengths above 0"),
        ("_cell_length_a 5.640(2)", "_cell_length_a -5", "lengths above 0"),
        ("_cell_length_a 5.640(2)", "_cell_length_a 1e9", "expected 1 to 100000 Å.3 an atom"),
        ("_cell_length_a 5.640(2)", "_cell_length_a inf", "not finite"),
        ("_cell_angle_alpha 90", "_cell_angle_alpha 10", "salt.cif"),
        ("'F m -3 m'", "'F m -3 q'", "space group"),
        ("'F m -3 m'", "'F m -3 m", "not closed"),
        ("Cl1 Cl1- 0.5 0.5 0.5 1.0", "Cl1 Cl1- 0.5 0.5", "loop of 6 columns"),
        ("data_salt", "", "before the first 'data_'"),
    ],
)
def test_bad_cifs_are_refused_by_name_and_reason(tmp_path, old, new, reason):
    assert old in SALT
    path = written(tmp_path, SALT.replace(old, new))
    assert str(path) in refused(path, reason)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.cif", "", "has 0 bytes"),
        ("header.cif", "data_x\n", "holds 0 structures"),
        ("two.cif", SALT + SALT.replace("data_salt", "data_more"), "holds 2 structures"),
        ("text.cif", "This is no structure.", "before the first 'data_'"),
        ("molecule.xyz", "2\n\nH 0 0 0\nH 0 0 0.74\n", "no three-dimensional cell"),
        ("short.xyz", '3\nLattice="4 0 0 0 4 0 0 0 4"\nH 0 0 0\n', "not readable"),
        ("wide.xyz", '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:999999999\nH 0 0 0\n', "announces"),
        ("slab.xyz", '1\nLattice="4 0 0 0 4 0 0 0 4" pbc="T T F"\nCu 0 0 0\n', "periodic along"),
        ("POSCAR", "x\n1.0\n4 0 0\n0 4 0\n0 0 4\nNa\n999999999999\nDirect\n0 0 0\n", "announces"),
        ("flat.vasp", "x\n1.0\n4 0 0\n0 4 0\n4 4 0\nNa\n1\nDirect\n0 0 0\n", "0 Å.3 for 1 atoms"),
        ("thin.vasp", "x\n1.0\n90 0 0\n0 90 0\n0 0 0.3\nNa\n1\nDirect\n0 0 0\n", "reduce the cell"),
        ("none.vasp", "x\n1.0\n4 0 0\n0 4 0\n0 0 4\nNa\n0\nDirect\n", "has 0 atoms"),
        ("salt.cif.gz", "anything", "compressed"),
        ("salt.docx", "anything", "not readable"),
    ],
)
def test_bad_files_are_refused_by_name_and_reason(tmp_path, name, content, reason):
    assert name in refused(written(tmp_path, content, name), reason)


def test_paths_that_are_no_files_are_refused(tmp_path):
    for source in (tmp_path, tmp_path / "absent.cif", "-", "postgresql://host/base", "", "file.json@1"):
        refused(source, "there is no such file")


@pytest.mark.parametrize("seed", range(4))
def test_mutated_cifs_are_read_or_refused(tmp_path, seed):
    dice = random.Random(seed)
    made = crystal(
        ["Na", "Cl"], [(0.07, 0.21, 0.36), (0.41, 0.13, 0.29)], spacegroup=14, cellpar=[7, 6, 8, 90, 104, 90]
    )
    write(tmp_path / "made.cif", made)
    originals = [SALT, (tmp_path / "made.cif").read_text()]
    path, outcomes = tmp_path / "mutated.cif", set()
    for _ in range(60):
        text = list(dice.choice(originals))
        for _ in range(dice.randint(1, 6)):
            place = dice.randrange(len(text))
            length = dice.choice([1, 1, 1, 3, 40])
            kind = dice.randrange(4)
            piece = [] if kind == 0 else dice.choices(string.printable + "'\";#_?.(ÅØ\x00", k=length)
            text[place : place + (0 if kind == 1 else length)] = (
                text[place : place + length] * 3 if kind == 2 else piece
            )
        path.write_text("".join(text))
        started = time.process_time()
        try:
            outcomes.add(len(read_crystal(path)) > 0)
        except DataFormatError as error:
            assert str(path) in str(error)
            outcomes.add(False)
        assert time.process_time() - started < 5
    assert outcomes == {True, False}


def test_huge_cifs_are_refused_in_bounded_time(tmp_path):
    # An even sequence: no two sites at one place.
    places = np.arange(100_000)[:, None] * np.array([0.8191725, 0.6710436, 0.5497005]) % 1
    rows = [f"Na{n} Na {x:.6f} {y:.6f} {z:.6f} 1\n" for n, (x, y, z) in enumerate(places)]
    operations = "loop_\n_symmetry_equiv_pos_as_xyz\n" + "x,y,z\n" * 300_000
    sources = {
        "large.cif": SALT + "".join(rows),
        "images.cif": SALT + "".join(rows[:250]),
        "quotes.cif": "data_x\n" + "'a " * 1_000_000,
        "operations.cif": SALT.replace("_symmetry_space_group_name_H-M 'F m -3 m'", operations),
    }
    for name, text in sources.items():
        started = time.process_time()
        refused(written(tmp_path, text, name), name)
        assert time.process_time() - started < 5


def test_ase_atoms_are_checked():
    good = bulk("NaCl", "rocksalt", a=5.64)
    good.info["occupancy"] = {"0": {"Na": 1.0}, "1": {"Cl": 1.0}}
    assert read_crystal(good).info == {}
    partial = good.copy()
    partial.info["occupancy"] = {"0": {"Na": 0.5, "K": 0.5}}
    refused(partial, "occupancy")
    molecule = Atoms("H2", positions=[(0, 0, 0), (0, 0, 0.74)])
    refused(molecule, "no three-dimensional cell")
    forgotten = good.copy()
    forgotten.pbc = False
    refused(forgotten, "set atoms.pbc = True")
    dummy = good.copy()
    dummy.numbers[1] = 0
    refused(dummy, "no known element")
    near = Atoms("Na2", positions=[(0.1, 0, 0), (3.9, 0, 0)], cell=np.eye(3) * 4, pbc=True)
    assert "0.2 Å apart" in refused(near, "atoms")  # through the face of the cell
    nowhere = good.copy()
    nowhere.positions[0, 0] = np.nan
    refused(nowhere, "finite")
    refused(Atoms(cell=np.eye(3) * 4, pbc=True), "has 0 atoms")
    refused(Atoms("H10001", cell=np.eye(3) * 100, pbc=True), "has 10001 atoms")


def pymatgen_like(**changes):
    """What read_crystal uses of a pymatgen Structure."""

    class Structure(list):
        lattice = SimpleNamespace(matrix=np.eye(3) * 4.12, pbc=(True, True, True))
        frac_coords = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
        formula = "Cs1 Cl1"
        is_ordered = True

    structure = Structure(SimpleNamespace(specie=SimpleNamespace(Z=z)) for z in (55, 17))
    for name, value in changes.items():
        setattr(structure, name, value)
    return structure


def test_pymatgen_structures_are_checked():
    atoms = read_crystal(pymatgen_like())
    assert atoms.get_chemical_formula() == "ClCs"
    np.testing.assert_allclose(spectrum(atoms), spectrum(bulk("CsCl", "cesiumchloride", a=4.12)), atol=1e-9)
    refused(pymatgen_like(is_ordered=False), "Cs1 Cl1: has partly occupied sites")
    slab = SimpleNamespace(matrix=np.eye(3) * 4.12, pbc=(True, True, False))
    refused(pymatgen_like(lattice=slab), "periodic along")
    dummy = pymatgen_like()
    dummy[0].specie.Z = -7
    refused(dummy, "no known element")


def test_other_objects_are_refused():
    for source in (None, 3, {"cell": 1}, b"bytes"):
        refused(source, "expected a path, an ase.Atoms or a pymatgen Structure")


def test_ase_reads_the_same_p1_cif(tmp_path, known_crystals):
    for number in range(len(known_crystals)):
        write(tmp_path / "a.cif", known_crystals.atoms(number))
        expected = next(iread(tmp_path / "a.cif"))
        found = read_crystal(tmp_path / "a.cif")
        np.testing.assert_allclose(found.get_all_distances(mic=True), expected.get_all_distances(mic=True), atol=1e-6)
