"""Frames from extended XYZ and packed files; what is wrong with a file is said; splits of frames."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.app.errors import ConfigError, DataFormatError
from materials.data.frames import Frames
from materials.data.mlip import SETS, convert, load, reference_energies, split_frames
from materials.data.read_frames import read_frames

WATER = """3
Properties=species:S:1:pos:R:3:forces:R:3 energy=-14.5 pbc="F F F"
O 0.0 0.0 0.1 0.0 0.0 0.5
H 0.0 0.8 -0.5 0.0 0.1 -0.2
H 0.0 -0.8 -0.5 0.0 -0.1 -0.3
"""


def labelled(atoms: Atoms, seed: int, **more: object) -> Atoms:
    random = np.random.default_rng(seed)
    results = {"energy": float(random.normal()), "forces": random.normal(size=(len(atoms), 3)), **more}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def test_what_ase_writes_is_read(tmp_path):
    stress = np.arange(6) / 100
    several = [labelled(bulk("Cu", cubic=True), 0, stress=stress), labelled(molecule("H2O"), 1)]
    write(tmp_path / "frames.xyz", several, format="extxyz")
    frames = read_frames(tmp_path / "frames.xyz")
    for index, one in enumerate(several):
        again = frames.atoms(index)
        np.testing.assert_allclose(again.positions, one.positions, atol=1e-7)
        assert (again.numbers == one.numbers).all() and (again.pbc == one.pbc).all()
        assert frames.energy[index] == pytest.approx(one.get_potential_energy())
    np.testing.assert_allclose(frames.forces[4:], several[1].get_forces(), atol=1e-7)
    np.testing.assert_allclose(frames.stress[0], several[0].get_stress(voigt=False), atol=1e-7)
    assert np.isnan(frames.stress[1]).all()


def test_a_packed_file_gives_the_same_frames(tmp_path):
    frames = Frames.from_atoms([labelled(bulk("NaCl", "rocksalt", a=5.6), seed) for seed in range(4)])
    frames.to_npz(tmp_path / "frames.npz")
    again = Frames.from_npz(tmp_path / "frames.npz").subset(np.array([2, 0]))
    assert (again.energy == frames.energy[[2, 0]]).all() and again.periodic.all()
    np.testing.assert_allclose(again.forces[:2], frames.forces[4:6], rtol=1e-6)
    np.testing.assert_allclose(again.cells, frames.cells[[2, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no frame"),
        ("three\n", "expected a number of atoms"),
        (WATER.replace("3\n", "999999999999\n", 1), "announces 999999999999 atoms"),
        (WATER[:-40], "frame 1"),
        (WATER.replace("forces:R:3", "forces:R:300000000"), "announces 300000004 columns"),
        (WATER.replace("energy=-14.5 ", ""), "frame 1 has no energy"),
        (WATER.replace("energy=-14.5", "energy=nan"), "energy that is not finite"),
        (WATER.replace(":forces:R:3", ":speed:R:3"), "frame 1 has no forces"),
        (WATER.replace("-0.3\n", "inf\n"), "force that is not finite"),
        (WATER.replace("O 0.0", "Qq 0.0"), "not extended XYZ"),
        (WATER.replace("O 0.0", "X 0.0"), "unknown element"),
        (WATER.replace('pbc="F F F"', 'Lattice="1 0 0 2 0 0 0 0 3" pbc="T T T"'), "no volume"),
        (WATER + WATER.replace("0.8", "zero"), "frame 2 is not extended XYZ"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path, text, reason):
    (tmp_path / "bad.xyz").write_text(text)
    with pytest.raises(DataFormatError, match=reason) as error:
        read_frames(tmp_path / "bad.xyz")
    assert "bad.xyz" in str(error.value)


def test_missing_and_binary_files_are_refused(tmp_path):
    (tmp_path / "binary.xyz").write_bytes(b"\xff\xfe\x00")
    for name in ("absent.xyz", "binary.xyz"):
        with pytest.raises(DataFormatError, match="not readable"):
            read_frames(tmp_path / name)


@given(place=st.integers(0, len(WATER) - 1), text=st.text(st.characters(codec="ascii"), max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_gives_frames_or_a_reason(tmp_path, place, text):
    (tmp_path / "damaged.xyz").write_text(WATER[:place] + text + WATER[place + 1 :])
    try:
        assert len(read_frames(tmp_path / "damaged.xyz")) >= 1
    except DataFormatError as error:
        assert "damaged.xyz" in str(error)


def test_parts_are_disjoint_and_keep_equal_energies_together():
    random = np.random.default_rng(0)
    levels = np.repeat(random.normal(size=60), 3)  # three crystals of each energy
    frames = Frames.from_atoms([labelled(bulk("Cu"), 0, energy=float(level)) for level in levels])
    parts = split_frames(frames)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(180))
    assert not set(levels[parts["train"]]) & set(levels[parts["val"]]) and len(parts["val"]) == 18
    order = random.permutation(180)
    again = split_frames(frames.subset(order))
    assert set(order[again["val"]]) == set(parts["val"])


def test_originals_become_packed_files(tmp_path):
    structure = bulk("Cu", cubic=True)
    sites = [{"species": [{"element": "Cu", "occu": 1}], "xyz": xyz} for xyz in structure.positions.tolist()]
    forces = np.arange(12.0).reshape(4, 3).tolist()
    document = {
        "structure": {"lattice": {"matrix": structure.cell.array.tolist()}, "sites": sites},
        "outputs": {"energy": -16.0, "forces": forces, "virial_stress": [0.0] * 6},
    }
    originals = {"mlearn_Cu_train.json": tmp_path / "a.json", "acac_train_300K.xyz": tmp_path / "a.xyz"}
    (tmp_path / "a.json").write_text(json.dumps([document, document]))
    (tmp_path / "a.xyz").write_text(WATER.replace("pbc", 'Lattice="50 0 0 0 50 0 0 0 50" pbc'))
    for name, path in originals.items():
        convert({name: path}, tmp_path)
    copper, water = (Frames.from_npz(tmp_path / f"{Path(name).stem}.npz") for name in originals)
    assert copper.periodic.all() and copper.elements == (29,) and copper.energy.tolist() == [-16.0, -16.0]
    np.testing.assert_allclose(copper.forces[4:], forces)
    assert not water.periodic.any() and water.elements == (1, 8)
    (tmp_path / "a.json").write_text("[{}]")
    with pytest.raises(DataFormatError, match="outputs"):
        convert({"mlearn_Cu_train.json": tmp_path / "a.json"}, tmp_path)


def test_entries_name_their_originals_and_atoms():
    for name, one in SETS.items():
        entry = one.dataset(name)
        assert entry.citation and entry.licence and entry.sources[0].files[0].url == one.original
    assert reference_energies("acac-300k")[6] == -1026.853899612 and reference_energies("mlearn-cu") == {}
    with pytest.raises(ConfigError, match="unknown set"):
        load("acac", "train")
