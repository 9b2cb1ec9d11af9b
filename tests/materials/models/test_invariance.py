"""What a crystal is called, where it lies and how its cell is chosen does not matter to any model."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell

from materials.data.crystals import Crystals
from materials.data.graphs import k_nearest_graphs
from materials.data.symmetry import collapse
from materials.models.cgcnn import CGCNN, CGCNNConfig
from materials.models.crystal_graph import CrystalGraphBatch
from materials.models.edge_network import EdgeNetwork, EdgeNetworkConfig
from materials.models.residual_cgcnn import ResidualCGCNN, ResidualCGCNNConfig
from materials.substances.crystal import PackedCrystals

MODELS = {
    "cgcnn": partial(CGCNN, CGCNNConfig(width=16, layers=3, properties=2)),
    "residual_cgcnn": partial(
        ResidualCGCNN,
        ResidualCGCNNConfig(width=16, message_width=24, layers=3, readout_width=16, members=2, properties=3),
    ),
    "edge_network": partial(
        EdgeNetwork,
        EdgeNetworkConfig(width=16, message_width=24, layers=3, readout_width=16, members=2, properties=3),
    ),
    "attention": partial(
        ResidualCGCNN, ResidualCGCNNConfig(width=16, message_width=24, layers=3, readout_width=16, readout="attention")
    ),
}


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    model = MODELS[request.param]()
    model.scale.set(torch.randn(119, model.config.properties), 0.7)
    model.train()(batch(structures()))  # running statistics of some crystals
    return model.eval()


def structures() -> list[Atoms]:
    generator = np.random.default_rng(0)
    skewed = Atoms(
        "Li2FeO3",
        scaled_positions=generator.random((6, 3)) * 0.1 + np.linspace(0, 0.8, 6)[:, None],
        cell=[[7, 0, 0], [2, 6, 0], [1, -2, 6.5]],
        pbc=True,
    )
    return [bulk("NaCl", "rocksalt", a=5.64), bulk("ZnS", "wurtzite", a=3.82, c=6.26), bulk("W"), skewed]


def batch(atoms: list[Atoms], merge: bool = False) -> CrystalGraphBatch:
    graphs = k_nearest_graphs(Crystals.from_atoms(atoms, [str(i) for i in range(len(atoms))]))
    packed = PackedCrystals.of(collapse(graphs) if merge else graphs)
    return packed.gather(torch.arange(len(atoms)), torch.device("cpu"))


def rotated(atoms: Atoms) -> Atoms:
    matrix, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return Atoms(atoms.numbers, positions=atoms.positions @ matrix, cell=atoms.cell.array @ matrix, pbc=True)


def translated(atoms: Atoms) -> Atoms:
    return Atoms(atoms.numbers, positions=atoms.positions + np.array([0.31, -2.7, 11.3]), cell=atoms.cell, pbc=True)


def permuted(atoms: Atoms) -> Atoms:
    return atoms[np.random.default_rng(2).permutation(len(atoms))]


def supercell(atoms: Atoms) -> Atoms:
    return make_supercell(atoms, [[1, 1, 0], [-1, 1, 0], [0, 1, 2]])


@pytest.mark.parametrize("change", [rotated, translated, permuted, supercell])
@torch.no_grad()
def test_invariance(model: torch.nn.Module, change: Callable[[Atoms], Atoms]):
    expected = model(batch(structures()))
    found = model(batch([change(atoms) for atoms in structures()]))
    assert expected.std() > 0.01
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@torch.no_grad()
def test_merged_nodes_give_what_all_atoms_give(model: torch.nn.Module):
    supercells = [supercell(atoms) for atoms in structures()]
    full, merged = batch(supercells), batch(supercells, merge=True)
    assert len(merged.numbers) < len(full.numbers) / 3
    assert torch.allclose(model(merged), model(full), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_a_crystal_does_not_see_the_others_of_its_batch(model: torch.nn.Module):
    together = model(batch(structures()))
    alone = torch.cat([model(batch([atoms])) for atoms in structures()])
    assert torch.allclose(together, alone, rtol=1e-6, atol=1e-6)


def test_edges_changed_a_few_nodes_at_a_time_are_those_changed_together(monkeypatch: pytest.MonkeyPatch):
    model, whole = MODELS["edge_network"]().eval(), batch(structures())
    together = model(whole).detach()
    monkeypatch.setattr("materials.models.edge_network.AT_ONCE", 3)
    with torch.no_grad():
        assert torch.allclose(model(whole), together, atol=1e-5)


@torch.no_grad()
def test_an_edge_network_sees_nothing_where_there_is_no_neighbour():
    model, whole = MODELS["edge_network"]().eval(), batch(structures())
    distances, elsewhere = whole.distances.clone(), whole.neighbours.clone()
    distances[:, -3:] = torch.inf
    elsewhere[:, -3:] = elsewhere[:, -3:].flip(0)
    one, other = (model(replace(whole, distances=distances, neighbours=n)) for n in (whole.neighbours, elsewhere))
    assert torch.allclose(one, other, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(one, model(whole), rtol=1e-3)


def test_bfloat16_autocast_trains(model: torch.nn.Module):
    exact = model.train()(batch(structures())).detach()
    with torch.autocast("cpu", torch.bfloat16):
        value = model(batch(structures()))
    assert value.dtype == torch.float32
    assert torch.allclose(value, exact, atol=0.1 * float(exact.std()))
    value.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
