"""Models that were trained apart are one ensemble of all their members."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from common.app.cli import main
from common.app.composition import load_config
from common.app.errors import ConfigError
from common.export import compared
from materials import PropertyPredictor, benchmarks
from materials.benchmarks import Measured
from materials.config import BenchmarkConfig, TrainConfig
from materials.export import exportable_properties
from materials.join import join
from materials.samples import load_samples
from materials.study import make_task

SMALL = [
    "experiment=ionic_lattice", "data.train_limit=120", "data.val_limit=40", "model.layers=2", "model.width=16",
    "model.message_width=16", "trainer.epochs=1", "trainer.batch_size=40", "trainer.device=cpu",
]  # fmt: skip
ATOMS = [
    "model=tensornet_property", "data=ionic-lattice", "data.cutoff_a=5", "data.train_limit=120", "data.val_limit=40",
    "model.layers=1", "model.width=16", "trainer.epochs=1", "trainer.batch_size=40", "trainer.device=cpu",
]  # fmt: skip
ORIGIN = {"name": "published", "licence": "BSD-3-Clause", "citation": "doi:10.1/1"}
PARTS = {
    "plain": ["model.members=2"],
    "edges": ["model=edge_network", "model.layers=2", "model.width=24", "model.message_width=16", "seed=1"],
    "attention": ["model.readout=attention", "model.members=2"],
    "fewer neighbours": ["data.neighbours=8", "model.members=2"],
    "other graphs": ["data.cutoff_a=7"],
    "other rows": ["data.train_limit=100"],
    "other baseline": ["baseline=none"],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("parts")
    for name, settings in PARTS.items():
        assert main(["materials", "train", *SMALL, *settings, f"run_dir='{folder / name}'"]) == 0
    assert main(["materials", "train", *ATOMS, f"run_dir='{folder / 'atoms'}'"]) == 0
    return {name: str(folder / name / "model") for name in (*PARTS, "atoms")}


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
    shares = [part.outputs(graphs).shape[1] / 5 for part in parts]  # the mean errs no more than they do on average
    bound = sum(share * part.card["metrics"]["val_mae"] for share, part in zip(shares, parts, strict=True))
    assert joined.card["metrics"]["val_mae"] <= bound + 1e-6
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
    [("other graphs", "input"), ("other rows", "elements, data"), ("other baseline", "recipe.baseline")],
)
def test_models_of_other_kinds_are_refused(models: dict[str, str], other: str, named: str) -> None:
    with pytest.raises(ConfigError, match=f"differ in {named} of their cards"):
        join("together", [models["plain"], models[other]], "cpu")


def test_a_part_sees_as_many_neighbours_as_it_was_trained_with(models: dict[str, str]) -> None:
    names = ("fewer neighbours", "plain", "edges")
    joined = join("together", [models[name] for name in names], "cpu")
    crystals = [bulk("NaCl", "rocksalt", a=5.64), bulk("CsCl", "cesiumchloride", a=4.12)]
    parts = [PropertyPredictor.from_pretrained(models[name], "cpu") for name in names]
    assert joined.card["input"] == parts[1].card["input"]
    assert joined.card["recipe"]["data"] == parts[1].card["recipe"]["data"]
    each = [part.outputs(part.substance.graphs_of(crystals, part.card["input"])) for part in parts]
    outputs = joined.outputs(joined.substance.graphs_of(crystals, joined.card["input"]))
    assert torch.allclose(outputs, torch.cat(each, dim=1))


@pytest.mark.parametrize("names", [("plain", "atoms", "edges"), ("atoms", "atoms")])
def test_parts_may_see_all_pairs_of_atoms(models: dict[str, str], tmp_path: Path, names: tuple[str, ...]) -> None:
    started = PropertyPredictor.from_pretrained(models["atoms"], "cpu")
    started.card["started_from"] = [ORIGIN]
    models = models | {"atoms": str(started.save_pretrained(tmp_path / "started"))}
    join("together", [models[name] for name in names], "cpu").save_pretrained(tmp_path / "together")
    joined = PropertyPredictor.from_pretrained(tmp_path / "together", "cpu")
    crystals = [bulk("NaCl", "rocksalt", a=5.64), bulk("CsCl", "cesiumchloride", a=4.12)]
    parts = [PropertyPredictor.from_pretrained(models[name], "cpu") for name in names]
    each = [part.outputs(part.substance.graphs_of(crystals, part.card["input"])) for part in parts]
    frame = joined.predict(crystals, interval=0.9)
    assert np.allclose(frame["lattice_energy"], torch.cat(each, dim=1).mean(dim=1)[:, 0])
    assert joined.card["started_from"] == [ORIGIN]
    explained = joined.explain(crystals[0])
    assert explained["lattice_energy"].sum() == pytest.approx(frame["lattice_energy"][0], rel=1e-4)
    assert explained["fraction"].tolist() == [0.5, 0.5]
    assert joined.nearest(crystals[0], k=2)["distance"].is_monotonic_increasing
    one = exportable_properties(joined)
    with torch.no_grad():
        assert compared(one, lambda inputs: one.module(**inputs))["value"] < 1e-5
    crystals[1].write(tmp_path / "salt.cif")
    files = [f"model={tmp_path / 'together'}", f"input={tmp_path / 'salt.cif'}", f"output={tmp_path / 'out'}"]
    assert main(["materials", "predict", *files, "workers=0", "device=cpu"]) == 0
    written = pd.read_csv(tmp_path / "out" / "predictions.csv")["lattice_energy"]
    assert written[0] == pytest.approx(frame["lattice_energy"][1], rel=1e-4)


def test_training_starts_from_the_part_of_its_own_kind(models: dict[str, str], tmp_path: Path) -> None:
    names = ("plain", "edges")
    joined = join("together", [models[name] for name in names], "cpu").save_pretrained(tmp_path / "together")
    for name in names:
        settings = [*SMALL, *PARTS[name], f"start_from={joined}", "check=true"]
        config = load_config("materials", "train", settings)
        assert isinstance(config, TrainConfig)
        splits = {split: load_samples(config.property_data, split, limit=40) for split in ("train", "val")}
        started = make_task(config, splits, torch.device("cpu")).model.state_dict()
        own = PropertyPredictor.from_pretrained(models[name], "cpu").model.state_dict()
        assert all(torch.equal(started[key], own[key]) for key in own if not key.startswith("scale"))


def test_one_model_or_a_published_one_is_no_ensemble(models: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="two models or more"):
        join("alone", [models["plain"]], "cpu")
    with pytest.raises(ConfigError, match="is a dmpnn; crystal networks of ours are joined"):
        join("mixed", [models["plain"], "esol"], "cpu")


def test_a_table_trains_what_a_joined_model_is_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipes = {
        "start": ["model=edge_network", *SMALL, "model.width=24", "save_as=start"],
        "middle": ["model=edge_network", *SMALL, "model.width=24", "save_as=middle", "start_from=start"],
        "plain": [*SMALL],
        "edges": ["model=edge_network", *SMALL, "model.width=24", "model.members=2", "start_from=middle"],
    }
    trained = []

    def recipe(experiment: str, config: BenchmarkConfig, *settings: str):
        trained.append(experiment)
        return load_config("materials", "train", [*recipes[experiment], f"run_dir=runs/{experiment}{len(trained)}"])

    monkeypatch.setattr(benchmarks, "_recipe", recipe)
    ours = Measured("both", ("plain", "edges"), "ionic-lattice", "val", "e", "mae", "a protocol", ("start", "middle"))
    config = BenchmarkConfig(table="matbench", train=True, device="cpu")
    folder = benchmarks._trained(ours, config, tmp_path)  # pyright: ignore[reportPrivateUsage]
    assert trained == ["start", "middle", "plain", "edges"]
    joined = PropertyPredictor.from_pretrained(folder, "cpu")
    graphs = joined.substance.graphs_of([bulk("CsCl", "cesiumchloride", a=4.12)], joined.card["input"])
    assert joined.outputs(graphs).shape[1] == 3
    before = Path("start/model.safetensors").stat().st_mtime_ns
    benchmarks._trained(ours, config, tmp_path)  # pyright: ignore[reportPrivateUsage]
    assert Path("start/model.safetensors").stat().st_mtime_ns == before
