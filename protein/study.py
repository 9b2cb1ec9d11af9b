"""A whole study of a structure predictor: data, training, evaluation, report, saved model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from common.training.run_directory import RunDirectory
from common.training.study import Outcome, run_study, start_from
from protein.config import FoldModel, TrainConfig
from protein.evaluation import score_chains, summary, write_scores
from protein.models.fold import Fold, FoldConfig
from protein.models.structure_module import StructureModuleConfig
from protein.predictor import StructurePredictor
from protein.redesign import fitting_types
from protein.samples import Source, open_source
from protein.task import FoldTask

HEAD_WIDTH = 16
"""Of an attention head of the structure module."""


def train(config: TrainConfig) -> RunDirectory | None:
    """Train, score the chosen weights on the validation split, write report.html, and save the predictor.

    Returns the run folder; None for a dry run (`check=true`).
    """
    return run_study("protein", config, _open, make_task, _conclude)


def _open(config: TrainConfig) -> Source:
    return open_source(config.data, ("train", "val"), config.offline)


def make_task(config: TrainConfig, source: Source, device: torch.device) -> FoldTask:
    """The model, initialised from the seed or from `start_from`, on the chains of the source."""
    torch.manual_seed(config.seed)
    model = Fold(hyper_parameters(config.model))
    if config.start_from:
        trained = StructurePredictor.from_pretrained(config.start_from, "cpu").model
        start_from(model, trained.state_dict(), config.start_from)
    train, val = source.splits["train"], source.splits["val"]
    redesigns = config.curriculum.redesigned and not config.check  # a check is not to take minutes
    fitting = fitting_types(train, val, device) if redesigns else None
    return FoldTask(model, train, val, config.curriculum, config.loss, device, fitting)


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


def _conclude(config: TrainConfig, source: Source, outcome: Outcome) -> None:
    """Score, report and save the chosen weights."""
    run = outcome.run
    predictor = predictor_of(config, outcome.weights, source, outcome.device)
    predictor.card["training"] = dict(outcome.training)
    chains = source.splits["val"]
    scores = score_chains(predictor, chains.subset(range(min(len(chains), config.reported or len(chains)))))
    predictor.card["metrics"] = {f"val_{name}": value for name, value in summary(scores).items()}
    for folder in filter(None, (run.path / "model", config.save_as)):
        predictor.save_pretrained(folder, config.save_half)
    report = write_scores(run, f"{config.experiment}: {source.facts['title']}, validation", predictor, scores)
    print("  ".join(f"{name} {value:.3f}" for name, value in summary(scores).items()))
    print(f"model: {run.path / 'model'}  report: {report}")
