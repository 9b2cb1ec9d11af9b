"""Files that are not what they should be are refused, and nothing in them runs."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from common.app.errors import CheckpointError
from protein.weights.alphafold import load_alphafold
from protein.weights.esm2 import load_esm2
from protein.weights.esmfold import load_esmfold
from protein.weights.files import Inert, read_checkpoint
from protein.weights.openfold import load_openfold

GOLDEN = Path(__file__).parents[1] / "golden"


class Hostile:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


class Settings:
    def __init__(self):
        self.layers = 2


@pytest.mark.parametrize("load", [load_openfold, load_esm2])
def test_code_in_a_checkpoint_does_not_run(load, tmp_path):
    torch.save({"model": Hostile(tmp_path / "canary")}, tmp_path / "hostile.pt")
    with pytest.raises(CheckpointError):
        load(tmp_path / "hostile.pt")
    assert not (tmp_path / "canary").exists()


def test_code_in_an_npz_does_not_run(tmp_path):
    array = np.array([Hostile(tmp_path / "canary")], dtype=object)
    np.savez(tmp_path / "hostile.npz", array=array)
    with pytest.raises(CheckpointError, match="plain arrays"):
        load_alphafold(tmp_path / "hostile.npz")
    assert not (tmp_path / "canary").exists()


def test_foreign_settings_beside_tensors_are_not_built(tmp_path):
    torch.save({"cfg": Settings(), "model": {"a": torch.ones(2)}}, tmp_path / "settings.pt")
    content = read_checkpoint(tmp_path / "settings.pt")
    assert type(content["cfg"]) is Inert
    assert vars(content["cfg"]) == {}
    assert torch.equal(content["model"]["a"], torch.ones(2))


@pytest.mark.parametrize("load", [load_openfold, load_esm2, load_alphafold])
@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps([1]), b"PK\x03\x04broken"])
def test_damaged_files_are_refused(load, content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CheckpointError, match="file"):
        load(tmp_path / "file")
    with pytest.raises(CheckpointError, match="no such file"):
        load(tmp_path / "absent")


def test_the_checkpoint_of_another_model_is_refused():
    with pytest.raises(CheckpointError, match="no weights of OpenFold"):
        load_openfold(GOLDEN / "esm2_fair.pt")
    with pytest.raises(CheckpointError, match="fair-esm"):
        load_esm2(GOLDEN / "openfold.pt")
    with pytest.raises(CheckpointError, match="no folding model"):
        load_esmfold(GOLDEN / "esm2")


def test_tensors_that_have_no_place_are_named(tmp_path):
    weights = torch.load(GOLDEN / "openfold.pt", weights_only=True)
    torch.save(weights | {"structure_module.extra.weight": torch.ones(1)}, tmp_path / "more.pt")
    with pytest.raises(CheckpointError, match=r"structure_module\.extra\.weight"):
        load_openfold(tmp_path / "more.pt")
    weights.pop("evoformer.linear.bias")
    torch.save(weights, tmp_path / "less.pt")
    with pytest.raises(CheckpointError, match=r"to_single\.bias"):
        load_openfold(tmp_path / "less.pt")


def test_parameters_of_the_multimer_are_refused(tmp_path):
    with np.load(GOLDEN / "openfold.npz") as arrays:
        weights = {name: arrays[name] for name in arrays.files}
    weights["alphafold/alphafold_iteration/evoformer/~_relative_encoding/position_activations//bias"] = np.ones(2)
    np.savez(tmp_path / "multimer.npz", **weights)
    with pytest.raises(CheckpointError, match="_relative_encoding"):
        load_alphafold(tmp_path / "multimer.npz")


def test_a_folder_whose_index_points_elsewhere_is_refused(tmp_path):
    folder = shutil.copytree(GOLDEN / "esm2", tmp_path / "esm2")
    save_file(load_file(folder / "model.safetensors"), tmp_path / "outside.safetensors")
    index = {"weight_map": {"esm.embeddings.word_embeddings.weight": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"\.\./outside"):
        load_esm2(folder)


def test_a_truncated_folder_is_refused(tmp_path):
    folder = shutil.copytree(GOLDEN / "esmfold", tmp_path / "esmfold")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        load_esmfold(folder)
    weights.unlink()
    with pytest.raises(CheckpointError, match="no such file"):
        load_esmfold(folder)
