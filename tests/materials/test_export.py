"""Networks of materials over plain tensors are the models, on other sizes too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from common.app.errors import ConfigError
from common.export import compared, export
from materials import Potential, PropertyPredictor
from materials.export import NETWORKS, PotentialNetwork, exportable, exportable_properties, owners
from materials.models.ace import ACE, Surroundings
from materials.models.molecular_gnn import GIN, MolecularGNNConfig


def test_owners_of_consecutive_rows() -> None:
    assert owners(torch.tensor([2, 0, 1]), 3).tolist() == [0, 0, 2]


@pytest.mark.parametrize("model", ["mp2018-eform", "mp2018-moduli", "tox21", "expt-gap"])
def test_a_network_over_plain_tensors_is_the_model(model: str) -> None:
    one, _ = exportable(model)
    with torch.no_grad():
        parity = compared(one, lambda inputs: one.module(**inputs))
    assert parity["value"] < 1e-5


def test_a_shipped_model_agrees_after_export(tmp_path: Path) -> None:
    one, card = exportable("esol")
    assert export(one, card, "torch-export", tmp_path / "out")["value"] < 1e-5


def test_a_potential_carries_its_derivatives_along(tmp_path: Path) -> None:
    one, card = exportable("mlip-mlearn-cu")
    parity = export(one, card, "torch-export", tmp_path / "out")
    assert max(parity.values()) < 1e-5
    potential = Potential.from_pretrained("mlip-mlearn-cu", device="cpu")
    atoms = Atoms("Cu5", np.random.default_rng(0).uniform(0, 4, (5, 3)), cell=[6, 6, 6], pbc=True)
    (expected,) = potential.evaluate([atoms])
    near = Surroundings.of(potential.graph([atoms]), potential.model.config.cutoff_a)
    module = torch.export.load(tmp_path / "out/model.pt2").module()
    energy, forces, virial = module(numbers=torch.from_numpy(atoms.numbers), other=near.other, vectors=near.vectors)
    assert float(energy.sum()) == pytest.approx(expected.energy_ev, abs=1e-5)
    assert np.allclose(forces, expected.forces_ev_a, atol=1e-4)
    assert np.allclose(virial.sum(dim=0) / atoms.get_volume(), expected.stress_ev_a3, atol=1e-5)


def test_free_places_of_the_neighbour_table_add_nothing() -> None:
    potential = Potential.from_pretrained("mlip-mlearn-cu", device="cpu")
    assert isinstance(potential.model, ACE)
    graph, cutoff = potential.graph([Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]])]), potential.model.config.cutoff_a
    near, network = Surroundings.of(graph, cutoff), PotentialNetwork(potential.model)
    free = torch.tensor([cutoff, 0.0, 0.0]).expand(2, 3, 3)
    wider = torch.cat([near.other, near.other.new_zeros(2, 3)], dim=1), torch.cat([near.vectors, free], dim=1)
    narrow = network(graph.numbers, near.other, near.vectors)
    for one, other in zip(narrow, network(graph.numbers, *wider), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_an_architecture_that_cannot_be_exported_says_which_can() -> None:
    predictor = PropertyPredictor.from_pretrained("esol", device="cpu")
    card = {**predictor.card, "architecture": "gin"}
    with pytest.raises(ConfigError, match=r"esol \(gin\) cannot be exported.*DMPNN, ElementAttention"):
        exportable_properties(PropertyPredictor(GIN(MolecularGNNConfig(width=8)), card, "cpu"))
    assert GIN not in NETWORKS
