"""The published CGCNN checkpoints: as the authors' code predicts, without running anything that a file contains."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from common.app.errors import CheckpointError
from materials.convert_cgcnn import PROPERTIES, convert_cgcnn
from materials.data.graphs import CrystalGraphs
from materials.data.symmetry import collapse
from materials.predictor import PropertyPredictor

GOLDEN = Path(__file__).parent / "golden" / "cgcnn_official.json"
"""Predictions of txie-93/cgcnn; the file says how it was made."""


@pytest.fixture(scope="module")
def weights() -> Path:
    """The folder of published checkpoints."""
    nearby = Path(__file__).parents[3] / "shared" / "data"
    roots = [os.environ.get("TRIFOLD_DATA"), os.environ.get("TRIFOLD_MIRROR"), nearby]
    folders = [Path(root) / "materials" / "weights" / "cgcnn" for root in roots if root]
    for folder in folders:
        if (folder / "atom_init.json").is_file():
            return folder
    pytest.skip(f"the published CGCNN checkpoints are in none of {', '.join(map(str, folders))}: set TRIFOLD_DATA")


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads(GOLDEN.read_text())


@pytest.fixture(scope="module")
def graphs(golden) -> CrystalGraphs:
    n_nodes, numbers = np.array(golden["n_nodes"]), np.array(golden["numbers"], np.uint8)
    neighbours = np.array(golden["neighbours"], np.int32).reshape(len(numbers), -1)
    distances = np.array(golden["distances"], np.float32).reshape(neighbours.shape)
    return CrystalGraphs(n_nodes, numbers, neighbours, distances, np.ones(len(numbers), np.int32), n_nodes)


def values(predictor: PropertyPredictor, graphs: CrystalGraphs) -> np.ndarray:
    return predictor.estimate(graphs).value[:, 0]


def atom_init(folder: Path, width: int = 3) -> Path:
    path = folder / "atom_init.json"
    path.write_text(json.dumps({str(z): [float(z == k) for k in range(width)] for z in range(1, 101)}))
    return path


@pytest.mark.parametrize("name", ["formation-energy-per-atom", "band-gap", "semi-metal-classification"])
def test_predicts_what_the_authors_code_predicts(name, weights, golden, graphs):
    predictor = convert_cgcnn(weights / f"{name}.pth.tar", weights / "atom_init.json")
    expected = np.array(golden["predictions"][name])
    assert np.ptp(expected) > 0.5
    assert np.abs(values(predictor, graphs) - expected).max() <= 1e-5
    assert np.abs(values(predictor, collapse(graphs)) - expected).max() <= 1e-4


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_checkpoint_survives_being_saved_and_loaded(name, weights, graphs, tmp_path):
    predictor = convert_cgcnn(weights / f"{name}.pth.tar", weights / "atom_init.json")
    expected = values(predictor, graphs)
    assert np.isfinite(expected).all()
    loaded = PropertyPredictor.from_pretrained(predictor.save_pretrained(tmp_path / name), device="cpu")
    assert np.array_equal(values(loaded, graphs), expected)
    assert (loaded.card["property"], loaded.card["unit"]) == PROPERTIES[name]


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Canary:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "canary"),)

    path = tmp_path / "band-gap.pth.tar"
    torch.save({"state_dict": Canary()}, path)
    with pytest.raises(CheckpointError, match="without running code"):
        convert_cgcnn(path, atom_init(tmp_path))
    path.write_bytes(pickle.dumps(Canary()))
    with pytest.raises(CheckpointError, match="without running code"):
        convert_cgcnn(path, atom_init(tmp_path))
    assert not (tmp_path / "canary").exists()


def test_what_is_no_checkpoint_is_refused_by_name(tmp_path):
    features = atom_init(tmp_path)
    with pytest.raises(CheckpointError, match=r"my-model\.pth\.tar: expected one of formation-energy"):
        convert_cgcnn(tmp_path / "my-model.pth.tar", features)
    with pytest.raises(CheckpointError, match=r"efermi\.pth\.tar: no such file"):
        convert_cgcnn(tmp_path / "efermi.pth.tar", features)
    path = tmp_path / "band-gap.pth.tar"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="lacks args, best_mae_error, normalizer"):
        convert_cgcnn(path, features)
    arguments = {"task": "regression", "atom_fea_len": 64, "n_conv": 4, "h_fea_len": 32, "n_h": 2}
    torch.save({"state_dict": {}, "normalizer": {"mean": 0, "std": 1}, "args": arguments, "best_mae_error": 0}, path)
    with pytest.raises(CheckpointError, match="n_h is 2"):
        convert_cgcnn(path, features)
    arguments["n_h"] = 1
    torch.save({"state_dict": {}, "normalizer": {"mean": 0, "std": 1}, "args": arguments, "best_mae_error": 0}, path)
    with pytest.raises(CheckpointError, match=r"not the layout.*embedding\.weight"):
        convert_cgcnn(path, features)
    features.write_text("[1, 2]")
    with pytest.raises(CheckpointError, match=r"atom_init\.json is no table"):
        convert_cgcnn(path, features)
