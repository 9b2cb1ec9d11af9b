"""CGCNN against the published layer written as it is printed: one concatenated vector and one matrix for each edge."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from ase.build import bulk
from ase.spacegroup import crystal as by_spacegroup

from materials.data.crystals import Crystals
from materials.data.graphs import k_nearest_graphs
from materials.data.symmetry import collapse
from materials.models.cgcnn import CGCNN, CGCNNConfig
from materials.predictor import floating
from materials.substances.crystal import PackedCrystals

CONFIG = CGCNNConfig(width=6, layers=2, readout_width=5, properties=2)


def batch_of(graphs, dtype=torch.float64):
    return floating(PackedCrystals.of(graphs).gather(torch.arange(len(graphs)), torch.device("cpu")), dtype)


def graphs_of(neighbours=12):
    atoms = [
        bulk("NaCl", "rocksalt", a=5.64, cubic=True),
        bulk("Cu", cubic=True),
        by_spacegroup(["Ti", "O"], [(0, 0, 0), (0.3, 0.3, 0)], spacegroup=136, cellpar=[4.6, 4.6, 2.95, 90, 90, 90]),
    ]
    return k_nearest_graphs(Crystals.from_atoms(atoms, ["NaCl", "Cu", "TiO2"]), neighbours)


def random_model(config=CONFIG, dtype=torch.float64):
    torch.manual_seed(0)
    model = CGCNN(config).to(dtype)
    model.scale.set(torch.randn(119, config.properties), 1.7)
    for module in model.modules():
        if hasattr(module, "running_var"):
            for name, low in {"running_mean": -1, "running_var": 0.5, "weight": 0.5, "bias": -1}.items():
                getattr(module, name).data.uniform_(low, low + 2)
    return model


def naive(model, batch):
    """The paper's equation 5, an edge at a time; running statistics are updated where the model trains."""
    config = model.config
    centres = torch.arange(config.basis, dtype=batch.distances.dtype) * (config.cutoff_a / (config.basis - 1))
    node = [model.embedding.weight[z] for z in batch.numbers]

    def norm(module, rows):
        statistics = module.running_mean, module.running_var
        return F.batch_norm(rows, *statistics, module.weight, module.bias, model.training, 0.1, 1e-5)

    for layer in model.convolutions:
        matrix = torch.cat([layer.centre.weight, layer.neighbour.weight, layer.filter.weight], dim=1)
        rows = []
        for i, (indices, distances) in enumerate(zip(batch.neighbours, batch.distances, strict=True)):
            for j, d in zip(indices, distances, strict=True):
                edge = torch.cat([node[i], node[j], torch.exp(-(((d - centres) / config.basis_width_a) ** 2))])
                rows.append(matrix @ edge + layer.centre.bias)
        gate, core = norm(layer.edge_norm, torch.stack(rows)).chunk(2, dim=1)
        message = (torch.sigmoid(gate) * F.softplus(core)).view(len(node), -1, config.width).sum(dim=1)
        node = list(F.softplus(torch.stack(node) + norm(layer.node_norm, message)))
    results = []
    for crystal in range(batch.crystals):
        atoms = [i for i in range(len(node)) if batch.crystal[i] == crystal]
        pooled = F.softplus(torch.stack([node[i] for i in atoms]).mean(dim=0))
        value = model.output(F.softplus(model.hidden(pooled))) * model.scale.scale
        results.append(value + torch.stack([model.scale.element_offset[batch.numbers[i]] for i in atoms]).mean(dim=0))
    return torch.stack(results)[:, None]


def assert_same(found, expected, tolerance):
    found, expected = found.detach(), expected.detach()
    assert torch.allclose(found, expected, rtol=tolerance, atol=tolerance * max(1.0, float(expected.abs().max())))


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-6), (torch.float32, 1e-5)])
@pytest.mark.parametrize("training", [True, False])
def test_equals_the_published_layer(training, dtype, tolerance):
    ours = random_model(dtype=dtype).train(training)
    theirs = copy.deepcopy(ours)
    batch = batch_of(graphs_of(5), dtype)
    found, expected = ours(batch), naive(theirs, batch)
    assert_same(found, expected, tolerance)
    gradients = [
        torch.autograd.grad(value.pow(2).sum(), list(model.parameters()))
        for value, model in ((found, ours), (expected, theirs))
    ]
    for one, other in zip(*gradients, strict=True):
        assert_same(one, other, 10 * tolerance)
    for one, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        assert_same(one, other, tolerance)


@pytest.mark.parametrize("training", [True, False])
def test_merged_nodes_give_what_all_atoms_give(training):
    """Outputs, gradients and running statistics; distances of equivalent atoms differ by their float32 rounding."""
    full = graphs_of()
    merged = collapse(full)
    assert len(merged.numbers) == 5
    results = []
    for graphs in (full, merged):
        model = random_model().train(training)
        value = model(batch_of(graphs))
        value.pow(2).sum().backward()
        results.append([value, *(p.grad for p in model.parameters()), *model.buffers()])
    for one, other in zip(*results, strict=True):
        assert_same(one, other, 1e-5)


def test_a_missing_neighbour_says_nothing_through_the_filter():
    graphs = graphs_of(4)
    graphs = replace(graphs, distances=graphs.distances.copy())
    graphs.distances[:, 3] = float("inf")
    model = random_model().eval()
    before = model(batch_of(graphs))
    far = replace(graphs, distances=graphs.distances.clip(max=1e4))  # beyond every Gaussian
    assert torch.equal(before, model(batch_of(far)))
    near = replace(graphs, distances=graphs.distances.clip(max=3.0))
    assert not torch.allclose(before, model(batch_of(near)))
