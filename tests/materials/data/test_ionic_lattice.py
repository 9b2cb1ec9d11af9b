from itertools import islice

import numpy as np
import pytest

from common.app.errors import ConfigError
from materials.data import ionic_lattice
from materials.data.ewald import COULOMB_EV_A
from materials.data.ionic_lattice import STRUCTURE_TYPES, TARGET, IonicCrystal, build, compounds, contacts, load


def crystal(formula, kind_name):
    for kind, compound in compounds():
        if kind.name == kind_name:
            found = IonicCrystal(kind, compound)
            if found.formula == formula:
                return found
    raise AssertionError(f"{formula} is not in the data set as {kind_name}")


@pytest.fixture(scope="module")
def few():
    """Every 40th compound, so that all structure types are there."""
    return [IonicCrystal(*one) for one in islice(compounds(), 0, None, 40)]


@pytest.fixture
def short(monkeypatch, tmp_path):
    """The data set of every 40th compound, with a cache of its own."""
    chosen = list(islice(compounds(), 0, None, 40))
    monkeypatch.setattr(ionic_lattice, "compounds", lambda: iter(chosen))
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path))


@pytest.mark.parametrize(
    ("formula", "kind", "madelung", "contact_a", "exponent"),
    [
        ("NaCl", "rocksalt", 1.747565, 1.02 + 1.81, 8),
        ("MgO", "rocksalt", 4 * 1.747565, 0.72 + 1.40, 7),
        ("CsBr", "caesium-chloride", 1.762675, 1.74 + 1.96, 11),
        ("ZnS", "zinc-blende", 4 * 1.638055, 0.60 + 1.84, 9),
    ],
)
def test_binary_compounds_have_their_born_lande_energy(formula, kind, madelung, contact_a, exponent):
    found = crystal(formula, kind)
    expected = -madelung * COULOMB_EV_A / contact_a * (1 - 1 / exponent)
    assert found.energy_ev(found.lattice) == pytest.approx(expected, rel=1e-6)


def test_sodium_chloride_comes_near_its_measured_lattice_energy():
    found = crystal("NaCl", "rocksalt")
    # 787 kJ/mol by the Born-Haber cycle (CRC Handbook); the model is good to some five per cent.
    assert -found.energy_ev(found.lattice) * 96.485 == pytest.approx(787, rel=0.06)


def test_ideal_crystals_are_at_rest(few):
    for one in few:
        larger, smaller = (one.energy_ev(one.lattice * (1 + step)) for step in (1e-4, -1e-4))
        lowest = one.energy_ev(one.lattice)
        assert abs(larger - smaller) < 1e-6 * abs(lowest)
        assert larger > lowest and smaller > lowest


def test_cations_have_their_coordination():
    for kind in STRUCTURE_TYPES:
        cation, anion, _ = contacts(kind)
        roles = np.array(kind.roles)
        for site, role in enumerate(kind.roles[: len(roles)]):
            if role < len(kind.coordination) - 1:
                assert (cation == site).sum() == kind.coordination[role]
        assert np.all(roles[anion] == len(kind.coordination) - 1)


def test_ions_touch_and_do_not_overlap(few):
    for one in few:
        assert one._ratios(one.lattice).min() == pytest.approx(1.0)


def test_splits_share_no_composition(short):
    splits = build()
    formulas = {split: {name.split("-")[0] for name in part.ids} for split, part in splits.items()}
    assert not formulas["train"] & formulas["val"]
    assert not formulas["train"] & formulas["test"]
    assert not formulas["val"] & formulas["test"]
    assert all(len(part) for part in splits.values())
    assert len({name for part in splits.values() for name in part.ids}) == sum(map(len, splits.values()))


def test_seed_decides_everything(short):
    first, second, other = build(), build(), build(seed=1)
    for split, part in first.items():
        assert part.ids.tolist() == second[split].ids.tolist()
        np.testing.assert_array_equal(part.lattices, second[split].lattices)
        np.testing.assert_array_equal(part.targets[TARGET], second[split].targets[TARGET])
    assert first["test"].ids.tolist() != other["test"].ids.tolist()


def test_loading_twice_gives_what_was_built(short):
    built = build()["val"]
    for _ in range(2):
        loaded = load("val")
        assert loaded.ids.tolist() == built.ids.tolist()
        np.testing.assert_array_equal(loaded.fractional, built.fractional)
        np.testing.assert_array_equal(loaded.targets[TARGET], built.targets[TARGET])
    with pytest.raises(ConfigError, match="Did you mean 'train'"):
        load("trian")


def test_size_and_range():
    names = [kind.name for kind, _ in compounds()]
    assert set(names) == {kind.name for kind in STRUCTURE_TYPES}
    assert 1000 < len(names) < 3000
