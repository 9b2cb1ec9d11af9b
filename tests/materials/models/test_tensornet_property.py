"""A network of properties over all pairs of atoms, which may start from a potential."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell

from common.app.cli import main
from common.app.composition import load_config
from materials.config import TrainConfig
from materials.models.atomic_graph import AtomicGraph
from materials.models.packed_structures import PackedStructures
from materials.models.tensornet import Messages, TensorNet, TensorNetConfig, per_component
from materials.models.tensornet_property import TensorNetProperty, TensorNetPropertyConfig
from materials.potential import Potential
from materials.predictor import PropertyPredictor
from materials.samples import load_samples
from materials.study import make_task

CUTOFF_A = 4.5
SMALL = [
    "model=tensornet_property", "data=ionic-lattice", "model.width=8", "model.layers=1", "model.members=2",
    "data.train_limit=30", "data.val_limit=10", "trainer.epochs=1", "trainer.batch_size=10",
    "trainer.device=cpu",
]  # fmt: skip


def structures() -> list[Atoms]:
    random = np.random.default_rng(0)
    places = random.random((6, 3)) * 0.1 + np.linspace(0, 0.8, 6)[:, None]
    skewed = Atoms("Li2FeO3", scaled_positions=places, cell=[[7, 0, 0], [2, 6, 0], [1, -2, 6.5]], pbc=True)
    return [bulk("NaCl", "rocksalt", a=5.64), bulk("ZnS", "wurtzite", a=3.82, c=6.26), bulk("W"), skewed]


def model(readout: str) -> TensorNetProperty:
    torch.manual_seed(0)
    config = TensorNetPropertyConfig(width=16, cutoff_a=CUTOFF_A, readout_width=16, members=2, properties=3)
    made = TensorNetProperty(TensorNetPropertyConfig(**{**vars(config), "readout": readout})).double()
    made.scale.set(torch.randn(119, 3).double(), 0.7)
    return made.eval()


def batch(atoms: list[Atoms]) -> AtomicGraph:
    packed = PackedStructures.of(atoms, CUTOFF_A, torch.float64)
    return packed.gather(torch.arange(len(atoms)), torch.device("cpu"))


def changed(atoms: Atoms) -> Atoms:
    """Named, placed, turned and mirrored otherwise, and twice the cell."""
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    atoms = make_supercell(atoms, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]])
    moved = Atoms(atoms.numbers, (atoms.positions + 0.7) @ -turn, cell=atoms.cell.array @ -turn, pbc=True)
    return moved[np.random.default_rng(2).permutation(len(moved))]


@pytest.mark.parametrize("readout", ["mean", "attention"])
@torch.no_grad()
def test_how_a_crystal_is_described_changes_nothing(readout: str) -> None:
    expected = model(readout)(batch(structures()))
    assert expected.shape == (4, 2, 3)
    assert expected.std() > 0.01
    assert torch.allclose(model(readout)(batch([changed(one) for one in structures()])), expected, atol=1e-10)


@torch.no_grad()
def test_a_crystal_does_not_see_the_others_of_its_batch() -> None:
    together, packed = model("mean")(batch(structures())), PackedStructures.of(structures(), CUTOFF_A, torch.float64)
    alone = [model("mean")(packed.gather(torch.tensor([i]), torch.device("cpu"))) for i in (3, 1)]
    assert torch.allclose(torch.cat(alone), together[[3, 1]], atol=1e-12)


def test_packed_structures_give_the_graph_of_the_structures_chosen() -> None:
    chosen = [2, 0, 3]
    packed = PackedStructures.of(structures(), CUTOFF_A).gather(torch.tensor(chosen), torch.device("cpu"))
    direct = AtomicGraph.from_atoms([structures()[i] for i in chosen], CUTOFF_A)
    for name in ("numbers", "structure", "volumes", "first", "second", "vectors"):
        assert torch.equal(getattr(packed, name), getattr(direct, name)), name


def test_messages_and_their_gradients_are_those_of_the_plain_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("materials.models.tensornet.PAIRS_AT_ONCE", 3)
    torch.manual_seed(0)
    first, second = torch.tensor([0, 0, 1, 2, 2, 3, 0]), torch.tensor([1, 0, 2, 2, 3, 0, 3])
    own = torch.randn(4, 9, 2, dtype=torch.float64, requires_grad=True)
    filters = torch.randn(7, 3, 2, dtype=torch.float64, requires_grad=True)
    wide = per_component(filters)
    plain = torch.zeros_like(own).index_add(0, first, own[second] * wide).index_add(0, second, own[first] * wide)
    assert torch.allclose(Messages.apply(own, filters, first, second), plain, atol=1e-14)
    assert torch.autograd.gradcheck(lambda a, f: Messages.apply(a, f, first, second), (own, filters))


@pytest.fixture
def potential(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    card = {"name": "small", "architecture": "tensornet", "elements": list(range(1, 95))}
    network = TensorNet(TensorNetConfig(width=8, layers=1, cutoff_a=CUTOFF_A))
    return Potential(network, card, "cpu").save_pretrained(tmp_path / "potential")


def test_every_member_starts_from_what_the_potential_has_learned(potential: Path) -> None:
    config = load_config("materials", "train", [*SMALL, f"data.cutoff_a={CUTOFF_A}", f"start_from={potential}"])
    assert isinstance(config, TrainConfig)
    data = config.property_data
    splits = {split: load_samples(data, split, limit=20, sees=config.sees) for split in ("train", "val")}
    started = make_task(config, splits, torch.device("cpu")).model
    learned = Potential.from_pretrained(potential, "cpu").model.state_dict()
    core = [name for name in learned if name.startswith("core.")]
    assert len(core) > 20
    for member in started.networks:  # pyright: ignore
        own = member.state_dict()  # pyright: ignore
        assert all(torch.equal(own[name], learned[name]) for name in core)
    readouts = [network.readout.atom[0].weight for network in started.networks]  # pyright: ignore
    assert not torch.equal(*readouts)


def test_pairs_of_another_reach_are_refused(potential: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["materials", "train", *SMALL, f"start_from={potential}", "check=true"]) == 1
    assert "sees pairs of atoms up to 4.5 Å, this model up to 8 Å; set data.cutoff_a=4.5" in capsys.readouterr().err


def test_it_learns_and_predicts(potential: Path, tmp_path: Path) -> None:
    settings = [*SMALL, f"data.cutoff_a={CUTOFF_A}", f"start_from={potential}", f"run_dir={tmp_path / 'run'}"]
    assert main(["materials", "train", *settings]) == 0
    predictor = PropertyPredictor.from_pretrained(tmp_path / "run" / "model", "cpu")
    assert predictor.card["substance"] == "atoms"
    assert "started_from" not in predictor.card  # no published one
    salt = bulk("NaCl", "rocksalt", a=5.64)
    frame = predictor.predict([salt, changed(salt), bulk("W")])
    first, second = frame["lattice_energy"][:2]
    assert second == pytest.approx(first, rel=1e-5)
    assert "did not" in frame["error"][2]
    assert predictor.explain(salt)["lattice_energy"].sum() == pytest.approx(first, rel=1e-4)
