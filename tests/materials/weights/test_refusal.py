"""Files that are not what they should be are refused, and nothing in them runs."""

import json
import pickle

import pytest
import torch

from common.app.errors import CheckpointError, ConfigError
from materials.potential import Potential
from materials.weights.chgnet import convert_chgnet
from materials.weights.matgl import convert_m3gnet
from materials.weights.megnet_keras import convert_megnet_keras
from materials.weights.published import PUBLISHED, published


class Hostile:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, save):
    canary, path = tmp_path / "canary", tmp_path / "model.pth.tar"
    save({"model": Hostile(canary)}, path)
    with pytest.raises(CheckpointError, match=r"model\.pth\.tar"):
        convert_chgnet({"model.pth.tar": path})
    assert not canary.exists()


def test_other_content_is_named(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"state": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="no CHGNet checkpoint"):
        convert_chgnet({"weights.pt": path})
    with pytest.raises(CheckpointError, match="no such file"):
        convert_chgnet({"x": tmp_path / "absent"})


def test_settings_of_another_architecture_are_named(tmp_path):
    settings, state = tmp_path / "model.json", tmp_path / "state.pt"
    torch.save({}, state)
    content = {"kwargs": {"model": {"@class": "M3GNet", "init_args": {"max_l": 4}}}}
    settings.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="max_l is 4; expected 3"):
        convert_m3gnet({"model.json": settings, "state.pt": state})
    settings.write_text(json.dumps({"kwargs": {"model": {"@class": "SO3Net", "init_args": {}}}}))
    with pytest.raises(CheckpointError, match="SO3Net; expected a M3GNet"):
        convert_m3gnet({"model.json": settings, "state.pt": state})


def test_every_entry_can_be_fetched_checked_and_cited():
    for name, model in PUBLISHED.items():
        assert model.weights.name == name
        assert "doi:" in model.weights.citation and model.weights.licence and model.card["elements"]
        for file in model.weights.files:
            assert file.sha256 and len(file.sha256) == 64 and file.bytes > 0
            assert file.url and file.url.startswith("https://")


def test_a_wrong_name_says_the_nearest():
    with pytest.raises(ConfigError, match=r"Did you mean 'chgnet-0\.3\.0'"):
        published("chgnet-0.3")
    with pytest.raises(CheckpointError, match="predicts a property"):
        Potential.from_pretrained("megnet-mp-2018.6.1-eform")


def test_damaged_keras_weights_are_named(tmp_path):
    path = tmp_path / "formation_energy.hdf5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(CheckpointError, match=r"formation_energy\.hdf5 is no MEGNet"):
        convert_megnet_keras({path.name: path})
