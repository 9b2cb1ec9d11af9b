"""The public predictor: order, refusals, units, and that a saved model is the same model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from common.app.errors import CheckpointError, ConfigError
from materials import PropertyPredictor


@pytest.fixture(scope="module")
def predictor() -> PropertyPredictor:
    return PropertyPredictor.from_pretrained("mp2018-eform", device="cpu")


def test_rows_keep_their_order_and_refusals_their_reason(predictor: PropertyPredictor, tmp_path: Path) -> None:
    (tmp_path / "broken.cif").write_text("no crystal")
    bulk("NaCl", "rocksalt", a=5.64).write(tmp_path / "NaCl.cif")
    molecule = Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    magnesia = bulk("MgO", "rocksalt", a=4.21)
    frame = predictor.predict([tmp_path / "broken.cif", magnesia, molecule, str(tmp_path / "NaCl.cif")])
    assert list(frame.columns) == ["id", "e_form", "e_form_std", "unit", "error"]
    assert frame["e_form"].isna().tolist() == [True, False, True, False]
    assert (frame["error"] != "").tolist() == [True, False, True, False]
    assert "broken.cif" in frame["error"][0] and "cell" in frame["error"][2]
    assert (frame["e_form_std"] > 0).tolist() == [False, True, False, True]  # of an ensemble
    assert set(frame["unit"]) == {"eV/atom"}


def test_formation_energies_of_known_crystals_are_near_the_measured_ones(predictor: PropertyPredictor) -> None:
    from materials.demo import EV_PER_KJ_MOL, atoms_of_formula, known_crystals

    known = known_crystals().values()
    measured = [enthalpy * EV_PER_KJ_MOL / atoms_of_formula(atoms) for atoms, enthalpy in known]
    predicted = predictor.predict([atoms for atoms, _ in known])["e_form"]
    # density-functional and measured formation energies differ by up to 0.2 eV/atom themselves
    assert np.abs(predicted - measured).max() < 0.3
    assert np.abs(predicted - measured).mean() < 0.12


def test_a_prediction_does_not_depend_on_cell_orientation_or_origin(predictor: PropertyPredictor) -> None:
    primitive = bulk("ZnS", "zincblende", a=5.409)
    turned = bulk("ZnS", "zincblende", a=5.409, cubic=True) * (2, 1, 1)
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    turned.translate((0.3, 0.1, 0.7))
    turned.wrap()
    first, second = predictor.predict([primitive, turned[np.random.default_rng(0).permutation(len(turned))]])["e_form"]
    assert second == pytest.approx(first, rel=1e-5)


def test_an_element_outside_the_training_data_is_refused(predictor: PropertyPredictor) -> None:
    frame = predictor.predict(bulk("Po", "sc", a=3.35))
    assert np.isnan(frame["e_form"][0]) and "Po" in frame["error"][0]


def test_a_saved_predictor_loads_as_the_same_predictor(predictor: PropertyPredictor, tmp_path: Path) -> None:
    again = PropertyPredictor.from_pretrained(predictor.save_pretrained(tmp_path / "copy"), device="cpu")
    crystals = [bulk("MgO", "rocksalt", a=4.21), bulk("Si", "diamond", a=5.43)]
    assert again.predict(crystals).equals(predictor.predict(crystals))
    assert again.card["unit"] == predictor.card["unit"]


def test_float64_agrees_with_float32(predictor: PropertyPredictor) -> None:
    precise = PropertyPredictor.from_pretrained("mp2018-eform", device="cpu", dtype="float64")
    crystal = bulk("CaF2", "fluorite", a=5.463)
    assert precise.predict(crystal)["e_form"][0] == pytest.approx(predictor.predict(crystal)["e_form"][0], abs=1e-4)


def test_unknown_names_and_damaged_folders_are_told_apart(predictor: PropertyPredictor, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'mp2018-eform'"):
        PropertyPredictor.from_pretrained("mp2018-efrom")
    folder = predictor.save_pretrained(tmp_path / "model")
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        PropertyPredictor.from_pretrained(folder)


def test_no_inputs_give_an_empty_frame(predictor: PropertyPredictor) -> None:
    assert len(predictor.predict([])) == 0
