"""A whole study of one or several properties: data, training, evaluation, report, saved model."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from common.app.errors import ConfigError
from common.results.report import Section, run_report
from common.training.distributed import UNEVEN, process_group
from common.training.run_directory import OUTPUTS, RunDirectory
from common.training.study import Outcome, run_study, start_from
from materials.config import EvaluateConfig, OwnTable, PropertyData, TrainConfig
from materials.data.datasets import DATASETS
from materials.explanation.nearest import TrainingIndex
from materials.models import MODELS
from materials.models.joined_crystals import JoinedCrystals
from materials.potential import Potential
from materials.predictor import Estimate, PropertyPredictor
from materials.report import TITLES, against_baselines, property_sections, score, tiles, uncertainty_sections
from materials.samples import Samples, load_samples, outcome_of, properties_of
from materials.task import PropertyTask
from materials.uncertainty.conformal import Conformal
from materials.uncertainty.platt import Platt
from materials.weights.published import PUBLISHED


def train(config: TrainConfig) -> RunDirectory | None:
    """Train, evaluate the chosen weights on the validation split, write report.html, and save the predictor.

    Returns the run folder; None for a dry run (`check=true`).
    """
    return run_study("materials", config, _open, make_task, _conclude)


def _open(config: TrainConfig) -> dict[str, Samples]:
    limits = {"train": config.data.train_limit, "val": config.data.val_limit}
    return {
        name: load_samples(config.property_data, name, limit=limit, offline=config.offline, sees=config.sees)
        for name, limit in limits.items()
    }


def make_task(config: TrainConfig, splits: Mapping[str, Samples], device: torch.device) -> PropertyTask:
    """The model, initialised from the seed or from `start_from`, on the given data."""
    torch.manual_seed(config.seed)
    model = new_model(config, splits["train"])
    substance = splits["train"].substance
    if config.start_from:
        start_from(model, _by_members(model, config.start_from), config.start_from)
    tables = {name: samples.table(model, device) for name, samples in splits.items()}
    substance.fit(model, tables["train"].packed, tables["train"].target, config.baseline)
    return PropertyTask(model, tables, substance.unit(model), outcome_of(config.property_data), config.loss, device)


def new_model(config: TrainConfig, samples: Samples) -> nn.Module:
    """The architecture with the configuration's hyper-parameters, and those that follow from the data."""
    kind = MODELS[config.model.name]
    settings = samples.substance.settings(config.data)
    values = {
        **config.model.model_dump(exclude={"name"}),
        "properties": len(config.property_data.targets) * (2 if config.loss == "gaussian" else 1),
        "cutoff_a": settings.get("cutoff_a"),
        "descriptors": len(settings.get("descriptors", ())),
    }
    known = {field.name for field in fields(kind.config_class)}
    return kind(kind.config_class(**{name: value for name, value in values.items() if name in known}))


def _by_members(model: nn.Module, name: str) -> dict[str, Tensor]:
    """Tensors of a trained model under the names they have in this one: its members take the trained ones in turn.

    Of models that were joined it is the first of the same kind; every member takes what a potential has learned.
    """
    potential = Potential.is_one(name)
    source: Any = (Potential if potential else PropertyPredictor).from_pretrained(name, "cpu").model
    own = getattr(model.config, "cutoff_a", None)
    if potential and own and own != (reach := source.config.cutoff_a):
        raise ConfigError(
            f"start_from={name} sees pairs of atoms up to {reach:g} Å, this model up to {own:g} Å; "
            f"set data.cutoff_a={reach:g}"
        )
    if isinstance(source, JoinedCrystals):
        source = source.part_like(model) or source
    trained = source.state_dict()
    members = len({key.split(".")[1] for key in trained if key.startswith("networks.")})
    places = {
        key: re.sub(r"^networks\.(\d+)\.", lambda m: f"networks.{int(m[1]) % members}." if members else "", key)
        for key in model.state_dict()
    }
    return {key: trained[place] for key, place in places.items() if place in trained}


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Score a predictor on a split; writes predictions and a report, prints and returns the metrics."""
    predictor = PropertyPredictor.from_pretrained(config.model, config.device)
    card = predictor.card
    samples = load_samples(data_of(card, config.data, config.path), config.split, card, offline=config.offline)
    with process_group(predictor.device, UNEVEN) as world:
        raw = predictor.estimate(samples.graphs, config.budget, world)
    estimate = predictor.calibrated(raw)
    scores = score(samples.target, estimate.value, card["outcome"])
    if not world.is_main:
        return scores
    run = RunDirectory(Path(config.output) if config.output else evaluation_folder(card["name"]))
    run.path.mkdir(parents=True, exist_ok=True)
    _write_predictions(run, config.split, samples, estimate, card)
    calibrated_on = card.get("data", {}).get("name"), card.get("calibration", {}).get("split")
    same = (config.data, config.split) == calibrated_on
    uncertainty = uncertainty_sections(samples, raw, card, calibrated_on_others=not same)
    title = f"{card['name']} on {config.data} {config.split}"
    path = _report(run, title, card, samples, estimate, last_sections=uncertainty)
    shown = "  ".join(f"{TITLES[name]} {value:.4f}" for name, value in scores.items())
    print(f"{shown}  {'; '.join(dict.fromkeys(predictor.properties.values()))}  N {len(samples)}")
    print(f"report: {path}")
    return scores


def data_of(card: Mapping[str, Any], name: str, path: str | None = None) -> PropertyData:
    """The data section that loads what the model of a card predicts, from the data set `name`."""
    section: dict[str, Any] = {"name": name, "target": card["property"]}
    if path:
        section |= {"path": path, "outcome": card["outcome"]}
    return TypeAdapter(PropertyData).validate_python(section)


def predictor_of(
    config: TrainConfig, weights: Mapping[str, Tensor], splits: Mapping[str, Samples], device: torch.device
) -> PropertyPredictor:
    """The trained model with its card."""
    data = config.property_data
    properties = properties_of(data)
    names, units = list(properties), [one.unit for one in properties.values()]
    train_split = splits["train"]
    card = {
        "name": config.experiment.replace("_", "-"),
        "description": f"{', '.join(names)} of {train_split.substance.plural}, trained on {_title(data)}",
        "architecture": config.model.name,
        "substance": config.sees or config.data.substance,
        "property": names[0] if len(names) == 1 else names,
        "unit": units[0] if len(units) == 1 else units,
        "outcome": outcome_of(data),
        "input": train_split.substance.settings(config.data),
        "elements": sorted(set(train_split.substance.elements(train_split.collection)[0].tolist())),
        "data": {"train": len(train_split), "val": len(splits["val"]), **_data_facts(data)},
        "licence": "Apache-2.0",
        "recipe": config.model_dump(mode="json", exclude={"resume", "check", "run_dir", "offline", "save_as"}),
    }
    if origins := _origins(config.start_from):
        card["started_from"] = origins
    model = new_model(config, train_split)
    model.load_state_dict(weights)
    return PropertyPredictor(model, card, str(device))


def _origins(name: str | None) -> list[dict[str, str]]:
    """The published weights that a start goes back to, for the card."""
    if name in PUBLISHED:
        weights = PUBLISHED[name].weights
        return [{"name": name, "licence": weights.licence, "citation": weights.citation}]
    return PropertyPredictor.card_of(name).get("started_from", []) if name else []


def calibrate(predictor: PropertyPredictor, samples: Samples, raw: Estimate) -> None:
    """Fit intervals, or probabilities of classes, to the validation split and keep them in the card."""
    if predictor.card["outcome"] == "classification":
        fitted = {"platt": Platt.fit(samples.target, raw.value).to_card()}
    else:
        fitted = {"conformal": Conformal.fit(samples.target, raw.value, raw.std).to_card()}
    predictor.card["calibration"] = {"split": "val", **fitted}


def remember_training(predictor: PropertyPredictor, samples: Samples) -> None:
    """Keep the training materials with the model, where its readout can be looked into."""
    try:
        vectors = predictor.represent(samples.graphs)
    except ConfigError:
        return
    predictor.training = TrainingIndex.build(samples.collection.ids, vectors, samples.target)


def _conclude(config: TrainConfig, splits: Mapping[str, Samples], outcome: Outcome) -> None:
    """Evaluate, report and save the chosen weights."""
    run, samples = outcome.run, splits["val"]
    predictor = predictor_of(config, outcome.weights, splits, outcome.device)
    card, raw = predictor.card, predictor.estimate(samples.graphs)
    calibrate(predictor, samples, raw)
    remember_training(predictor, splits["train"])
    estimate = predictor.calibrated(raw)
    scores = score(samples.target, estimate.value, card["outcome"])
    card |= {"metrics": validation_metrics(samples, estimate, card), "training": dict(outcome.training)}
    for folder in filter(None, (run.path / "model", config.save_as)):
        predictor.save_pretrained(folder)
    _write_predictions(run, "val", samples, estimate, card)
    title = f"{config.experiment}: {', '.join(predictor.properties)} of {config.data.name}"
    baselines = against_baselines(splits, estimate.value, card)
    uncertainty = uncertainty_sections(samples, raw, card, calibrated_on_others=False)
    path = _report(run, title, card, samples, estimate, baselines, uncertainty)
    name, value = next(iter(scores.items()))
    headline = f"validation {TITLES[name]} {value:.4f} {'; '.join(dict.fromkeys(predictor.properties.values()))}"
    print(f"{headline} (N {len(samples)})  model: {run.path / 'model'}  report: {path}")


def validation_metrics(samples: Samples, estimate: Estimate, card: Mapping[str, Any]) -> dict[str, float]:
    """Of a card: all scores, and the first one of each of several properties, which their mean would hide."""
    whole = {f"val_{name}": value for name, value in score(samples.target, estimate.value, card["outcome"]).items()}
    if isinstance(card["property"], str):
        return whole
    columns = {name: (samples.target[:, [i]], estimate.value[:, [i]]) for i, name in enumerate(card["property"])}
    scores = {name: score(*pair, card["outcome"]) for name, pair in columns.items()}
    return whole | {f"val_{next(iter(one))} {name}": next(iter(one.values())) for name, one in scores.items()}


def _report(
    run: RunDirectory,
    title: str,
    card: Mapping[str, Any],
    samples: Samples,
    estimate: Estimate,
    first_sections: Sequence[Section] = (),
    last_sections: Sequence[Section] = (),
) -> Path:
    return run_report(
        run.path,
        title,
        tiles=tiles(samples, estimate, card),
        data={"Samples": len(samples), **{key.capitalize(): value for key, value in card.get("data", {}).items()}},
        domain_sections=[*first_sections, *property_sections(samples, estimate, card), *last_sections],
    )


def _write_predictions(
    run: RunDirectory, name: str, samples: Samples, estimate: Estimate, card: Mapping[str, Any]
) -> None:
    """predictions/<split>.csv: id, then <property>, <property>_predicted, <property>_std of each property."""
    folder = run.path / "predictions"
    folder.mkdir(exist_ok=True)
    columns: dict[str, Any] = {"id": samples.collection.ids}
    names = [card["property"]] if isinstance(card["property"], str) else card["property"]
    for column, prop in enumerate(names):
        columns[prop] = samples.target[:, column]
        columns[f"{prop}_predicted"] = estimate.value[:, column]
        columns[f"{prop}_std"] = estimate.std[:, column]
    pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)


def _data_facts(data: PropertyData) -> dict[str, Any]:
    if isinstance(data, OwnTable):
        return {"name": data.path}
    dataset = DATASETS[data.name]
    return {"name": data.name, "licence": dataset.licence, "citation": dataset.citation}


def _title(data: PropertyData) -> str:
    return data.path if isinstance(data, OwnTable) else DATASETS[data.name].title


def evaluation_folder(name: str) -> Path:
    """A new folder under outputs/."""
    return OUTPUTS / "materials" / f"evaluate-{name}" / time.strftime("%Y-%m-%d_%H-%M-%S")
