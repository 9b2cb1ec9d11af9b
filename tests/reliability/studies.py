"""A small study of each domain, trained in a process of its own that can be killed inside a step."""

from __future__ import annotations

import os
import socket
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.processes import processes

SHARED = ["trainer.device=cpu", "trainer.threads=1", "trainer.checkpoint_every_steps=3", "trainer.log_every=4",
          "trainer.ema_decay=0.9"]  # fmt: skip

STUDIES = {
    "materials": [
        "experiment=ionic_lattice", "data.train_limit=96", "data.val_limit=16", "model.layers=1", "model.width=8",
        "model.message_width=8", "trainer.epochs=2", "trainer.batch_size=12",
    ],
    "weather": [
        "model=unet", "model.channels=4", "model.levels=2", "data.height=16",
        "data.train_flows=4", "data.val_flows=1", "data.states=5", "data.time_step_s=600", "rollout.targets=2",
        "rollout.grow_until=0.5", "trainer.epochs=6", "trainer.batch_size=4",
    ],
    "protein": [
        "data.chains=24", "model.single=16", "model.pair=8", "model.heads=2",
        "model.stem_blocks=1", "model.stem_width=8", "model.sequence_blocks=1", "model.blocks=2",
        "model.iterations=2", "curriculum.crop=24", "curriculum.validation_crop=32",
        "trainer.epochs=4", "trainer.batch_size=6",
    ],
}  # fmt: skip
STEPS = 16
"""Of each study, at least."""


def start(domain: str, folder: Path, kill_at: int | None = None, signals: dict[int, int] | None = None,
          ranks: int = 1, more: tuple[str, ...] = ()) -> list[BaseProcess]:  # fmt: skip
    """Train the domain's study in `folder`, going on where a run is there.

    kill_at   SIGKILL inside this step
    signals   {step: signal number} that the process sends itself inside that step
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    started = []
    for rank in range(ranks):
        environment = {"RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1",
                       "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}  # fmt: skip
        arguments = (domain, str(folder), kill_at, signals or {}, environment, more)
        started.append(processes.Process(target=_train, args=arguments))
        started[-1].start()
    return started


def _train(
    domain: str, folder: str, kill_at: int | None, signals: dict[int, int], environment: dict[str, str],
    more: tuple[str, ...],
) -> None:  # fmt: skip
    os.environ.update(environment)
    from importlib import import_module

    from common.app.composition import load_config
    from common.training.trainer import Trainer

    inner = Trainer._step

    def step(self: Trainer, number: int, batches: list[Any]) -> Any:
        if number == kill_at:
            os.kill(os.getpid(), 9)
        if number in signals:
            os.kill(os.getpid(), signals[number])
        return inner(self, number, batches)

    Trainer._step = step
    study: Any = import_module(f"{domain}.study")
    study._conclude = lambda *_: None  # scores and report are not what is tested here
    study.train(load_config(domain, "train", [*STUDIES[domain], *SHARED, *more, f"run_dir={folder}", "resume=auto"]))
