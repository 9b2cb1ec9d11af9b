"""A whole study of one property: data, training, evaluation, report, saved model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from torch import Tensor

from common.results.report import Section, Tile, data_table, run_report
from common.training.checkpoint import load_best
from common.training.distributed import World, from_main, process_group, world_from_environment
from common.training.precision import select_device, set_up_numerics
from common.training.run_directory import OUTPUTS, RunDirectory, open_run
from common.training.trainer import Trainer
from materials.config import DataConfig, EvaluateConfig, TrainConfig
from materials.data.crystals import Crystals
from materials.data.datasets import DATASETS
from materials.data.graphs import CrystalGraphs
from materials.data.load import load_crystals, load_graphs
from materials.data.symmetry import TOLERANCE_A
from materials.metrics import mae, r2, rmse
from materials.models import MODELS
from materials.predictor import PropertyPredictor
from materials.report import prediction_sections
from materials.task import GraphTable, PropertyTask, element_fractions, fit_scale

UNITS = {
    "e_form": "eV/atom",
    "band_gap": "eV",
    "e_above_hull": "eV/atom",
    "lattice_energy": "eV/atom",
    "total_magnetization": "mu_B/cell",
    "k_vrh": "GPa",
    "g_vrh": "GPa",
}


@dataclass(frozen=True)
class Split:
    """The crystals of one split with their graphs and the target that is learned."""

    crystals: Crystals
    graphs: CrystalGraphs
    target: np.ndarray

    @classmethod
    def load(cls, config: DataConfig, name: str, limit: int | None, offline: bool) -> Split:
        crystals = load_crystals(config.name, name, config.target, limit, offline)
        return cls(crystals, load_graphs(crystals, config), crystals.targets[config.target])

    def table(self, device: torch.device) -> GraphTable:
        return GraphTable.of(self.graphs, self.crystals.ids, self.target, device)


def train(config: TrainConfig) -> RunDirectory | None:
    """Train, evaluate the best weights on the validation split, write report.html, and save the predictor.

    Returns the run folder; None for a dry run (`check=true`).
    """
    set_up_numerics(config.trainer)
    device = select_device(config.trainer.device, world_from_environment().local_rank)
    with process_group(device) as world:
        splits = {
            name: Split.load(config.data, name, limit, config.offline)
            for name, limit in (("train", config.data.train_limit), ("val", config.data.val_limit))
        }
        task = make_task(config, splits, device)
        if config.check:
            return _check(task, config, world, device)
        run = from_main(world, open_run("materials", config) if world.is_main else None)
        progress = Trainer(task, config, run, world, device).fit()
        if world.is_main:
            facts = {"minutes": round(progress.seconds / 60, 1), "processes": world.size}
            _conclude(config, run, splits, device, facts)
    return run


def make_task(config: TrainConfig, splits: Mapping[str, Split], device: torch.device) -> PropertyTask:
    """The model, initialised from the seed, on the given data."""
    tables = {name: split.table(device) for name, split in splits.items()}
    torch.manual_seed(config.seed)
    scale = fit_scale(tables["train"], config.baseline)
    model = MODELS[config.model.name](model_config(config), scale)
    return PropertyTask(model, tables, config.loss, float(scale.scale))


def model_config(config: TrainConfig) -> Any:
    """The architecture's own dataclass, from the configuration's model and data sections."""
    kind = MODELS[config.model.name].config_class
    values = {**config.model.model_dump(exclude={"name"}), "cutoff_a": config.data.cutoff_a}
    return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Score a predictor on a split; writes predictions and a report, prints and returns the metrics."""
    predictor = PropertyPredictor.from_pretrained(config.model, config.device)
    target = config.target or predictor.card["property"]
    graph = predictor.card["graph"]
    data = DataConfig(name=config.data, target=target, neighbours=graph["neighbours"], cutoff_a=graph["cutoff_a"])
    split = Split.load(data, config.split, None, config.offline)
    run = RunDirectory(Path(config.output) if config.output else _evaluation_folder(predictor.card["name"]))
    run.path.mkdir(parents=True, exist_ok=True)
    predicted = predictor.predict_graphs(split.graphs)
    scores = score(split.target, predicted)
    _write_predictions(run, config.split, split, predicted)
    path = _report(
        run,
        f"{predictor.card['name']} on {config.data} {config.split}",
        predictor,
        split,
        predicted,
        scores,
        config.data,
    )
    print(
        "  ".join(f"{name} {value:.4f}" for name, value in scores.items()),
        f"{predictor.card['unit']}  N {len(predicted)}",
    )
    print(f"report: {path}")
    return scores


def score(target: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """MAE and RMSE in the property's unit, and R2."""
    return {
        "mae": float(mae(target, predicted)),
        "rmse": float(rmse(target, predicted)),
        "r2": float(r2(target, predicted)),
    }


def predictor_of(
    config: TrainConfig, weights: Mapping[str, Tensor], splits: Mapping[str, Split], device: torch.device
) -> PropertyPredictor:
    """The trained model with its card."""
    dataset = DATASETS[config.data.name]
    elements = sorted(int(z) for z in np.unique(splits["train"].crystals.numbers))
    card = {
        "name": config.experiment.replace("_", "-"),
        "description": f"{config.data.target} of crystals, trained on {dataset.title}",
        "architecture": config.model.name,
        "property": config.data.target,
        "unit": UNITS[config.data.target],
        "graph": {"neighbours": config.data.neighbours, "cutoff_a": config.data.cutoff_a, "tolerance_a": TOLERANCE_A},
        "elements": elements,
        "data": {
            "name": config.data.name,
            "train": len(splits["train"].target),
            "val": len(splits["val"].target),
            "licence": dataset.licence,
            "citation": dataset.citation,
        },
        "licence": "Apache-2.0",
        "recipe": config.model_dump(mode="json", exclude={"resume", "check", "run_dir", "offline", "save_as"}),
    }
    model = MODELS[config.model.name](model_config(config))
    model.load_state_dict(weights)
    return PropertyPredictor(model, card, str(device))


def _conclude(
    config: TrainConfig, run: RunDirectory, splits: Mapping[str, Split], device: torch.device, facts: Mapping[str, Any]
) -> None:
    """Evaluate, report and save the best weights."""
    weights, state = load_best(run.checkpoints)
    predictor = predictor_of(config, weights, splits, device)
    predicted = predictor.predict_graphs(splits["val"].graphs)
    scores = score(splits["val"].target, predicted)
    env = yaml.safe_load((run.path / "env.json").read_text())
    predictor.card |= {
        "metrics": {f"val_{name}": value for name, value in scores.items()},
        "training": {
            "best_step": state["step"],
            "seed": config.seed,
            **facts,
            "cpu": env["cpu"],
            "cores": env["cores"],
            "gpus": env["gpus"],
        },
    }
    for folder in filter(None, (run.path / "model", config.save_as)):
        predictor.save_pretrained(folder)
    _write_predictions(run, "val", splits["val"], predicted)
    title = f"{config.experiment}: {config.data.target} of {config.data.name}"
    baselines = _against_baselines(splits, scores["mae"], predictor.card)
    path = _report(run, title, predictor, splits["val"], predicted, scores, config.data.name, [baselines])
    headline = f"validation MAE {scores['mae']:.4f} {predictor.card['unit']} (N {len(predicted)})"
    print(f"{headline}  model: {run.path / 'model'}  report: {path}")


def _report(
    run: RunDirectory,
    title: str,
    predictor: PropertyPredictor,
    split: Split,
    predicted: np.ndarray,
    scores: Mapping[str, float],
    data: str,
    first_sections: Sequence[Section] = (),
) -> Path:
    crystals, unit, dataset = split.crystals, predictor.card["unit"], DATASETS[data]
    tiles = [
        Tile("Mean absolute error", f"{scores['mae']:.4f}", unit),
        Tile("Root mean square error", f"{scores['rmse']:.4f}", unit),
        Tile("R²", f"{scores['r2']:.4f}"),
        Tile("Crystals", f"{len(predicted):,}"),
    ]
    sections = prediction_sections(
        crystals.ids.tolist(),
        split.target,
        predicted,
        crystals.numbers,
        crystals.n_atoms,
        predictor.card["property"],
        unit,
    )
    facts = {
        "Data set": dataset.title,
        "Crystals": len(predicted),
        "Licence": dataset.licence,
        "Citation": dataset.citation,
    }
    return run_report(run.path, title, tiles=tiles, data=facts, domain_sections=[*first_sections, *sections])


def _against_baselines(splits: Mapping[str, Split], mae_of_model: float, card: Mapping[str, Any]) -> Section:
    """Our validation error beside what needs no network: the training median, and a linear fit to the composition."""
    tables = {name: split.table(torch.device("cpu")) for name, split in splits.items()}
    errors = {card["name"]: mae_of_model}
    for name, kind in (("linear in the element fractions", "composition"), ("median of the training targets", "none")):
        fitted = fit_scale(tables["train"], kind)
        explained = element_fractions(tables["val"].graphs) @ fitted.element_offset
        errors[name] = float(mae(splits["val"].target, explained))
    rows = [(name, len(splits["val"].target), error) for name, error in errors.items()]
    return Section("Against baselines", data_table(("Model", "Crystals", f"MAE ({card['unit']})"), rows))


def _write_predictions(run: RunDirectory, name: str, split: Split, predicted: np.ndarray) -> None:
    folder = run.path / "predictions"
    folder.mkdir(exist_ok=True)
    frame = pd.DataFrame({"id": split.crystals.ids, "target": split.target, "predicted": predicted})
    frame.to_csv(folder / f"{name}.csv", index=False)


def _check(task: PropertyTask, config: TrainConfig, world: World, device: torch.device) -> None:
    values = Trainer(task, config, RunDirectory(Path()), world, device).check()
    if world.is_main:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        parameters, count = sum(p.numel() for p in task.model.parameters()), len(task.sizes("train"))
        print(f"check passed: {parameters:,} parameters, {count:,} training crystals, one step: {shown}")


def _evaluation_folder(name: str) -> Path:
    return OUTPUTS / "materials" / f"evaluate-{name}" / time.strftime("%Y-%m-%d_%H-%M-%S")
