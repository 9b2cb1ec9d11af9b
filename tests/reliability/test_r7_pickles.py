"""R7: nothing that is read from a file is ever executed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.app.errors import TrifoldError
from common.data.artifact import MANIFEST, sha256_of
from materials import PropertyPredictor
from materials.convert_cgcnn import convert_cgcnn
from materials.data.crystals import Crystals


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return PropertyPredictor.from_pretrained("mp2018-eform", device="cpu").save_pretrained(tmp_path / "model")


def seal(folder: Path) -> None:
    """A manifest that fits: the attacker has one too."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in folder.iterdir()
        if path.name != MANIFEST
    }
    (folder / MANIFEST).write_text(json.dumps({"files": files}))


def test_a_pickle_in_place_of_weights_is_refused(model: Path, tmp_path: Path) -> None:
    for payload in (pickle.dumps(Hostile(tmp_path / "canary")), b"\x80\x04."):
        (model / "model.safetensors").write_bytes(payload)
        seal(model)
        with pytest.raises(TrifoldError, match=r"model\.safetensors"):
            PropertyPredictor.from_pretrained(model, device="cpu")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("key", ["architecture", "hyper_parameters"])
def test_a_card_can_name_no_object_outside_the_registry(model: Path, tmp_path: Path, key: str) -> None:
    card = json.loads((model / "model.json").read_text())
    command = {"_target_": "os.system", "command": f"touch {tmp_path / 'canary'}"}
    card[key] = "os:system" if key == "architecture" else command
    (model / "model.json").write_text(json.dumps(card))
    seal(model)
    with pytest.raises(TrifoldError):
        PropertyPredictor.from_pretrained(model, device="cpu")
    assert not (tmp_path / "canary").exists()


def test_an_official_checkpoint_with_code_in_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "formation-energy-per-atom.pth.tar"
    torch.save({"state_dict": Hostile(tmp_path / "canary")}, path)
    with pytest.raises(TrifoldError, match="without running code"):
        convert_cgcnn(path, tmp_path / "atom_init.json")
    assert not (tmp_path / "canary").exists()


def test_a_packed_data_set_with_objects_in_it_is_refused(tmp_path: Path) -> None:
    objects = np.array([Hostile(tmp_path / "canary")], dtype=object)
    np.savez(tmp_path / "data.npz", id=objects, n_atoms=objects, lattice=objects, z=objects, frac=objects)
    with pytest.raises(TrifoldError, match=r"data\.npz"):
        Crystals.from_npz(tmp_path / "data.npz")
    assert not (tmp_path / "canary").exists()
