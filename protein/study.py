"""A whole study of a structure predictor: data, training, evaluation, report, saved model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from common.app.errors import ConfigError
from common.training.checkpoint import load_best
from common.training.distributed import World, from_main, process_group, world_from_environment
from common.training.precision import select_device, set_up_numerics
from common.training.run_directory import RunDirectory, open_run
from common.training.trainer import Trainer
from protein.config import FoldModel, TrainConfig
from protein.evaluation import score_chains, summary, write_scores
from protein.models.fold import Fold, FoldConfig
from protein.models.structure_module import StructureModuleConfig
from protein.predictor import StructurePredictor
from protein.samples import Source, open_source
from protein.task import FoldTask

HEAD_WIDTH = 16
"""Of an attention head of the structure module."""


def train(config: TrainConfig) -> RunDirectory | None:
    """Train, score the chosen weights on the validation split, write report.html, and save the predictor.

    Returns the run folder; None for a dry run (`check=true`).
    """
    set_up_numerics(config.trainer)
    device = select_device(config.trainer.device, world_from_environment().local_rank)
    with process_group(device) as world:
        source = open_source(config.data, ("train", "val"), config.offline)
        task = make_task(config, source, device)
        if config.check:
            return _check(task, config, world, device)
        run = from_main(world, open_run("protein", config) if world.is_main else None)
        progress = Trainer(task, config, run, world, device).fit()
        if world.is_main:
            facts = {"minutes": round(progress.seconds / 60, 1), "processes": world.size}
            _conclude(config, run, source, device, facts)
    return run


def make_task(config: TrainConfig, source: Source, device: torch.device) -> FoldTask:
    """The model, initialised from the seed or from `start_from`, on the chains of the source."""
    torch.manual_seed(config.seed)
    model = Fold(hyper_parameters(config.model))
    if config.start_from:
        start_from(model, config.start_from)
    return FoldTask(model, source.splits["train"], source.splits["val"], config.curriculum, config.loss, device)


def hyper_parameters(model: FoldModel) -> FoldConfig:
    """Of the architecture, as configured."""
    structure = StructureModuleConfig(
        single=model.single,
        pair=model.pair,
        heads=model.heads,
        head_width=HEAD_WIDTH,
        iterations=model.iterations,
        torsion_width=model.single // 2,
        dropout=model.dropout,
    )
    return FoldConfig(**model.model_dump(exclude={"name", "iterations"}), structure=structure)


def start_from(model: Fold, name: str) -> None:
    """Take over the weights of a trained model that have the same name and shape. Raises ConfigError if none has."""
    trained, own = StructurePredictor.from_pretrained(name, "cpu").model.state_dict(), model.state_dict()
    fitting = {key: value for key, value in trained.items() if key in own and own[key].shape == value.shape}
    if not fitting:
        raise ConfigError(f"start_from={name}: no tensor of that model fits this one; choose its widths")
    model.load_state_dict(own | fitting)


def predictor_of(
    config: TrainConfig, weights: Mapping[str, Tensor], source: Source, device: torch.device
) -> StructurePredictor:
    """The trained model with its card."""
    model = Fold(hyper_parameters(config.model))
    model.load_state_dict(weights)
    folds = config.curriculum.structure_from < 1
    card = {
        "name": config.experiment.replace("_", "-"),
        "description": f"structure of one sequence, learned from {source.facts['title']}",
        "architecture": config.model.name,
        "fit": folds,
        "relax": folds,
        "data": dict(source.facts),
        "licence": "Apache-2.0",
        "recipe": config.model_dump(mode="json", exclude={"resume", "check", "run_dir", "offline", "save_as"}),
    }
    return StructurePredictor(model, card, str(device))


def _conclude(
    config: TrainConfig, run: RunDirectory, source: Source, device: torch.device, facts: Mapping[str, Any]
) -> None:
    """Score, report and save the chosen weights."""
    weights, state = load_best(run.checkpoints)
    predictor = predictor_of(config, weights, source, device)
    env = yaml.safe_load((run.path / "env.json").read_text())
    predictor.card["training"] = {
        "best_step": state["step"], "seed": config.seed, **facts,
        "cpu": env["cpu"], "cores": env["cores"], "gpus": env["gpus"],
    }  # fmt: skip
    scores = score_chains(predictor, source.splits["val"])
    predictor.card["metrics"] = {f"val_{name}": value for name, value in summary(scores).items()}
    for folder in filter(None, (run.path / "model", config.save_as)):
        predictor.save_pretrained(folder, config.save_half)
    report = write_scores(run, f"{config.experiment}: {source.facts['title']}, validation", predictor, scores)
    print("  ".join(f"{name} {value:.3f}" for name, value in summary(scores).items()))
    print(f"model: {run.path / 'model'}  report: {report}")


def _check(task: FoldTask, config: TrainConfig, world: World, device: torch.device) -> None:
    values = Trainer(task, config, RunDirectory(Path()), world, device).check()
    if world.is_main:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        parameters, count = sum(p.numel() for p in task.model.parameters()), len(task.sizes("train"))
        print(f"check passed: {parameters:,} parameters, {count:,} clusters of chains, one step: {shown}")
