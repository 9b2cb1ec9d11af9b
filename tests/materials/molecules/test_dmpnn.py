"""D-MPNN against chemprop's own numbers (tests/materials/golden/make_chemprop.py) and against the plain recursion."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from materials.data.molecular_graphs import MolecularGraphs
from materials.models.dmpnn import DMPNN, DMPNNConfig
from materials.models.molecular_batch import PackedGraphs

GOLDEN = Path(__file__).parents[1] / "golden"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def graphs() -> MolecularGraphs:
    return MolecularGraphs.from_smiles((GOLDEN / "molecules_200.smi").read_text().split())


def chemprop_weights() -> dict[str, Tensor]:
    spec = importlib.util.spec_from_file_location("make_chemprop", GOLDEN / "make_chemprop.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: torch.from_numpy(value) for name, value in module.weights().items()}


def test_chemprop_weights_give_chemprop_outputs(graphs: MolecularGraphs) -> None:
    theirs = chemprop_weights()
    model = DMPNN(DMPNNConfig(properties=2)).eval()
    theirs["W_o.atom"], theirs["W_o.reached"] = theirs["message_passing.W_o.weight"].split([72, 300], dim=1)
    places = {
        "first.weight": "message_passing.W_i.weight",
        "message.weight": "message_passing.W_h.weight",
        "atom.weight": "W_o.atom",
        "reached.weight": "W_o.reached",
        "atom.bias": "message_passing.W_o.bias",
        "head.hidden.weight": "predictor.ffn.0.0.weight",
        "head.hidden.bias": "predictor.ffn.0.0.bias",
        "head.output.weight": "predictor.ffn.1.2.weight",
        "head.output.bias": "predictor.ffn.1.2.bias",
    }
    state = {ours: theirs[name].T[None] if "weight" in ours else theirs[name] for ours, name in places.items()}
    model.load_state_dict(state, strict=False)
    with torch.inference_mode():
        output = model(model.pack(graphs).gather(torch.arange(200), CPU))[:, 0].numpy()
    expected = np.load(GOLDEN / "chemprop.npz")["output"]
    assert expected.std(axis=0).min() > 0.1
    assert np.abs(output - expected).max() <= 1e-5


def plain_fingerprint(model: DMPNN, graphs: MolecularGraphs, member: int) -> Tensor:
    """The published recursion over every directed bond of every molecule."""
    batch = PackedGraphs(graphs).gather(torch.arange(len(graphs)), CPU)
    source, target = batch.edges
    half = len(source) // 2
    reverse = torch.cat([torch.arange(half) + half, torch.arange(half)])
    first = torch.cat([batch.atoms[source], batch.bonds], dim=1) @ model.first.weight[member]
    bond = first.relu()
    for _ in range(model.config.depth - 1):
        into = torch.zeros(len(batch.atoms), bond.shape[1]).index_add_(0, target, bond)
        bond = (first + (into[source] - bond[reverse]) @ model.message.weight[member]).relu()
    into = torch.zeros(len(batch.atoms), bond.shape[1]).index_add_(0, target, bond)
    bias = model.atom.bias.view(model.config.members, -1)[member]
    output = torch.cat([model.atom.weight[member], model.reached.weight[member]])
    atom = (torch.cat([batch.atoms, into], dim=1) @ output + bias).relu()
    return torch.zeros(len(graphs), atom.shape[1]).index_add_(0, batch.owner, atom)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_environments_lose_nothing(graphs: MolecularGraphs, depth: int) -> None:
    model = DMPNN(DMPNNConfig(width=24, depth=depth, members=3))
    fingerprint = model.fingerprint(model.pack(graphs).gather(torch.arange(200), CPU)) * 100
    for member in range(3):
        plain = plain_fingerprint(model, graphs, member)
        torch.testing.assert_close(fingerprint[:, member], plain, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_the_plain_recursion(graphs: MolecularGraphs) -> None:
    model = DMPNN(DMPNNConfig(width=16))
    ours = model.fingerprint(model.pack(graphs).gather(torch.arange(200), CPU)) * 100
    weights = [model.first.weight, model.message.weight, model.atom.weight, model.reached.weight, model.atom.bias]
    direction = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    got = torch.autograd.grad((ours[:, 0] * direction).sum(), weights)
    expected = torch.autograd.grad((plain_fingerprint(model, graphs, 0) * direction).sum(), weights)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


def test_prediction_depends_neither_on_the_batch_nor_on_the_order_of_atoms() -> None:
    torch.manual_seed(1)
    smiles = ["CC(=O)Oc1ccccc1C(=O)O", "OC(=O)c1ccccc1OC(C)=O", "O=C(O)c1ccccc1OC(=O)C", "C", "[Na+].[Cl-]"]
    model = DMPNN(DMPNNConfig(width=32)).eval()
    packed = model.pack(MolecularGraphs.from_smiles(smiles))
    with torch.inference_mode():
        together = model(packed.gather(torch.arange(5), CPU))
        alone = torch.cat([model(packed.gather(torch.tensor([i]), CPU)) for i in range(5)])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(together[:1].expand(3, -1, -1), together[:3])
    assert together.isfinite().all() and len(together.unique()) > 1


def test_members_learn_independently(graphs: MolecularGraphs) -> None:
    model = DMPNN(DMPNNConfig(width=16, members=3))
    output = model(model.pack(graphs).gather(torch.arange(20), CPU))
    output[:, 1].sum().backward()
    for parameter in model.parameters():
        gradient = parameter.grad.reshape(3, -1)
        assert not gradient[[0, 2]].any() and gradient[1].any()


def test_two_backward_passes_are_bit_identical(graphs: MolecularGraphs) -> None:
    model = DMPNN(DMPNNConfig(width=32))
    packed = model.pack(graphs)
    gradients = []
    for _ in range(2):
        model.zero_grad()
        model(packed.gather(torch.arange(200), CPU)).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.equal(*gradients)


def test_descriptors_reach_the_output_standardised(graphs: MolecularGraphs) -> None:
    model = DMPNN(DMPNNConfig(width=16, descriptors=2)).eval()
    descriptors = torch.tensor([1000.0, 0.0]) + torch.randn(200, 2) * torch.tensor([50.0, 0.0])
    model.head.fit(torch.randn(200, 1), descriptors)
    ids = torch.arange(200)
    first = model(model.pack(graphs, descriptors).gather(ids, CPU))
    rescaled = descriptors * 3
    model.head.fit(torch.randn(200, 1), rescaled)
    model.head.scale = type(model.head.scale)(1)
    second = model(model.pack(graphs, rescaled).gather(ids, CPU))
    moved = model(model.pack(graphs, rescaled * 2).gather(ids, CPU))
    scaled = (first - first.mean()) / first.std()
    torch.testing.assert_close(scaled, (second - second.mean()) / second.std(), rtol=1e-3, atol=1e-3)
    assert (moved - second).abs().max() > 1e-4
