"""Laws of any potential, on small models with random weights in float64."""

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

from common.app.errors import DataFormatError
from materials.models.ace import ACE, ACEConfig
from materials.models.atomic_graph import AtomicGraph
from materials.models.chgnet import CHGNet, CHGNetConfig
from materials.models.m3gnet import M3GNet, M3GNetConfig, M3GNetProperty
from materials.models.megnet import MEGNet, MEGNetConfig
from materials.models.tensornet import TensorNet, TensorNetConfig
from materials.potential import Potential

ELEMENTS = (1, 2, 8, 11, 17, 22, 26, 38)


def calibrate(model: ACE) -> None:
    """In units of structures like those of these tests."""
    salts = [bulk("NaCl", "rocksalt", a=4.2).repeat(2) for _ in range(3)]
    for salt, elements in zip(salts, (ELEMENTS, (11, 17), (38, 22, 8, 8, 8)), strict=True):
        salt.numbers = np.resize(elements, len(salt))
        salt.rattle(0.3, seed=1)
    graph = AtomicGraph.from_atoms(salts, model.config.cutoff_a, dtype=torch.float64)
    model.calibrate(graph, torch.randn(len(ELEMENTS), dtype=torch.float64), 1e-3)


MODELS = {
    "ace": lambda: ACE(ACEConfig(ELEMENTS, tuple(-1.0 * z for z in ELEMENTS), width=4, message_width=3, hidden=8)),
    "chgnet": lambda: CHGNet(CHGNetConfig(width=8, layers=3, radial=5, angular=3, cutoff_a=4.5)),
    "m3gnet": lambda: M3GNet(M3GNetConfig(width=8, layers=2)),
    "m3gnet-edge": lambda: M3GNet(M3GNetConfig(width=8, layers=2, three_body_radial="edge", receiver="source")),
    "tensornet": lambda: TensorNet(TensorNetConfig(width=8, layers=2)),
}


@pytest.fixture(params=list(MODELS))
def potential(request) -> Potential:
    torch.manual_seed(3)
    model = MODELS[request.param]().double()
    for parameter in model.parameters():  # nothing may be zero or one by construction
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    calibrate(model) if isinstance(model, ACE) else model.element_energy.normal_()
    return Potential(model, {"name": "test", "elements": list(range(1, 95))}, device="cpu", dtype="float64")


@pytest.fixture
def crystal() -> Atoms:
    """Five atoms of three elements, without symmetry."""
    random = np.random.default_rng(5)
    cell = np.eye(3) * 3.9 + random.normal(0, 0.2, (3, 3))
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    atoms = Atoms("SrTiO3", scaled_positions=places, cell=cell, pbc=True)
    atoms.positions += random.normal(0, 0.15, atoms.positions.shape)
    return atoms


def energy(potential: Potential, atoms: Atoms) -> float:
    return next(potential.evaluate([atoms])).energy_ev


def test_forces_are_the_derivative_of_the_energy(potential, crystal):
    forces, step = next(potential.evaluate([crystal])).forces_ev_a, 1e-4
    for atom, axis in ((0, 0), (1, 2), (3, 1)):
        energies = []
        for sign in (1, -1):
            moved = crystal.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(energy(potential, moved))
        assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(forces[atom, axis], rel=1e-5, abs=1e-7)


def test_stress_is_the_derivative_by_strain(potential, crystal):
    stress, step = next(potential.evaluate([crystal])).stress_ev_a3, 1e-4
    for i, j in ((0, 0), (1, 2), (2, 0)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * step
            strained = crystal.copy()
            strained.set_cell(crystal.cell.array @ strain, scale_atoms=True)
            energies.append(energy(potential, strained))
        slope = (energies[0] - energies[1]) / (2 * step * crystal.get_volume())
        assert slope == pytest.approx(stress[i, j], rel=1e-5, abs=1e-8)


def test_rotation_turns_forces_and_stress_and_keeps_energy(potential, crystal):
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))  # may contain a mirror
    turned = Atoms(
        crystal.numbers, positions=crystal.positions @ rotation, cell=crystal.cell.array @ rotation, pbc=True
    )
    one, other = potential.evaluate([crystal, turned])
    assert other.energy_ev == pytest.approx(one.energy_ev, rel=1e-9)
    np.testing.assert_allclose(other.forces_ev_a, one.forces_ev_a @ rotation, atol=1e-9)
    np.testing.assert_allclose(other.stress_ev_a3, rotation.T @ one.stress_ev_a3 @ rotation, atol=1e-10)


def test_order_origin_and_choice_of_cell_do_not_matter(potential, crystal):
    order = np.array([3, 0, 4, 2, 1])
    moved = crystal.copy()[order]
    moved.positions += [0.3, -7.0, 11.0]
    one, other, supercell = potential.evaluate([crystal, moved, crystal * (2, 1, 1)])
    np.testing.assert_allclose(other.forces_ev_a, one.forces_ev_a[order], atol=1e-9)
    np.testing.assert_allclose(supercell.forces_ev_a, np.tile(one.forces_ev_a, (2, 1)), atol=1e-9)
    assert other.energy_ev == pytest.approx(one.energy_ev, rel=1e-9)
    assert supercell.energy_ev == pytest.approx(2 * one.energy_ev, rel=1e-9)
    np.testing.assert_allclose(supercell.stress_ev_a3, one.stress_ev_a3, atol=1e-10)
    np.testing.assert_allclose(one.forces_ev_a.sum(axis=0), 0, atol=1e-9)


def test_a_batch_gives_what_one_by_one_gives(potential, crystal):
    lone = Atoms("He", cell=np.eye(3) * 20, pbc=True)  # no pair within the cutoff
    several = [crystal, bulk("Fe"), lone, bulk("NaCl", "rocksalt", 5.6)]
    for together, alone in zip(potential.evaluate(several), several, strict=True):
        single = next(potential.evaluate([alone]))
        assert together.energy_ev == pytest.approx(single.energy_ev, rel=1e-10)
        np.testing.assert_allclose(together.forces_ev_a, single.forces_ev_a, atol=1e-10)


def test_energy_is_smooth_where_neighbours_leave(potential):
    """A pair drawn apart through every cutoff: no step larger than the slope allows."""
    distances = np.linspace(2.5, 7.0, 226)
    pairs = [Atoms("NaCl", positions=[[0, 0, 0], [d, 0, 0]], cell=np.eye(3) * 30, pbc=True) for d in distances]
    results = list(potential.evaluate(pairs))
    change = np.diff([one.energy_ev for one in results])
    slope = -np.array([one.forces_ev_a[1, 0] for one in results])
    np.testing.assert_allclose(change, np.diff(distances) * (slope[1:] + slope[:-1]) / 2, atol=1e-4)


def test_molecular_dynamics_keeps_the_energy(potential, crystal):
    crystal.calc = potential.calculator()
    thermalize_momenta(crystal, temperature_K=300, rng=np.random.default_rng(0))
    energies = [crystal.get_total_energy()]
    kinetic = crystal.get_kinetic_energy()
    dynamics = VelocityVerlet(crystal, timestep=0.5 * units.fs)
    for _ in range(8):
        dynamics.run(2)
        energies.append(crystal.get_total_energy())
    assert np.ptp(energies) < 0.01 * kinetic


def test_a_molecule_has_forces_but_no_stress(potential):
    water = Atoms("OH2", positions=[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    water.calc = potential.calculator()
    assert np.isfinite(water.get_forces()).all() and np.abs(water.get_forces()).max() > 0
    with pytest.raises(PropertyNotImplementedError):
        water.get_stress()


def test_predict_gives_a_row_an_input_and_says_what_was_wrong(potential, crystal):
    potential.card["elements"] = [8, 22, 38]
    frame = potential.predict([crystal, "absent.cif", bulk("Fe"), crystal])
    assert list(frame.columns[:3]) == ["id", "energy_ev", "energy_ev_per_atom"]
    assert frame.energy_ev.isna().tolist() == [False, True, True, False]
    assert "no such file" in frame.error[1] and "holds Fe" in frame.error[2] and frame.error[0] == ""
    assert frame.forces_ev_a[0].shape == (5, 3) and frame.forces_ev_a[1] is None
    assert frame.energy_ev[0] == pytest.approx(5 * frame.energy_ev_per_atom[0])
    with pytest.raises(DataFormatError, match="holds Fe"):
        iron = bulk("Fe")
        iron.calc = potential.calculator()
        iron.get_potential_energy()


def test_predict_takes_molecules_and_refuses_impossible_ones(potential):
    water, hydrogen, lost = molecule("H2O"), molecule("H2"), molecule("H2O")
    hydrogen.positions *= 0.1
    lost.positions[1, 0] = np.nan
    frame = potential.predict([water, hydrogen, lost])
    assert frame.energy_ev[0] == pytest.approx(energy(potential, water)) and frame.error[0] == ""
    assert "Å apart" in frame.error[1] and "finite positions" in frame.error[2]


def test_saved_and_loaded_it_says_the_same(tmp_path, crystal):
    potential = Potential(
        MODELS["chgnet"](), {"name": "t", "architecture": "chgnet", "elements": list(range(1, 95))}, device="cpu"
    )
    again = Potential.from_pretrained(potential.save_pretrained(tmp_path / "saved"), device="cpu")
    assert energy(again, crystal) == energy(potential, crystal)


@pytest.mark.parametrize(
    "make", [lambda: M3GNetProperty(M3GNetConfig(width=8, layers=1)), lambda: MEGNet(MEGNetConfig())]
)
def test_properties_do_not_depend_on_cell_order_or_batch(make, crystal):
    torch.manual_seed(0)
    model = make().double().eval()
    several = [crystal, crystal[[4, 2, 0, 1, 3]], crystal * (1, 2, 1), bulk("Fe")]
    cutoff = model.config.cutoff_a
    with torch.no_grad():
        values = model(AtomicGraph.from_atoms(several, cutoff, dtype=torch.float64))
        alone = model(AtomicGraph.from_atoms([crystal], cutoff, dtype=torch.float64))
    torch.testing.assert_close(values[:3], alone.expand(3, 1, 1))
    assert abs(float(values[3] - values[0])) > 1e-6
