"""Laws of elastic constants: what relaxing under strain gives, any cell and frame, the bounds of Voigt and Reuss."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.filters import UnitCellFilter
from ase.optimize import BFGS
from ase.units import GPa

from materials import Potential
from materials.elasticity import elastic_constants, moduli


@pytest.fixture(scope="module")
def potential() -> Potential:
    return Potential.from_pretrained("mlip-mlearn-si", "cpu", dtype="float64")


@pytest.fixture(scope="module")
def silicon(potential: Potential) -> Atoms:
    """At the potential's own minimum."""
    atoms = bulk("Si")
    atoms.calc = potential.calculator()
    assert BFGS(UnitCellFilter(atoms), logfile=None).run(fmax=1e-4)  # pyright: ignore
    atoms.calc = None
    return atoms


def test_constants_are_what_relaxing_strained_crystals_gives(potential: Potential, silicon: Atoms) -> None:
    (constants,) = elastic_constants(potential, [silicon])
    strain = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.002], [0.0, 0.002, 0.0]])
    stress = []
    for sign in (1, -1):
        atoms = silicon.copy()
        atoms.set_cell(silicon.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True)
        atoms.calc = potential.calculator()
        clamped = atoms.get_stress()[3]
        assert BFGS(atoms, logfile=None).run(fmax=1e-5)
        stress.append((clamped, atoms.get_stress()[3]))
    clamped, relaxed = (np.array(stress[0]) - np.array(stress[1])) / 0.008 / GPa
    assert constants.clamped[3, 3] == pytest.approx(clamped, rel=0.01)
    assert constants.relaxed[3, 3] == pytest.approx(relaxed, rel=0.01)
    assert relaxed < 0.9 * clamped


def test_a_cubic_crystal_has_three_constants(potential: Potential, silicon: Atoms) -> None:
    (constants,) = elastic_constants(potential, [silicon])
    c11, c12, c44 = constants.relaxed[0, 0], constants.relaxed[0, 1], constants.relaxed[3, 3]
    expected = np.diag([c11 - c12] * 3 + [c44] * 3)
    expected[:3, :3] += c12
    assert np.abs(constants.relaxed - expected).max() < 0.5
    assert c11 > c12 > 0 and c44 > 0


def test_moduli_depend_on_neither_cell_nor_frame(potential: Potential, silicon: Atoms) -> None:
    turned = make_supercell(silicon, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]])
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    one, other = (moduli(constants.relaxed) for constants in elastic_constants(potential, [silicon, turned]))
    for name in ("k_voigt", "k_reuss", "g_voigt", "g_reuss"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=5e-3)


def test_reuss_is_below_hill_and_voigt(potential: Potential) -> None:
    crystal = bulk("Si", "hcp", a=3.4, c=5.6)
    (constants,) = elastic_constants(potential, [crystal])
    averages = moduli(constants.relaxed, softest=1.0)
    assert averages.g_reuss < averages.g_vrh < averages.g_voigt and averages.k_reuss <= averages.k_voigt


def test_an_isotropic_body_has_its_own_moduli() -> None:
    k, g = 100.0, 40.0
    constants = np.diag([2.0 * g] * 3 + [g] * 3)
    constants[:3, :3] += k - 2 * g / 3
    averages = moduli(constants)
    assert [averages.k_voigt, averages.k_reuss, averages.k_vrh] == pytest.approx([k] * 3)
    assert [averages.g_voigt, averages.g_reuss, averages.g_vrh] == pytest.approx([g] * 3)
