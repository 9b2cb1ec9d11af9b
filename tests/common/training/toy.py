"""A small study for tests of the core: regression of noise by an MLP, with what makes resuming hard switched on or off.

`fit` runs it in this process, `start` in new ones; `python -m tests.common.training.toy '<json of run() arguments>'`
anywhere, also under torchrun.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.app.config import OptimizerConfig, RunConfig, ScheduleConfig, TrainerConfig
from common.training.distributed import World, from_main, process_group
from common.training.run_directory import RunDirectory, open_run
from common.training.task import Forward, Task
from common.training.trainer import Trainer
from tests.processes import processes

CPU = torch.device("cpu")
WALL_CLOCK = ("samples_per_s", "memory_gb")


class Model(nn.Module):
    def __init__(self, dropout: float, norm: bool, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width) if norm else nn.Identity(), nn.SiLU())
        self.second = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout))
        self.last = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.first(x))).sum(1)


class ToyTask(Task):
    """`nan_target` and `infinite_gradient` are ids of training samples that spoil the step they are in."""

    def __init__(self, samples: int = 96, dropout: float = 0.2, norm: bool = False, prefetch: bool = False,
                 nan_target: int | None = None, infinite_gradient: int | None = None) -> None:
        torch.manual_seed(1)
        self.model = Model(dropout, norm)
        self.blocks = (self.model.first, self.model.second)
        self.prefetch = prefetch
        self.infinite_gradient = infinite_gradient
        numbers = np.random.default_rng(0)
        self.x = {name: torch.from_numpy(numbers.normal(size=(n, 4))).float() for name, n in
                  (("train", samples), ("val", 23))}
        self.y = {name: x.sin().sum(1) for name, x in self.x.items()}
        self._sizes = {name: numbers.integers(1, 6, len(x)) for name, x in self.x.items()}
        if nan_target is not None:
            self.y["train"][nan_target] = torch.nan

    def sizes(self, split: str) -> np.ndarray:
        return self._sizes[split]

    def batch(self, split: str, ids: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        index = torch.from_numpy(np.array(ids))
        return index, self.x[split][index], self.y[split][index]

    def loss(self, forward: Forward, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        ids, x, y = batch
        prediction = forward(x)
        loss = (prediction - y).square()
        if self.infinite_gradient in ids.tolist():
            loss = loss + (prediction - prediction.detach()).sqrt()  # the root's slope at zero
        return loss

    def metrics(self, forward: Forward, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        _, x, y = batch
        return {"loss": (forward(x) - y).square()}

    def names(self, split: str, ids: np.ndarray) -> list[str]:
        return [f"{split}-{i}" for i in ids]


def toy_config(optimizer: dict[str, Any] | None = None, schedule: dict[str, Any] | None = None,
               resume: str | None = None, run_dir: str | None = None, seed: int = 0, **trainer: Any) -> RunConfig:
    """12 steps an epoch, 3 epochs; a checkpoint every 5 steps. The learning rate may exceed what a user is allowed."""
    defaults = {"epochs": 3, "batch_size": 8, "log_every": 4, "checkpoint_every_steps": 5, "device": "cpu"}
    numbers = {"learning_rate": 1e-2, "clip_norm": 1.0, **(optimizer or {})}
    config = RunConfig(experiment="toy", resume=resume, run_dir=run_dir, seed=seed,
                       optimizer=OptimizerConfig(**{**numbers, "learning_rate": 1.0}),
                       schedule=ScheduleConfig(**{"warmup_fraction": 0.1, **(schedule or {})}),
                       trainer=TrainerConfig(**{**defaults, **trainer}))
    return config.model_copy(update={"optimizer": config.optimizer.model_copy(
        update={"learning_rate": numbers["learning_rate"]})})


def fit(folder: Path, task: dict[str, Any] | None = None, world: World | None = None, kill_at: int | None = None,
        signals: dict[int, int] | None = None, **config: Any) -> Trainer:
    """Train in `folder`, going on where a run is there; the ids of each step go to ids-rank<r>.jsonl.

    kill_at: SIGKILL inside this step. signals: {step: signal number} this process sends itself inside that step.
    """
    world = world or World()
    study = toy_config(run_dir=str(folder), **{"resume": "auto", **config})
    run = from_main(world, open_run("toy", study) if world.is_main else None)
    trainer = Trainer(ToyTask(**(task or {})), study, run, world, CPU)
    inner, log = trainer._step, run.path / f"ids-rank{world.rank}.jsonl"

    def step(number: int, batches: list[Any]) -> Tensor:
        with log.open("a") as stream:
            print(json.dumps([number, [int(i) for batch in batches for i in batch[0]]]), file=stream)
        if number == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if signals and number in signals:
            os.kill(os.getpid(), signals[number])
        return inner(number, batches)

    trainer._step = step
    trainer.fit()
    return trainer


def run(folder: str, **arguments: Any) -> None:
    """`fit` in a process of its own, alone or as a rank of torchrun."""
    torch.set_num_threads(1)
    with process_group(CPU) as world:
        fit(Path(folder), world=world, **arguments)


def _rank(environment: dict[str, str], body: Callable[..., None], arguments: dict[str, Any]) -> None:
    os.environ.update(environment)
    body(**arguments)


def start(folder: Path, ranks: int = 1, body: Callable[..., None] = run, **arguments: Any) -> list[BaseProcess]:
    """`run`, or another function of a folder, in new processes that talk to each other through gloo."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = []
    for rank in range(ranks):
        environment = {"RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1",
                       "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        started.append(processes.Process(target=_rank, args=(environment, body, {"folder": str(folder), **arguments})))
        started[-1].start()
    return started


def finish(processes: list[BaseProcess], limit_s: float = 60) -> list[int | None]:
    """Exit codes; a process that takes longer than `limit_s` is ended and has none."""
    for process in processes:
        process.join(limit_s)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    return codes


def history(folder: Path, split: str | None = None) -> list[dict[str, Any]]:
    """metrics.jsonl without the fields that depend on the clock."""
    return [{key: value for key, value in line.items() if key not in WALL_CLOCK}
            for line in RunDirectory(folder).history() if split in (None, line["split"])]


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in history(folder, "train")]


def ids_by_step(folder: Path) -> dict[int, list[list[int]]]:
    """What each step was trained on, rank behind rank: one entry for every time the step was taken."""
    logs = sorted(folder.glob("ids-rank*.jsonl"))
    steps: dict[int, list[list[int]]] = {}
    for log in logs:
        for line in log.read_text().splitlines():
            number, ids = json.loads(line)
            steps.setdefault(number, []).append(ids)
    return steps


def last_checkpoint(folder: Path) -> dict[str, bytes]:
    """The tensor files of the last checkpoint and of the best one."""
    newest = max((folder / "checkpoints").glob("step-*"))
    return {f"{place.name}/{path.name}": path.read_bytes() for place in (newest, folder / "checkpoints" / "best")
            for path in sorted(place.glob("*.safetensors"))}


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
