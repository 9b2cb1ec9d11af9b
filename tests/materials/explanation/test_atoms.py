"""Contributions of atoms: they add up, are exact where the head is linear, and know nothing of order and batch."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.app.errors import ConfigError
from materials.data.molecular_graphs import MolecularGraphs
from materials.data.read_molecule import read_molecule
from materials.explanation.atoms import atom_contributions
from materials.explanation.drawing import contribution_svg
from materials.models.dmpnn import DMPNN, DMPNNConfig
from materials.models.molecular_gnn import GIN, AttentiveFP, MolecularGNNConfig

CPU = torch.device("cpu")
SMILES = ["CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1", "C", "[Na+].[Cl-]", "OC(=O)c1ccccc1OC(C)=O"]
GRAPHS = MolecularGraphs.from_smiles(SMILES)
OWNER = torch.repeat_interleave(torch.from_numpy(GRAPHS.n_atoms))


def batch_of(model: nn.Module, descriptors: Tensor | None = None, ids: tuple[int, ...] = (0, 1, 2, 3, 4)):
    return model.pack(GRAPHS, descriptors).gather(torch.tensor(ids), CPU)


def models() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    gin = GIN(MolecularGNNConfig(width=24, readout_width=24, properties=2))
    made = {"gin": gin}
    for aggregation in ("mean", "norm"):
        config = DMPNNConfig(width=32, readout_width=32, members=3, properties=2, aggregation=aggregation)
        made[aggregation] = DMPNN(config)
    for model in made.values():
        model.head.scale.mean.copy_(torch.tensor([-3.0, 2.0]))
        model.head.scale.scale.copy_(torch.tensor([2.0, 0.5]))
    return {name: model.eval().requires_grad_(False) for name, model in made.items()}


@pytest.mark.parametrize("name", ["gin", "mean", "norm"])
def test_contributions_add_up_to_prediction_less_baseline(name: str) -> None:
    model = models()[name]
    batch = batch_of(model)
    value, baseline = atom_contributions(model, batch)
    total = baseline.index_add(0, OWNER, value)
    predicted = model(batch).mean(dim=1)
    assert (predicted - baseline).abs().min() > 1e-5
    torch.testing.assert_close(total, predicted, rtol=0, atol=2e-3 * float((predicted - baseline).abs().max()))


def test_where_the_head_is_linear_they_are_its_products_with_the_atoms_vectors() -> None:
    model = models()["norm"]
    model.head.hidden.bias.add_(1000.0)  # every hidden unit is always on
    value, _ = atom_contributions(model, batch_of(model))
    slope = torch.einsum("mch,mht->mct", model.head.hidden.weight, model.head.output.weight) * model.head.scale.scale
    single = torch.stack([model.fingerprint(batch_of(model))[i] for i in range(5)])
    expected = torch.einsum("bmc,mct->bt", single, slope) / 3
    torch.testing.assert_close(torch.zeros(5, 2).index_add(0, OWNER, value), expected, rtol=1e-3, atol=1e-5)


def test_equivalent_atoms_contribute_alike_in_any_order_and_batch() -> None:
    model = models()["mean"]
    value, _ = atom_contributions(model, batch_of(model))
    benzene = value[OWNER == 1]
    torch.testing.assert_close(benzene, benzene[:1].expand(6, -1))
    aspirin, written_otherwise = value[OWNER == 0], value[OWNER == 4]
    torch.testing.assert_close(*(one.sort(dim=0).values for one in (aspirin, written_otherwise)), rtol=1e-4, atol=1e-6)
    alone, _ = atom_contributions(model, batch_of(model, ids=(4,)))
    torch.testing.assert_close(alone, written_otherwise, rtol=1e-4, atol=1e-6)


def test_descriptors_belong_to_the_baseline() -> None:
    torch.manual_seed(0)
    model, descriptors = DMPNN(DMPNNConfig(width=16, readout_width=16, descriptors=3)), torch.randn(5, 3)
    model.eval().requires_grad_(False).head.fit(torch.randn(5, 1), descriptors)
    batch = batch_of(model, descriptors)
    value, baseline = atom_contributions(model, batch)
    assert len(baseline.unique()) > 1
    torch.testing.assert_close(baseline.index_add(0, OWNER, value), model(batch).mean(dim=1), rtol=1e-4, atol=1e-4)


def test_a_network_that_does_not_sum_over_atoms_is_refused() -> None:
    model = AttentiveFP(MolecularGNNConfig(width=16, readout_width=16)).eval()
    with pytest.raises(ConfigError, match="AttentiveFP does not sum over atoms"):
        atom_contributions(model, batch_of(model))


@pytest.mark.parametrize("smiles", [*SMILES, "*CC(*)c1ccccc1", "F[C@H](Cl)Br"])
def test_drawing_is_svg_with_a_disc_for_each_atom_and_the_legend(smiles: str) -> None:
    molecule = read_molecule(smiles)
    atoms = molecule.GetNumAtoms()
    svg = contribution_svg(molecule, np.linspace(-1, 1, atoms) if atoms > 1 else np.ones(1), "a < b & c")
    root = ET.fromstring(svg)
    discs = [node for node in root.iter() if node.tag.endswith("ellipse")]
    assert root.tag.endswith("svg") and len(discs) == atoms


def test_colour_follows_sign_and_size() -> None:
    molecule = read_molecule("CCC")
    discs = [
        node.attrib["style"]
        for node in ET.fromstring(contribution_svg(molecule, np.array([-1.0, 0.0, 1.0]))).iter()
        if node.tag.endswith("ellipse")
    ]
    red, blue = ([int(style.split("fill:#")[1][i : i + 2], 16) for style in discs] for i in (0, 4))
    assert blue[0] > red[0] and red[2] > blue[2] and red[1] == blue[1] == 255
    nothing = contribution_svg(molecule, np.zeros(3))
    assert nothing.count("fill:#FFFFFF") >= 3
    assert contribution_svg(molecule, np.full(3, 0.1), largest=1.0) != contribution_svg(molecule, np.full(3, 0.1))
