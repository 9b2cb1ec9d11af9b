"""Nearest training materials: each finds itself, distances are those of the vectors, and a file holds them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk
from scipy.spatial.distance import cdist

from common.app.errors import CheckpointError, ConfigError, DataFormatError
from common.data.artifact import read_tensors, write_artifact
from materials.data.molecular_graphs import MolecularGraphs
from materials.explanation.nearest import BYTES, TrainingIndex, readouts, represent
from materials.models.dmpnn import DMPNN, DMPNNConfig
from materials.models.residual_cgcnn import ResidualCGCNN, ResidualCGCNNConfig
from materials.substances.crystal import Crystal


def some(n: int = 300, width: int = 20, seed: int = 0) -> tuple[np.ndarray, torch.Tensor, np.ndarray]:
    """Vectors of falling variance, as networks make them."""
    rng = np.random.default_rng(seed)
    vectors = torch.from_numpy(rng.normal(size=(n, width)) * 0.8 ** np.arange(width) + 5).float()
    return np.array([f"mp-{i}" for i in range(n)]), vectors, rng.normal(size=(n, 2))


def test_a_training_material_is_its_own_nearest() -> None:
    ids, vectors, target = some()
    found = TrainingIndex.build(ids, vectors, target).nearest(vectors[:50], k=3)
    assert (found.ids[:, 0] == ids[:50]).all() and (found.distance[:, 0] == 0).all()
    np.testing.assert_allclose(found.target[:, 0], target[:50], rtol=1e-6)
    assert (np.diff(found.distance, axis=1) >= 0).all() and (found.distance[:, 1] > 0).all()


def test_distances_are_those_of_the_vectors_in_units_of_the_typical_one() -> None:
    ids, vectors, target = some()
    new = some(40, seed=1)[1]
    found = TrainingIndex.build(ids, vectors, target).nearest(new, k=5)
    among = cdist(vectors, vectors) + np.diag(np.full(len(vectors), np.inf))
    exact = cdist(new, vectors) / np.median(among.min(axis=1))
    np.testing.assert_allclose(found.distance, np.sort(exact, axis=1)[:, :5], rtol=0.02)
    assert np.mean(found.ids[:, 0] == ids[exact.argmin(axis=1)]) > 0.95


def test_few_components_keep_the_neighbours_of_what_lies_near_a_plane() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 200))
    vectors = torch.from_numpy(plane + 0.01 * rng.normal(size=plane.shape)).float()
    index = TrainingIndex.build([str(i) for i in range(400)], vectors[:400], np.zeros((400, 1)))
    assert index.vectors.shape[1] == 32
    exact = cdist(vectors[400:], vectors[:400]).argmin(axis=1)
    assert np.mean(index.nearest(vectors[400:], 1).ids[:, 0].astype(int) == exact) > 0.97


def test_it_stays_within_its_bytes() -> None:
    n = 45_000
    index = TrainingIndex.build(
        [f"mp-{i + 1_000_000}" for i in range(n)], torch.randn(n, 64, generator=torch.manual_seed(0)), np.zeros((n, 1))
    )
    assert 0.9 * BYTES < sum(tensor.nbytes for tensor in index.to_tensors().values()) <= BYTES


def test_a_safetensors_file_holds_it(tmp_path) -> None:
    ids, vectors, target = some(30)
    ids[3], target[2, 1] = "Größe, α-Al₂O₃", np.nan
    index = TrainingIndex.build(ids, vectors, target)
    write_artifact(tmp_path / "model", {"training.safetensors": index.to_tensors()})
    again = TrainingIndex.from_tensors(read_tensors(tmp_path / "model", "training.safetensors"))
    for one, other in zip(index.nearest(vectors), again.nearest(vectors), strict=True):
        np.testing.assert_array_equal(one, other)
    damaged = index.to_tensors() | {"target": torch.zeros(29, 2)}
    with pytest.raises(CheckpointError, match="30 ids, 29 targets"):
        TrainingIndex.from_tensors(damaged)


def test_duplicates_and_tiny_sets_work() -> None:
    vectors = torch.ones(4, 3)
    found = TrainingIndex.build(list("abcd"), vectors, np.zeros((4, 1))).nearest(vectors[:1], k=10)
    assert found.ids.tolist() == [["a", "b", "c", "d"]] and np.isfinite(found.distance).all()


def test_wrong_requests_say_so() -> None:
    ids, vectors, target = some(10)
    index = TrainingIndex.build(ids, vectors, target)
    with pytest.raises(DataFormatError, match="width 3"):
        index.nearest(torch.zeros(1, 3))
    with pytest.raises(ConfigError, match="k=0"):
        index.nearest(vectors, 0)
    with pytest.raises(DataFormatError, match="9 ids"):
        TrainingIndex.build(ids[:9], vectors, target)
    with pytest.raises(ConfigError, match="no `readout`"):
        represent(torch.nn.Linear(2, 2), None)


def test_molecules_are_represented_by_their_fingerprint() -> None:
    torch.manual_seed(0)
    smiles = ["CCO", "CCCO", "CCN", "OCC", "c1ccccc1"]
    model = DMPNN(DMPNNConfig(width=16, members=2)).eval()
    batch = model.pack(MolecularGraphs.from_smiles(smiles)).gather(torch.arange(5), torch.device("cpu"))
    vectors = represent(model, batch)
    assert vectors.shape == (5, 32)
    found = TrainingIndex.build(smiles[:3] + smiles[4:], vectors[[0, 1, 2, 4]], np.zeros((4, 1)))
    assert found.nearest(vectors[3:4], 1).ids.item() == "CCO"  # the same molecule


def test_crystals_are_represented_by_what_their_readout_sees() -> None:
    torch.manual_seed(0)
    config = ResidualCGCNNConfig(width=16, message_width=24, layers=1, readout_width=16, members=3)
    model, substance = ResidualCGCNN(config).eval(), Crystal()
    atoms = [bulk("NaCl", "rocksalt", a=5.64), bulk("NaCl", "rocksalt", a=5.64, cubic=True), bulk("W")]
    graphs = substance.graphs_of(atoms, {"neighbours": 12, "cutoff_a": 8.0, "collapse_tolerance_a": 1e-4})
    batch = substance.pack(model, graphs).gather(torch.arange(3), torch.device("cpu"))
    vectors = represent(model, batch)
    assert vectors.shape == (3, 48) and not any(one._forward_pre_hooks for one in model.modules())
    torch.testing.assert_close(vectors[0], vectors[1], rtol=1e-4, atol=1e-5)
    assert (vectors[0] - vectors[2]).abs().max() > 0.1
    # all atoms of W are alike: read out, its vector gives its prediction
    one_atom = replace(batch, crystal=torch.zeros(1, dtype=torch.int64), crystals=1, multiplicity=torch.ones(1))
    parts = [part for part, *_ in readouts(model, batch)]
    again = [part(own, one_atom) for part, own in zip(parts, vectors[2:].split(16, dim=1), strict=True)]
    torch.testing.assert_close(torch.stack(again, dim=1), model(batch)[2:])
