"""A whole study, as it is in every domain: data, training, and the chosen weights, to be scored and saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from torch import Tensor, nn

from common.app.config import RunConfig
from common.app.errors import ConfigError
from common.training.checkpoint import load_best
from common.training.distributed import World, from_main, main_alone, process_group, world_from_environment
from common.training.precision import select_device, set_up_numerics
from common.training.run_directory import RunDirectory, open_run
from common.training.task import Task
from common.training.trainer import Trainer

Config = TypeVar("Config", bound=RunConfig)
Data = TypeVar("Data")


@dataclass(frozen=True)
class Outcome:
    """What training leaves.

    weights   the state of the task's model that validation chose
    training  how they came about, for a card: best_step, seed, minutes, processes, cpu, cores, gpus
    """

    run: RunDirectory
    device: torch.device
    weights: Mapping[str, Tensor]
    training: Mapping[str, Any]


def run_study(
    domain: str,
    config: Config,
    open_data: Callable[[Config], Data],
    make_task: Callable[[Config, Data, torch.device], Task],
    conclude: Callable[[Config, Data, Outcome], None],
) -> RunDirectory | None:
    """Train, alone or as one of the processes that torchrun started; the main one then concludes.

    Returns the run folder; None for a dry run (`check=true`).
    """
    set_up_numerics(config.trainer)
    device = select_device(config.trainer.device, world_from_environment().local_rank)
    with process_group(device) as world:
        data = open_data(config)
        task = make_task(config, data, device)
        if config.check:
            return _check(task, config, world, device)
        run = from_main(world, open_run(domain, config) if world.is_main else None)
        progress = Trainer(task, config, run, world, device).fit()
        with main_alone(world) as concludes:  # what it saves is there for all when they return
            if concludes:
                conclude(config, data, _outcome(config, run, device, progress.seconds / 60, world.size))
    return run


def start_from(model: nn.Module, trained: Mapping[str, Tensor], name: str) -> None:
    """Take over the tensors of a trained model that have the same name and shape. Raises ConfigError if none has."""
    own = model.state_dict()
    fitting = {key: value for key, value in trained.items() if key in own and own[key].shape == value.shape}
    if not fitting:
        raise ConfigError(f"start_from={name}: no tensor of that model fits this one; choose its model= and widths")
    model.load_state_dict(own | fitting)


def _check(task: Task, config: RunConfig, world: World, device: torch.device) -> None:
    values = Trainer(task, config, RunDirectory(Path()), world, device).check()
    if world.is_main:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        parameters, count = sum(p.numel() for p in task.model.parameters()), len(task.sizes("train"))
        print(f"check passed: {parameters:,} parameters, {count:,} training samples, one step: {shown}")


def _outcome(config: RunConfig, run: RunDirectory, device: torch.device, minutes: float, processes: int) -> Outcome:
    weights, state = load_best(run.checkpoints)
    env = yaml.safe_load((run.path / "env.json").read_text())
    training = {
        "best_step": state["step"], "seed": config.seed, "minutes": round(minutes, 1), "processes": processes,
        "cpu": env["cpu"], "cores": env["cores"], "gpus": env["gpus"],
    }  # fmt: skip
    return Outcome(run, device, weights, training)
