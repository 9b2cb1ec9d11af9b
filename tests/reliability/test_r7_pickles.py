"""R7: nothing that is read from a file is ever executed."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress
from pathlib import Path
from shutil import copytree
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

from common.app.errors import TrifoldError
from common.data.artifact import MANIFEST, sha256_of
from common.predictor import Predictor
from materials import Potential, PropertyPredictor
from materials.convert_cgcnn import convert_cgcnn
from materials.data.crystals import Crystals
from materials.data.inputs.structures import STRUCTURE_KEYS, store_structures
from materials.data.read import read_crystal
from protein import StructurePredictor
from protein.data.chains import Chains
from protein.data.read import read_chains
from weather import Forecaster
from weather.data.open import open_fields
from weather.weights.graphcast import load_graphcast


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


PREDICTORS = {
    "mp2018-eform": PropertyPredictor,
    "mlip-mlearn-cu": Potential,
    "speedy-5p625": Forecaster,
    "fold-small": StructurePredictor,
}


@pytest.fixture(params=PREDICTORS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[type[Predictor], Path]:
    """A predictor, and a shipped model of it in a folder that an attacker may write to."""
    kind = PREDICTORS[request.param]
    return kind, copytree(kind.shipped()[request.param], tmp_path / "model")


def seal(folder: Path) -> None:
    """A manifest that fits: the attacker has one too."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in folder.iterdir()
        if path.name != MANIFEST
    }
    (folder / MANIFEST).write_text(json.dumps({"files": files}))


def test_a_pickle_in_place_of_weights_is_refused(model: tuple[type[Predictor], Path], tmp_path: Path) -> None:
    kind, folder = model
    for payload in (pickle.dumps(Hostile(tmp_path / "canary")), b"\x80\x04."):
        (folder / "model.safetensors").write_bytes(payload)
        seal(folder)
        with pytest.raises(TrifoldError, match=r"model\.safetensors"):
            kind.from_pretrained(folder, device="cpu")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("key", ["architecture", "hyper_parameters"])
def test_a_card_can_name_no_object_outside_the_registry(
    model: tuple[type[Predictor], Path], tmp_path: Path, key: str
) -> None:
    kind, folder = model
    card = json.loads((folder / "model.json").read_text())
    command = {"_target_": "os.system", "command": f"touch {tmp_path / 'canary'}"}
    card[key] = "os:system" if key == "architecture" else command
    (folder / "model.json").write_text(json.dumps(card))
    seal(folder)
    with pytest.raises(TrifoldError):
        kind.from_pretrained(folder, device="cpu")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", PREDICTORS.values())
def test_what_a_model_keeps_beside_its_weights_is_no_pickle_either(kind: type[Predictor], tmp_path: Path) -> None:
    name = next(name for name, known in PREDICTORS.items() if known is kind)
    folder = copytree(kind.shipped()[name], tmp_path / "model")
    for beside in ("training.safetensors", "constants.safetensors", "climate.safetensors"):
        (folder / beside).write_bytes(pickle.dumps(Hostile(tmp_path / "canary")))
    seal(folder)
    with suppress(TrifoldError):  # a domain that keeps nothing there reads nothing there
        kind.from_pretrained(folder, device="cpu")
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


def test_chains_with_objects_in_them_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "chains.npz", ids=np.array([Hostile(tmp_path / "canary")], dtype=object))
    with pytest.raises(TrifoldError, match=r"chains\.npz"):
        Chains.from_npz(tmp_path / "chains.npz")
    assert not (tmp_path / "canary").exists()


def test_graphcast_weights_with_objects_in_them_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "graphcast.npz", params=np.array([Hostile(tmp_path / "canary")], dtype=object))
    with pytest.raises(TrifoldError, match=r"graphcast\.npz"):
        load_graphcast(tmp_path / "graphcast.npz", np.array([-1.0, 1.0]), np.array([0.0, 180.0]))
    assert not (tmp_path / "canary").exists()


def test_binary_cif_builds_nothing_but_numbers_and_text(tmp_path: Path) -> None:
    extension = msgpack.ExtType(1, pickle.dumps(Hostile(tmp_path / "canary")))
    (tmp_path / "chain.bcif").write_bytes(msgpack.packb({"dataBlocks": [extension]}))
    with pytest.raises(TrifoldError, match=r"chain\.bcif"):
        read_chains(tmp_path / "chain.bcif")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("place", ["filters", "compressor", "last filter"])
@pytest.mark.parametrize("kind", ["|O", "<f8"])
def test_a_zarr_store_packed_by_pickle_is_not_read(tmp_path: Path, place: str, kind: str) -> None:
    """Zarr knows a codec that unpickles; every store that is read comes from elsewhere."""
    pickled = {"id": "pickle", "protocol": 5}
    codecs = {
        "filters": {"filters": [pickled], "compressor": None},
        "compressor": {"filters": None, "compressor": pickled},
        "last filter": {"filters": [{"id": "zlib", "level": 1}, pickled], "compressor": None},
    }
    for name in (*STRUCTURE_KEYS, "2m_temperature", "latitude", "longitude", "time"):
        array = tmp_path / "store.zarr" / name
        array.mkdir(parents=True)
        layout = {"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": kind, "fill_value": None, "order": "C"}
        (array / ".zarray").write_text(json.dumps(layout | codecs[place]))
        (array / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": [name]}))
        (array / "0").write_bytes(pickle.dumps(Hostile(tmp_path / "canary")))
    (tmp_path / "store.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(TrifoldError, match=r"store\.zarr"):
        open_fields(tmp_path / "store.zarr")
    with pytest.raises(TrifoldError, match=r"store\.zarr"):
        list(store_structures(tmp_path / "store.zarr"))
    assert not (tmp_path / "canary").exists()


def test_no_format_of_structures_that_ase_knows_is_a_pickle(tmp_path: Path) -> None:
    """By its name, by what it holds, and as the folder that ASE takes for a trajectory."""
    (tmp_path / "bundle.bundle").mkdir()
    for path in (*(tmp_path / f"crystal{end}" for end in (".traj", ".trj", ".pckl", ".json", "")),
                 tmp_path / "bundle.bundle" / "metadata.json"):  # fmt: skip
        path.write_bytes(pickle.dumps(Hostile(tmp_path / "canary")))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(TrifoldError):
            read_crystal(path)
    assert not (tmp_path / "canary").exists()
