"""The YAML files of the package say all that the models know, and the same."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

import materials.config
from common.app.composition import Request, Verb, compose_config, load_config
from common.app.config import OptimizerConfig, ScheduleConfig, Section, TrainerConfig
from common.app.config_keys import Keys
from materials.config import OwnTable
from materials.data import mlip
from materials.data.catalogue import CATALOGUE
from materials.data.datasets import DATASETS

SHARED = Path(str(files("common.conf")))
TRAIN = Path(str(files("materials.conf.train")))
VARIANTS = {
    name: kind
    for kind in get_args(materials.config.AnyModel)
    for name in get_args(kind.model_fields["name"].annotation)
}
OWN = ["data.path=table.csv", "data.target=y"]
MODEL_FOR = {"crystal": "residual_cgcnn", "molecule": "dmpnn", "composition": "element_attention", "frame": "ace"}
DATA = {
    name: kind
    for kind in get_args(materials.config.DataConfig)
    for name in get_args(kind.model_fields["name"].annotation)
}


def options(group: Path) -> list[str]:
    return sorted(path.stem for path in group.glob("*.yaml"))


@pytest.mark.parametrize(
    ("model", "group"),
    [(OptimizerConfig, "optimizer"), (ScheduleConfig, "schedule"), (TrainerConfig, "trainer")],
)
def test_shared_groups_name_every_key(model: type[BaseModel], group: str) -> None:
    for path in (SHARED / group).glob("*.yaml"):
        assert set(yaml.safe_load(path.read_text())) == set(model.model_fields), path


def test_model_groups_name_every_key_with_its_default() -> None:
    for name, kind in VARIANTS.items():
        text = yaml.safe_load((TRAIN / f"model/{name}.yaml").read_text())
        assert text == kind(name=name).model_dump(), name


def test_trainer_group_has_the_defaults_of_the_model() -> None:
    text = yaml.safe_load((SHARED / "trainer/default.yaml").read_text())
    chosen = {"epochs", "batch_size"}
    defaults = TrainerConfig(epochs=1, batch_size=1).model_dump(mode="json", exclude=chosen)
    assert {key: value for key, value in text.items() if key not in chosen} == defaults


@pytest.mark.parametrize("verb", ["train", "evaluate", "predict", "benchmark"])
def test_no_key_of_a_verb_is_hidden(verb: str) -> None:
    request = Request(Verb("materials", verb))
    config = compose_config(request).config
    for key in Keys(request.verb.model, config):
        node = config
        for part in key.split("."):
            assert part in node.keys(), f"{key} is not in the files of materials {verb}"  # noqa: SIM118 (??? is a value too)
            node = node._get_node(part)


def test_every_option_composes() -> None:
    groups = {group: options(TRAIN / group) for group in ("model", "data", "experiment")}
    groups |= {group: options(SHARED / group) for group in ("optimizer", "schedule", "trainer")}
    for group, names in groups.items():
        for name in names:
            config = load_config("materials", "train", [f"{group}={name}", *_partner(group, name)])
            assert isinstance(config, materials.config.TrainConfig)
            if group == "experiment":
                assert config.experiment == name, "an experiment is called like its file"


def _partner(group: str, name: str) -> list[str]:
    """What goes with an option: a model needs data of its kind, and the other way round; own data a path."""
    if group == "model":
        data = next(known for known, kind in DATA.items() if kind.substance == VARIANTS[name].substance)
        return [f"data={data}"]
    if group == "data":
        own = OWN if issubclass(DATA[name], OwnTable) else OWN[:1] if DATA[name].own else []
        return [f"model={MODEL_FOR[DATA[name].substance]}", *own]
    return []


def test_configured_names_are_registered() -> None:
    shipped = {name for name, kind in DATA.items() if not kind.own}
    assert set(CATALOGUE) | set(mlip.DATASETS) == shipped <= set(DATASETS)
    assert set(DATA) == set(options(TRAIN / "data"))
    assert all(known.substance == DATA[name].substance for name, known in CATALOGUE.items())


def test_model_keys_are_those_of_the_architectures() -> None:
    from materials.models import MODELS
    from materials.potential import POTENTIALS

    trained = {name: kind for name, kind in VARIANTS.items() if kind.substance == "frame"}
    for name, kind in VARIANTS.items():
        architecture = (POTENTIALS if name in trained else MODELS)[name]
        known = set(architecture.config_class.__dataclass_fields__)
        assert set(kind.model_fields) - {"name"} <= known, name
    assert set(VARIANTS) - set(trained) == set(MODELS)


def test_every_key_says_what_it_is() -> None:
    for kind in vars(materials.config).values():
        if isinstance(kind, type) and issubclass(kind, Section) and kind.__module__ == "materials.config":
            keys = Keys(kind, {})
            silent = [
                name for name, key in keys.items() if not key.description and not name.endswith(("name", "domain"))
            ]
            assert not silent, f"{kind.__name__}: {silent}"
