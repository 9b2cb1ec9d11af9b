"""What the trainer costs a step beside a bare torch loop, on a model so small that little else is left.

    python -m tests.benchmarks.trainer_overhead [steps=2000]

An MLP 16-64-1, batches of 64 by index, the same fused AdamW, clipping and a finite check on both sides; the trainer
also seeds each step, follows a schedule and writes a line every 50 steps. Blocks of steps of the trainer and the bare
loop take turns in one process; the figures are medians over the blocks, and a ratio is the median of the ratios of
neighbours, so that other work on the machine hits both alike; of the processor's time even more so. Fabric and
Lightning get a row where they are installed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.app.config import OptimizerConfig, RunConfig, TrainerConfig
from common.training.distributed import World
from common.training.optimizer import make_optimizer
from common.training.precision import set_up_numerics
from common.training.run_directory import RunDirectory
from common.training.task import Forward, Task
from common.training.trainer import Trainer

BATCH, BLOCK = 64, 100
OPTIMIZER = OptimizerConfig(learning_rate=1e-3, clip_norm=1.0)
CPU = torch.device("cpu")


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 64), nn.SiLU(), nn.Linear(64, 1))


def make_data(steps: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(steps * BATCH, 16, generator=torch.Generator().manual_seed(0))
    return x, x.sin().sum(1, keepdim=True)


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction - target).square()


class BareLoop:
    """What one would write for this model and nothing else."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y, self.model = x, y, make_model()
        self.parameters = list(self.model.parameters())
        self.optimizer = make_optimizer(self.model, OPTIMIZER)
        self.order = np.random.default_rng(0).permutation(len(x))
        self.step = 0

    def batch(self) -> tuple[Tensor, Tensor]:
        start = self.step * BATCH % len(self.order)
        index = torch.from_numpy(self.order[start : start + BATCH])
        self.step += 1
        return self.x[index], self.y[index]

    def run(self, steps: int) -> None:
        for _ in range(steps):
            x, y = self.batch()
            self.optimizer.zero_grad()
            loss = squared_error(self.model(x), y).mean()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
            if not torch.isfinite(loss + norm):
                raise ArithmeticError("not finite")
            self.optimizer.step()


class Turns:
    """Times a system that calls `turn` every BLOCK steps, and the bare loop in between."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.bare = BareLoop(x, y)
        self.blocks: list[np.ndarray] = []
        """Seconds a step [system or bare loop, of the clock or of the processor]."""
        self._since: np.ndarray | None = None

    def turn(self) -> None:
        now = clocks()
        self.bare.run(BLOCK)
        resumed = clocks()
        if self._since is not None:
            self.blocks.append(np.stack([now - self._since, resumed - now]) / BLOCK)
        self._since = resumed


def clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.thread_time()])


class OverheadTask(Task):
    def __init__(self, x: Tensor, y: Tensor, turns: Turns) -> None:
        self.model, self.x, self.y, self.turns = make_model(), x, y, turns
        self.count = 0

    def sizes(self, split: str) -> np.ndarray:
        return np.ones(len(self.x) if split == "train" else BATCH, dtype=np.int64)

    def batch(self, split: str, ids: np.ndarray) -> tuple[Tensor, Tensor]:
        if split == "train" and self.count % BLOCK == 0:
            self.turns.turn()
        self.count += 1
        index = torch.from_numpy(ids)
        return self.x[index], self.y[index]

    def loss(self, forward: Forward, batch: tuple[Tensor, Tensor]) -> Tensor:
        return squared_error(forward(batch[0]), batch[1])

    def metrics(self, forward: Forward, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"loss": self.loss(forward, batch)[:, 0]}


def run_trainer(x: Tensor, y: Tensor, turns: Turns) -> None:
    config = RunConfig(experiment="overhead", optimizer=OPTIMIZER,
                       trainer=TrainerConfig(epochs=1, batch_size=BATCH, threads=1, device="cpu"))
    with tempfile.TemporaryDirectory() as folder:
        Trainer(OverheadTask(x, y, turns), config, RunDirectory(Path(folder)), World(), CPU).fit()


def run_fabric(x: Tensor, y: Tensor, turns: Turns) -> None:
    from lightning.fabric import Fabric  # pyright: ignore[reportMissingImports]

    loop = BareLoop(x, y)
    fabric = Fabric(accelerator="cpu", devices=1)
    model, optimizer = fabric.setup(loop.model, loop.optimizer)
    for step in range(len(x) // BATCH):
        if step % BLOCK == 0:
            turns.turn()
        inputs, target = loop.batch()
        optimizer.zero_grad()
        loss = squared_error(model(inputs), target).mean()
        fabric.backward(loss)
        norm = fabric.clip_gradients(model, optimizer, max_norm=1.0)
        if not torch.isfinite(loss + norm):
            raise ArithmeticError("not finite")
        optimizer.step()


def run_lightning(x: Tensor, y: Tensor, turns: Turns) -> None:
    import lightning  # pyright: ignore[reportMissingImports]

    loop = BareLoop(x, y)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = loop.model

        def training_step(self, batch: Any, index: int) -> Tensor:
            if index % BLOCK == 0:
                turns.turn()
            return squared_error(self.inner(batch[0]), batch[1]).mean()

        def configure_optimizers(self) -> Any:
            return loop.optimizer

    trainer = lightning.Trainer(accelerator="cpu", devices=1, max_epochs=1, gradient_clip_val=1.0, logger=False,
                                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(Module(), [loop.batch() for _ in range(len(x) // BATCH)])


SYSTEMS: dict[str, tuple[str, Callable[[Tensor, Tensor, Turns], None]]] = {
    "trainer": ("common", run_trainer), "Fabric": ("lightning", run_fabric), "Lightning": ("lightning", run_lightning),
}


def measure(system: Callable[[Tensor, Tensor, Turns], None], steps: int) -> tuple[float, float, float, float]:
    """Microseconds a step of the system and of the bare loop, the ratio, and the ratio of processor time."""
    x, y = make_data(steps)
    turns = Turns(x, y)
    system(x, y, turns)
    blocks = np.stack(turns.blocks[1:])  # [block, system or bare loop, clock]; the first one warms up
    ours, bare = np.median(blocks[:, :, 0], axis=0) * 1e6
    return ours, bare, *np.median(blocks[:, 0] / blocks[:, 1], axis=0)


def main() -> None:
    given = dict(argument.split("=") for argument in sys.argv[1:])
    set_up_numerics(TrainerConfig(epochs=1, batch_size=BATCH, threads=1))
    print(f"{'system':10}  us/step  bare loop  ratio  of processor time")
    for name, (package, system) in SYSTEMS.items():
        if find_spec(package):
            ours, bare, ratio, processor = measure(system, int(given.get("steps", 2000)))
            print(f"{name:10}  {ours:7.1f}  {bare:9.1f}  {ratio:5.2f}  {processor:17.2f}")


if __name__ == "__main__":
    main()
