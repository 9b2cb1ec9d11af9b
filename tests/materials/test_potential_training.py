"""Training of a potential: exact derivatives, honest metrics, and a law that is learned, saved and used in dynamics."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from pydantic import ValidationError

from common.app.config import OptimizerConfig, TrainerConfig
from common.app.errors import ConfigError
from common.results.metrics import Accumulator
from materials.data.frames import Frames
from materials.models.ace import ACE, ACEConfig
from materials.models.atomic_graph import AtomicGraph
from materials.potential import Potential
from materials.potential_config import OwnFrames, PotentialConfig, PotentialTrainConfig
from materials.potential_study import element_energies, errors, make_task, train
from materials.potential_task import FrameTable, PotentialTask, Weights

CPU = torch.device("cpu")


def labelled(atoms: Atoms) -> Atoms:
    """With what EMT says of it: a law that can be learned."""
    source = atoms.copy()
    source.calc = EMT()
    results = {"energy": source.get_potential_energy(), "forces": source.get_forces()}
    if atoms.pbc.all():
        results["stress"] = source.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def copper(count: int, seed: int = 0) -> list[Atoms]:
    """Cells of one to four atoms, strained and disordered."""
    random = np.random.default_rng(seed)
    many = []
    for number in range(count):
        atoms = bulk("Cu", cubic=True) if number % 3 else bulk("Cu").repeat((1, 1, 1 + number % 2))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + random.normal(0, 0.03, (3, 3))), scale_atoms=True)
        atoms.positions += random.normal(0, 0.1, atoms.positions.shape)
        many.append(labelled(atoms))
    return many


def config(**changes: object) -> PotentialTrainConfig:
    values = {
        "experiment": "emt",
        "model": PotentialConfig(name="ace", cutoff_a=4.0, radial=5, degree=2, width=6, message_width=3, hidden=12),
        "data": OwnFrames(name="frame-files", path="frames.xyz", energy_weight=10.0, stress_weight=100.0),
        "optimizer": OptimizerConfig(learning_rate=0.01, weight_decay=0.0, clip_norm=10.0),
        "trainer": TrainerConfig(epochs=30, batch_size=8, evaluate_every=15, ema_decay=0.9, device="cpu", threads=1),
    }
    return PotentialTrainConfig.model_validate({**values, **changes})


def small_task(frames: Frames, weights: Weights, members: int = 1) -> PotentialTask:
    torch.manual_seed(0)
    isolated = tuple(0.0 for _ in frames.elements)
    model = ACE(ACEConfig(frames.elements, isolated, 4.0, 4, 2, 4, 4, 2, 6, members=members)).double()
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    graph = AtomicGraph.from_atoms([frames.atoms(n) for n in range(len(frames))], 4.0, dtype=torch.float64)
    model.calibrate(graph, torch.zeros(len(frames.elements)), 0.01)
    table = FrameTable.of(frames, 4.0, CPU)
    table.structures.pairs.rows["vectors"] = graph.vectors
    return PotentialTask(model, {"train": table, "val": table}, weights, "mse")


@pytest.mark.parametrize("weights", [Weights(1.0, 0.0, 0.0), Weights(0.0, 1.0, 0.0), Weights(0.0, 0.0, 1e4)])
def test_the_loss_has_exact_derivatives_by_the_weights(weights):
    """Through forces and stress too, which are derivatives themselves."""
    task = small_task(Frames.from_atoms(copper(4)), weights)
    batch = task.batch("train", np.arange(4))
    task.loss(task.model, batch).sum().backward()
    for parameter in task.model.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        place, values = int(gradient.abs().argmax()), []
        for step in (1e-4, -1e-4):
            kept = flat[place].item()
            flat[place] = kept + step
            values.append(float(task.loss(task.model, batch).sum().detach()))
            flat[place] = kept
        assert float(gradient[place]) == pytest.approx((values[0] - values[1]) / 2e-4, rel=1e-4, abs=1e-7)


def alone(task: PotentialTask, member: int) -> ACE:
    """One member of a task's ensemble as a potential of its own."""
    whole = task.model
    single = ACE(replace(whole.config, members=1)).double()
    place = f"networks.{member}."
    names = {name: name.replace("networks.0.", place) for name in single.state_dict()}
    single.load_state_dict({name: whole.state_dict()[of_whole] for name, of_whole in names.items()})
    return single


def test_members_learn_apart_and_predict_together():
    frames = Frames.from_atoms([*copper(3), labelled(bulk("Al"))])
    task = small_task(frames, Weights(1.0, 1.0, 1.0), members=3)
    batch = task.batch("train", np.arange(4))
    task.loss(task.model, batch).sum().backward()
    learned = {name: parameter.grad.clone() for name, parameter in task.model.named_parameters()}
    potential = Potential(task.model, {"name": "t", "elements": list(frames.elements)}, "cpu", "float64")
    atoms = [frames.atoms(n) for n in range(4)]
    each = []
    for member in range(3):
        single = small_task(frames, task.weights)
        single.model = alone(task, member)
        single.loss(single.model, batch).sum().backward()
        for name, parameter in single.model.named_parameters():
            of_member = learned[name.replace("networks.0", f"networks.{member}")]
            torch.testing.assert_close(3 * of_member, parameter.grad)
        each.append(list(Potential(single.model, potential.card, "cpu", "float64").evaluate(atoms)))
    for n, found in enumerate(potential.evaluate(atoms)):
        members = [one[n] for one in each]
        assert found.energy_ev == pytest.approx(np.mean([one.energy_ev for one in members]), rel=1e-12)
        assert found.energy_std_ev == pytest.approx(np.std([one.energy_ev for one in members]), rel=1e-9)
        forces = np.array([one.forces_ev_a for one in members])
        np.testing.assert_allclose(found.forces_ev_a, forces.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(found.forces_std_ev_a, forces.std(axis=0), atol=1e-12)
        stress = np.mean([one.stress_ev_a3 for one in members], axis=0)
        np.testing.assert_allclose(found.stress_ev_a3, stress, atol=1e-12)
        assert each[0][n].forces_std_ev_a is None and np.isnan(each[0][n].energy_std_ev)


def test_metrics_are_those_of_all_atoms_and_frames_however_batched():
    frames = Frames.from_atoms([*copper(5), labelled(molecule("CO")), labelled(bulk("Al"))])
    task = small_task(frames, Weights(1.0, 1.0, 1.0))
    potential = Potential(task.model, {"name": "t", "elements": list(frames.elements)}, "cpu", "float64")
    scores = Accumulator("cpu")
    for ids in (np.array([6, 0]), np.array([1, 2, 3, 4, 5])):
        with torch.no_grad():
            scores.add(task.metrics(task.model, task.batch("val", ids)))
    found, (expected, _) = scores.compute(), errors(potential, frames)
    assert 1000 * found["energy_mae"] == pytest.approx(expected["energy_mae"], rel=1e-5)
    assert 1000 * found["energy_mse"] ** 0.5 == pytest.approx(expected["energy_rmse"], rel=1e-5)
    assert 1000 * found["force_mae"] == pytest.approx(expected["force_mae"], rel=1e-5)
    assert 1000 * found["force_mse"] ** 0.5 == pytest.approx(expected["force_rmse"], rel=1e-5)


def test_an_unknown_stress_counts_nothing():
    known, unknown = Frames.from_atoms(copper(3)), Frames.from_atoms([labelled(molecule("CO"))])
    task = small_task(unknown, Weights(0.0, 0.0, 1.0))
    assert task.loss(task.model, task.batch("train", np.array([0]))).item() == 0
    task = small_task(known, Weights(0.0, 0.0, 1.0))
    assert task.loss(task.model, task.batch("train", np.array([0]))).item() > 0


def test_a_lone_atom_has_its_own_energy_to_the_last_digit():
    model = ACE(ACEConfig((1, 8), (-13.568422178, -2037.796869413)))
    for parameter in model.parameters():
        parameter.data.normal_()
    potential = Potential(model, {"name": "t", "elements": [1, 8]}, "cpu")
    lone, pair = Atoms("O"), Atoms("OH", positions=[[0, 0, 0], [0, 0, 5.0]])
    assert next(potential.evaluate([lone])).energy_ev == -2037.796869413
    assert next(potential.evaluate([pair])).energy_ev == -13.568422178 - 2037.796869413


def test_reference_energies_of_elements():
    frames = Frames.from_atoms([labelled(molecule(name)) for name in ("CO", "O2", "CH4", "H2O", "C2H6")])
    assert frames.elements == (1, 6, 8)
    isolated, gained = element_energies(frames, {1: -1.0, 6: -2.0, 8: -3.0})
    assert isolated == (-1.0, -2.0, -3.0) and gained.shape == (3,)
    fitted, nothing = element_energies(frames, {})
    np.testing.assert_allclose(fitted, np.array(isolated) + gained, atol=1e-9)
    assert (nothing == 0).all()
    with pytest.raises(ConfigError, match="hold O"):
        element_energies(frames, {1: -1.0, 6: -2.0})


def test_a_law_is_learned_saved_and_used(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write("frames.xyz", copper(50), format="extxyz")
    run = train(config(save_as=str(tmp_path / "potential")))
    assert run is not None and (run.path / "report.html").is_file()
    assert "meV/atom" in capsys.readouterr().out
    potential = Potential.from_pretrained(tmp_path / "potential", device="cpu")
    unseen = Frames.from_atoms(copper(20, seed=1))
    scores, _ = errors(potential, unseen)
    spread = 1000 * unseen.forces.std()
    assert scores["force_rmse"] < 0.2 * spread and scores["energy_rmse"] < 10
    assert potential.card["metrics"]["val_force_rmse"] < 0.2 * spread

    crystal = bulk("Cu", cubic=True).repeat(2)
    crystal.rattle(0.05, seed=2)
    crystal.calc = potential.calculator()
    assert BFGS(crystal, logfile=None).run(fmax=0.02, steps=60)
    np.testing.assert_allclose(crystal.get_all_distances(mic=True)[0, 1:4], 3.61 / 2**0.5, atol=0.06)

    thermalize_momenta(crystal, temperature_K=300, rng=np.random.default_rng(0))
    energies, kinetic = [crystal.get_total_energy()], crystal.get_kinetic_energy()
    for _ in range(10):
        VelocityVerlet(crystal, timestep=2 * units.fs).run(4)
        energies.append(crystal.get_total_energy())
    assert np.ptp(energies) < 0.02 * kinetic


def test_what_cannot_be_trained_is_said_before(tmp_path, monkeypatch):
    with pytest.raises(ValidationError, match="second derivatives"):
        config(trainer=TrainerConfig(epochs=1, batch_size=1, precision="bf16"))
    splits = {"train": Frames.from_atoms(copper(2)), "val": Frames.from_atoms([labelled(bulk("Al"))])}
    with pytest.raises(ConfigError, match="hold Al"):
        make_task(config(), splits, CPU)
    with pytest.raises(ConfigError, match="names Xx"):
        monkeypatch.chdir(tmp_path)
        write("frames.xyz", copper(30), format="extxyz")
        train(config(data=OwnFrames(name="frame-files", path="frames.xyz", isolated_ev={"Xx": 1.0})))
