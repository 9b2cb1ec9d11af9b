"""Models that were trained apart are one ensemble of all their members."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from common.app.cli import main
from common.app.errors import ConfigError
from common.export import compared
from materials import PropertyPredictor
from materials.export import exportable_properties
from materials.join import join

SMALL = [
    "experiment=ionic_lattice", "data.train_limit=120", "data.val_limit=40", "model.layers=2", "model.width=16",
    "model.message_width=16", "trainer.epochs=1", "trainer.batch_size=40", "trainer.device=cpu",
]  # fmt: skip
PARTS = {
    "plain": ["model.members=2"],
    "edges": ["model=edge_network", "model.layers=2", "model.width=24", "model.message_width=16", "seed=1"],
    "attention": ["model.readout=attention", "model.members=2"],
    "other graphs": ["data.neighbours=8"],
    "other rows": ["data.train_limit=100"],
    "other baseline": ["baseline=none"],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("parts")
    for name, settings in PARTS.items():
        assert main(["materials", "train", *SMALL, *settings, f"run_dir='{folder / name}'"]) == 0
    return {name: str(folder / name / "model") for name in PARTS}


def test_it_says_what_all_members_say(models: dict[str, str], tmp_path: Path) -> None:
    names = ("plain", "edges", "attention")
    join("together", [models[name] for name in names], "cpu").save_pretrained(tmp_path / "together")
    joined = PropertyPredictor.from_pretrained(tmp_path / "together", "cpu")
    parts = [PropertyPredictor.from_pretrained(models[name], "cpu") for name in names]
    crystals = [bulk("NaCl", "rocksalt", a=5.64), bulk("CsCl", "cesiumchloride", a=4.12)]
    graphs = joined.substance.graphs_of(crystals, joined.card["input"])
    each = torch.cat([part.outputs(graphs) for part in parts], dim=1)
    assert each.shape[1] == 5
    assert torch.allclose(joined.outputs(graphs), each)
    frame = joined.predict(crystals, interval=0.9)
    assert np.allclose(frame["lattice_energy"], each.mean(dim=1)[:, 0])
    low, high = (frame[f"lattice_energy_{end}"].to_numpy() for end in ("lower", "upper"))
    assert np.all(low < high)
    assert joined.card["metrics"]["val_mae"] < 1.5 * max(part.card["metrics"]["val_mae"] for part in parts)
    explained = joined.explain(crystals[0])["lattice_energy"].to_numpy()
    assert explained.sum() == pytest.approx(frame["lattice_energy"][0], rel=1e-4)


def test_it_is_a_model_as_others_are(models: dict[str, str]) -> None:
    joined = join("together", [models["plain"], models["edges"]], "cpu")
    order = np.random.default_rng(0).permutation(8)
    salt = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    shuffled = Atoms(salt.numbers[order], salt.positions[order], cell=salt.cell, pbc=True)
    first, second = joined.predict([salt, shuffled])["lattice_energy"]
    assert second == pytest.approx(first, rel=1e-5)
    assert len(joined.nearest(salt, k=3)) == 3
    one = exportable_properties(joined)
    with torch.no_grad():
        assert compared(one, lambda inputs: one.module(**inputs))["value"] < 1e-5


@pytest.mark.parametrize(
    ("other", "named"),
    [("other graphs", "input, data"), ("other rows", "elements, data"), ("other baseline", "recipe.baseline")],
)
def test_models_of_other_kinds_are_refused(models: dict[str, str], other: str, named: str) -> None:
    with pytest.raises(ConfigError, match=f"differ in {named} of their cards"):
        join("together", [models["plain"], models[other]], "cpu")


def test_one_model_or_a_published_one_is_no_ensemble(models: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="two models or more"):
        join("alone", [models["plain"]], "cpu")
    with pytest.raises(ConfigError, match="is a dmpnn; crystal networks of ours are joined"):
        join("mixed", [models["plain"], "esol"], "cpu")
