"""Ewald sums against published Madelung constants and against themselves."""

import numpy as np
import pytest

from common.app.errors import DataFormatError
from materials.data.ewald import COULOMB_EV_A, born_exponent, electrostatic_energy, repulsion_strength
from materials.data.ionic_lattice import STRUCTURE_TYPES, contacts

CHARGES = {"fluorite": (2, -1), "antifluorite": (1, -2), "rutile": (4, -2), "perovskite": (2, 4, -2)}


def unit_cell(name):
    """Lattice (a = 1), fractional coordinates, charges, closest cation-anion distance."""
    kind = next(kind for kind in STRUCTURE_TYPES if kind.name == name)
    lattice, fractional = np.array(kind.lattice), np.array(kind.fractional)
    charges = np.array([CHARGES.get(name, (1, -1))[role] for role in kind.roles])
    first, second, shift = contacts(kind)
    steps = (fractional[second] + shift - fractional[first]) @ lattice
    return lattice, fractional, charges, np.linalg.norm(steps, axis=1).min()


# Per formula unit, in units of e^2 / (4 pi eps0 d) with d the closest cation-anion distance and charges as above.
# The four AX values: Johnson & Templeton, J. Chem. Phys. 34, 2004 (1961);
# fluorite (2 x 2.51939) and, below, rutile (8 x 2.408, depends on c/a and u): CRC Handbook, Madelung constants.
@pytest.mark.parametrize(
    ("name", "formulas", "madelung", "digits"),
    [
        ("rocksalt", 1, 1.747565, 6),
        ("caesium-chloride", 1, 1.762675, 6),
        ("zinc-blende", 1, 1.638055, 6),
        ("wurtzite", 2, 1.641322, 6),
        ("fluorite", 1, 5.03878, 5),
        ("antifluorite", 1, 5.03878, 5),
    ],
)
def test_madelung_constants(name, formulas, madelung, digits):
    lattice, fractional, charges, contact = unit_cell(name)
    found = -electrostatic_energy(lattice, fractional, charges) * contact / (formulas * COULOMB_EV_A)
    assert found == pytest.approx(madelung, abs=0.51 * 10**-digits)


def test_rutile_is_close_to_its_tabulated_constant():
    lattice, fractional, charges, contact = unit_cell("rutile")
    found = -electrostatic_energy(lattice, fractional, charges) * contact / (2 * COULOMB_EV_A)
    # The table does not say for which c/a and u, nor for which of the two distances.
    assert found / 8 == pytest.approx(2.408, rel=0.015)


@pytest.mark.parametrize("name", ["rocksalt", "wurtzite", "rutile", "perovskite"])
def test_result_does_not_depend_on_the_screening(name):
    lattice, fractional, charges, _ = unit_cell(name)
    exact = electrostatic_energy(lattice, fractional, charges, relative_tolerance=1e-13)
    for screening in (None, 2.0, 3.0, 4.5):
        assert electrostatic_energy(lattice, fractional, charges, 1e-9, screening) == pytest.approx(exact, rel=1e-9)


def test_result_does_not_depend_on_description():
    lattice, fractional, charges, _ = unit_cell("rutile")
    expected = electrostatic_energy(lattice, fractional, charges)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    skewed = np.array([[1, 0, 0], [1, 1, 0], [0, -2, 1]])
    order = np.random.default_rng(1).permutation(len(charges))
    assert electrostatic_energy(lattice @ rotation, fractional + 0.37, charges) == pytest.approx(expected, rel=1e-9)
    assert electrostatic_energy(
        skewed @ lattice, (fractional @ np.linalg.inv(skewed))[order], charges[order]
    ) == pytest.approx(expected, rel=1e-9)
    doubled = np.concatenate([fractional, fractional + np.array([0, 0, 1])]) / (1, 1, 2)
    cell = lattice * np.array([1, 1, 2])[:, None]
    assert electrostatic_energy(cell, doubled, np.tile(charges, 2)) == pytest.approx(2 * expected, rel=1e-9)
    assert electrostatic_energy(3.7 * lattice, fractional, charges) == pytest.approx(expected / 3.7, rel=1e-9)


def test_charged_cells_are_refused():
    with pytest.raises(DataFormatError, match="neutral"):
        electrostatic_energy(np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array([2, -1]))


def test_born_exponents_follow_the_closed_shells():
    electrons = {"Li+": 2, "F-": 10, "Cl-": 18, "Cu+": 28, "Br-": 36, "Ag+": 46, "I-": 54, "Au+": 78}
    assert [born_exponent(n) for n in electrons.values()] == [5, 7, 9, 9, 10, 10, 12, 12]


def test_one_exponent_gives_the_formula_of_born_and_lande():
    ratio = np.ones(6)
    repulsion = repulsion_strength(-8.0, ratio, np.full(6, 9.0)) * np.sum(ratio**-9.0)
    assert -8.0 + repulsion == pytest.approx(-8.0 * (1 - 1 / 9))
