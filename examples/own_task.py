"""Train a network of your own on the core: everything that a study needs is a model, batches, a loss and metrics.

    python examples/own_task.py

Ctrl-C saves; `resume="auto"` in the configuration goes on exactly there.
"""

from __future__ import annotations

import tempfile

import numpy as np
import torch
from torch import Tensor, nn

from common.app.config import OptimizerConfig, RunConfig, TrainerConfig
from common.training.study import Outcome, run_study
from common.training.task import Forward, Task


class WaveTask(Task):
    """Learn y = sin(3 x) from a thousand noisy points."""

    monitor = "mae"

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(1, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
        random = torch.Generator().manual_seed(0)
        self.x = {split: 4 * torch.rand(n, 1, generator=random) - 2 for split, n in (("train", 1000), ("val", 200))}
        self.y = {split: (3 * x).sin() for split, x in self.x.items()}
        self.y["train"] += 0.1 * torch.randn(1000, 1, generator=random)

    def sizes(self, split: str) -> np.ndarray:
        return np.ones(len(self.x[split]), dtype=np.int64)

    def batch(self, split: str, ids: np.ndarray) -> tuple[Tensor, Tensor]:
        index = torch.from_numpy(ids)
        return self.x[split][index], self.y[split][index]

    def loss(self, forward: Forward, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return (forward(x) - y).square().squeeze(1)

    def metrics(self, forward: Forward, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        x, y = batch
        return {"mae": (forward(x) - y).abs().squeeze(1)}

    def error(self) -> float:
        """Mean absolute error on the validation split."""
        with torch.inference_mode():
            return float((self.model(self.x["val"]) - self.y["val"]).abs().mean())


def conclude(_: RunConfig, task: WaveTask, outcome: Outcome) -> None:
    """Take the best weights; of several processes the main one does."""
    task.model.load_state_dict(outcome.weights)
    print(f"mean absolute error {task.error():.3f}; run folder {outcome.run.path}")


def main() -> float:
    """Train, and return the validation error of the best weights."""
    config = RunConfig(
        experiment="wave",
        run_dir=tempfile.mkdtemp(prefix="wave-"),
        optimizer=OptimizerConfig(learning_rate=1e-2),
        trainer=TrainerConfig(epochs=20, batch_size=100, device="cpu", ema_decay=0.9),
    )
    task = WaveTask()
    run_study("own", config, lambda _: task, lambda _, task, device: task, conclude)  # alone, or by torchrun
    return task.error()


if __name__ == "__main__":
    main()
